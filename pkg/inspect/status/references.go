package status

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Gone is the objects that are known not to exist although others refer to them, by
// [Ref.key].
type Gone map[string]bool

// FindGone asks for the Gateways and ListenerSets that objects of a world name as their
// parents and that are not in it and, if endpoints is not nil, for the Services that
// routes name and that are not among these. What may not be read is not known to be gone.
func (c *Client) FindGone(ctx context.Context, served []Resource, w *World, endpoints map[string]Endpoints) (Gone, error) {
	asked := w.doubtful(endpoints)
	gone := Gone{}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for key, ref := range asked {
		r, known := resourceOf(served, ref)
		if !known {
			continue
		}
		g.Go(func() error {
			_, err := c.request(r, Query{Namespace: ref.Namespace}).Name(ref.Name).Do(ctx).Raw()
			switch {
			case apierrors.IsNotFound(err):
				mu.Lock()
				defer mu.Unlock()
				gone[key] = true
			case err != nil && !refused(err):
				return err
			}
			return nil
		})
	}
	return gone, g.Wait()
}

// NamespaceGone says whether the namespace of a query does not exist. It is asked for only
// if the world has nothing from it. Who may not read namespaces is not told.
func (c *Client) NamespaceGone(ctx context.Context, w *World, q Query) (bool, error) {
	if q.Namespace == "" || !w.barren() {
		return false, nil
	}
	_, err := c.request(Resource{Version: "v1", Kind: "Namespace", Plural: "namespaces"}, Query{}).Name(q.Namespace).Do(ctx).Raw()
	if err == nil || refused(err) {
		return apierrors.IsNotFound(err), nil
	}
	return false, fmt.Errorf("read namespace %s: %w", q.Namespace, err)
}

// barren says that things in namespaces were asked for and not found.
func (w *World) barren() bool {
	asked := false
	for i, r := range w.Resources {
		asked = asked || r.Namespaced
		if r.Namespaced && len(w.Objects[i]) > 0 {
			return false
		}
	}
	return asked
}

// doubtful are the references to what nothing in the world shows to be there, by key and
// with their kind and namespace.
func (w *World) doubtful(endpoints map[string]Endpoints) map[string]Ref {
	there, asked := map[string]bool{}, map[string]Ref{}
	for i, r := range w.Resources {
		for _, o := range w.Objects[i] {
			there[r.Kind+"/"+o.id()] = true
		}
	}
	for service := range endpoints {
		there["Service/"+service] = true
	}
	ask := func(ref Ref, kind, namespace string) {
		ref.Kind, ref.Namespace = or(ref.Kind, kind), or(ref.Namespace, namespace)
		if key := ref.key("", ""); !there[key] {
			asked[key] = ref
		}
	}
	for _, objects := range w.Objects {
		for _, o := range objects {
			for _, ref := range o.parents() {
				ask(ref, "Gateway", o.Metadata.Namespace)
			}
			for _, rule := range o.Spec.Rules {
				for _, ref := range rule.BackendRefs {
					if endpoints != nil && or(ref.Kind, "Service") == "Service" {
						ask(ref, "Service", o.Metadata.Namespace)
					}
				}
			}
		}
	}
	return asked
}

// parents are the references of a route or ListenerSet to what it is to be part of.
func (o *Object) parents() []Ref {
	if o.Spec.ParentRef != nil {
		return []Ref{*o.Spec.ParentRef}
	}
	return o.Spec.ParentRefs
}

// resourceOf is the resource of what can be asked for.
func resourceOf(served []Resource, ref Ref) (Resource, bool) {
	if ref.Kind == "Service" {
		return Resource{Version: "v1", Kind: ref.Kind, Plural: "services", Namespaced: true}, ref.Group == ""
	}
	for _, r := range served {
		if r.Kind == ref.Kind && r.Group == or(ref.Group, GatewayGroup) && (r.Family == Gateway || r.Family == ListenerSet) {
			return r, true
		}
	}
	return Resource{}, false
}

// missingIssue says that an object does not exist.
func missingIssue(on, kind, namespace, name string) Issue {
	if namespace != "" {
		name = namespace + "/" + name
	}
	return Issue{Verdict: Failed, On: on, Condition: Condition{
		Type: existence, Status: "False", Reason: "NotFound", Message: kind + " " + name + " does not exist.",
	}}
}

// missing says that what a parentRef of an object names does not exist.
func (r Ref) missing(o *Object, on string) Issue {
	return missingIssue(on, or(r.Kind, "Gateway"), or(r.Namespace, o.Metadata.Namespace), r.Name)
}

// existence is the type of the conditions by which this package says that an object is
// missing. No controller writes it.
const existence = "Exists"
