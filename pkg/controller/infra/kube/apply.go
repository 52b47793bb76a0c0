package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/egctl/egctl/pkg/controller/infra/kube/render"
	"github.com/egctl/egctl/pkg/controller/pki"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
	"github.com/egctl/egctl/pkg/wellknown"
)

// Field managers: what we want, and replicas on their way from us to an
// autoscaler.
const (
	fieldManager    = wellknown.FieldManager
	handoverManager = wellknown.FieldManager + "-handover"
)

// patience is how long the work on one fleet may take before it is given up for
// the time being.
const patience = time.Minute

// objectName names an object of a fleet, whose namespace is the fleet's or, of the
// mark, the Gateway's.
type objectName struct {
	kind schema.GroupVersionKind
	name string
}

func nameOf(u *unstructured.Unstructured) objectName {
	return objectName{u.GroupVersionKind(), u.GetName()}
}

// reconcile makes one fleet as wanted.
func (i *Infrastructure) reconcile(ctx context.Context, k store.Key) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	i.mu.Lock()
	f := i.fleets[k]
	var want *translate.Fleet
	if f != nil {
		want, f.drift.awaited = f.want, false
	}
	i.mu.Unlock()
	switch {
	case f == nil:
		return nil
	case want == nil:
		return i.remove(ctx, k)
	case want.Frozen != "", len(want.Ports) == 0:
		return i.preserve(ctx, want)
	}
	objects, err := i.o.Render.Objects(want)
	if err != nil {
		return err
	}
	work := make([][]func() error, stages)
	if i.o.Certificates != nil {
		work[0] = append(work[0], func() error { return i.certificate(ctx, want) })
	}
	for _, o := range objects {
		n := stageOf(o.GroupVersionKind())
		work[n] = append(work[n], func() error {
			if err := i.apply(ctx, want, o); err != nil {
				return &kindError{o.GroupVersionKind(), err}
			}
			return nil
		})
	}
	var errs []error
	for _, stage := range work {
		errs = append(errs, atOnce(stage)...)
	}
	bad := map[schema.GroupVersionKind]bool{}
	for _, err := range errs {
		var of *kindError
		if errors.As(err, &of) {
			bad[of.kind] = true
		}
	}
	errs = append(errs, i.removeFormer(ctx, want, objects, bad))
	if len(errs) == 0 || errors.Join(errs...) == nil {
		errs = append(errs, i.removeMoved(ctx, want))
	}
	return errors.Join(errs...)
}

// preserve has what runs go on as it is, for it may be wanted again. It has to go on
// proving who it is, and knowing the controller.
func (i *Infrastructure) preserve(ctx context.Context, f *translate.Fleet) error {
	if len(i.watches.workloads(f.Key)) == 0 {
		return nil
	}
	if i.o.Certificates != nil {
		return i.certificate(ctx, f)
	}
	files, err := i.o.Render.Files(f)
	if err != nil {
		return err
	}
	return i.apply(ctx, f, files)
}

// stages is how many steps it takes to apply a fleet. What is in one is applied
// at once, for each request is a wait and somebody waits for the Gateway.
const stages = 3

// stageOf orders kinds: what a pod needs, and what gets an address meanwhile;
// then the pods; then what refers to their workload.
func stageOf(kind schema.GroupVersionKind) int {
	switch kind {
	case render.Deployment, render.DaemonSet:
		return 1
	case render.Scaler, render.PDB:
		return 2
	default:
		return 0
	}
}

// kindError is about an object of a kind.
type kindError struct {
	kind schema.GroupVersionKind
	error
}

func (e *kindError) Unwrap() error { return e.error }

// atOnce runs everything side by side and returns the errors in the order of
// what made them.
func atOnce(work []func() error) []error {
	errs := make([]error, len(work))
	var group sync.WaitGroup
	for n, do := range work {
		group.Go(func() { errs[n] = do() })
	}
	group.Wait()
	return errs
}

// certificate makes sure that the fleet can prove who it is.
func (i *Infrastructure) certificate(ctx context.Context, f *translate.Fleet) error {
	n := i.o.Render.Names(f)
	err := i.o.Certificates.Ensure(ctx, pki.Client{
		Namespace: n.Namespace, Secret: n.Resource, Fleet: translate.FleetName(f.Key),
		Labels: i.o.Render.StableLabels(f.Key), Owners: i.o.Render.Owners(f),
	})
	if err != nil {
		return fmt.Errorf("certificate of the proxies, Secret %s/%s: %w", n.Namespace, n.Resource, err)
	}
	return nil
}

// apply makes one object as wanted, if it is not.
func (i *Infrastructure) apply(ctx context.Context, f *translate.Fleet, want *unstructured.Unstructured) error {
	name := nameOf(want)
	wanted, err := hash(want.Object)
	if err != nil {
		return fmt.Errorf("%s %s/%s: %w", want.GetKind(), want.GetNamespace(), want.GetName(), err)
	}
	seen := i.watches.get(name, want.GetNamespace())
	i.mu.Lock()
	before, known := i.fleets[f.Key].last(name)
	i.mu.Unlock()
	if known && before.want == wanted && seen != nil && !before.drifted(seen) && isOf(seen, f.Key) {
		return nil
	}
	if seen == nil {
		// It may exist without our labels.
		if seen, err = i.live(ctx, name, want.GetNamespace()); err != nil {
			return err
		}
	}
	if seen != nil {
		if ours, err := i.mayTouch(f, seen); err != nil || !ours {
			return err
		}
		if err := keepSelector(want, seen); err != nil {
			return err
		}
	}
	_, replicas, err := unstructured.NestedFieldNoCopy(want.Object, "spec", "replicas")
	if err != nil {
		return fmt.Errorf("%s %s/%s: %w", name.kind.Kind, want.GetNamespace(), name.name, err)
	}
	release := name.kind == render.Deployment && seen != nil && !replicas && (!known || before.replicas) && render.Scaled(f)
	return i.track(f.Key, name, func() (applied, error) {
		if release {
			if err := i.handOver(ctx, want); err != nil {
				return applied{}, err
			}
		}
		got, err := i.send(ctx, want, fieldManager)
		if err != nil {
			return applied{}, explain(f, want, err)
		}
		owned, err := hash(ownFields(got))
		if err != nil {
			return applied{}, fmt.Errorf("%s %s/%s: %w", want.GetKind(), want.GetNamespace(), want.GetName(), err)
		}
		return applied{want: wanted, owned: owned, version: version(got), replicas: replicas}, nil
	})
}

// last returns what was last applied under a name. f may be nil.
func (f *fleet) last(name objectName) (applied, bool) {
	if f == nil {
		return applied{}, false
	}
	a, ok := f.applied[name]
	return a, ok
}

// of returns the client for a kind in a namespace.
func (i *Infrastructure) of(kind schema.GroupVersionKind, namespace string) dynamic.ResourceInterface {
	return i.client.Resource(resources[kind]).Namespace(namespace)
}

// send applies an object as a field manager and returns what it is after that.
func (i *Infrastructure) send(ctx context.Context, o *unstructured.Unstructured, manager string) (*unstructured.Unstructured, error) {
	begin := time.Now()
	got, err := i.of(o.GroupVersionKind(), o.GetNamespace()).Apply(ctx, o.GetName(), o, metav1.ApplyOptions{FieldManager: manager, Force: true})
	i.observe(Write{Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName(), Took: time.Since(begin), Err: err})
	return got, err
}

func (i *Infrastructure) observe(w Write) {
	if i.o.Observe != nil {
		i.o.Observe(w)
	}
	i.o.Logger.Debug("infrastructure written", "kind", w.Kind, "namespace", w.Namespace, "name", w.Name, "delete", w.Delete, "took", w.Took, "error", w.Err)
}

// live asks the API server for an object; nil: there is none.
func (i *Infrastructure) live(ctx context.Context, n objectName, namespace string) (*unstructured.Unstructured, error) {
	o, err := i.of(n.kind, namespace).Get(ctx, n.name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%s %s/%s: %w", n.kind.Kind, namespace, n.name, err)
	}
	return o, nil
}

// mayTouch says whether an object that exists is the fleet's. An error says whose
// it is; without one and with false it is to be used as it is.
func (i *Infrastructure) mayTouch(f *translate.Fleet, o *unstructured.Unstructured) (bool, error) {
	has := o.GetLabels()
	managed := has[render.ManagedByLabel] == render.ManagedBy
	owner, owned := render.Owner(has)
	if managed && owned && owner == f.Key {
		return true, nil
	}
	if managed && owned && o.GroupVersionKind() == render.ServiceAccount && i.shared() {
		// As long as the other uses it, it is the other's. After that it is taken over, so
		// that it does not outlive us.
		i.mu.Lock()
		defer i.mu.Unlock()
		return !i.uses(owner, o), nil
	}
	whose := "it was not made for this Gateway"
	if managed && owned {
		whose = "it belongs to " + owner.String()
	}
	return false, fmt.Errorf("%s %s/%s exists and is left alone, because %s: rename one of them, or delete that one", o.GetKind(), o.GetNamespace(), o.GetName(), whose)
}

// keepSelector has a workload that exists go on with its selector, which cannot
// be changed.
func keepSelector(want, live *unstructured.Unstructured) error {
	if k := want.GroupVersionKind(); k != render.Deployment && k != render.DaemonSet {
		return nil
	}
	has, ok, err := unstructured.NestedMap(live.Object, "spec", "selector")
	if err != nil || !ok {
		return fmt.Errorf("%s %s/%s has no selector: %w", live.GetKind(), live.GetNamespace(), live.GetName(), err)
	}
	var selector metav1.LabelSelector
	data, err := json.Marshal(has)
	if err == nil {
		err = json.Unmarshal(data, &selector)
	}
	if err != nil {
		return fmt.Errorf("selector of %s %s/%s: %w", live.GetKind(), live.GetNamespace(), live.GetName(), err)
	}
	matches, err := metav1.LabelSelectorAsSelector(&selector)
	if err != nil {
		return fmt.Errorf("selector of %s %s/%s: %w", live.GetKind(), live.GetNamespace(), live.GetName(), err)
	}
	template, _, err := unstructured.NestedStringMap(want.Object, "spec", "template", "metadata", "labels")
	if err != nil {
		return fmt.Errorf("labels of the pods of %s %s/%s: %w", want.GetKind(), want.GetNamespace(), want.GetName(), err)
	}
	if !matches.Matches(labels.Set(template)) {
		return fmt.Errorf("%s %s/%s selects pods by %s, which its pods are to carry no longer, and a selector cannot be changed: give the pods these labels, or delete the %s",
			live.GetKind(), live.GetNamespace(), live.GetName(), matches, live.GetKind())
	}
	return unstructured.SetNestedMap(want.Object, has, "spec", "selector")
}

// handOver gives the number of replicas, if it is ours, to a manager that never
// applies again. Just leaving it out would set it to 1 until the autoscaler has
// looked.
func (i *Infrastructure) handOver(ctx context.Context, want *unstructured.Unstructured) error {
	live, err := i.live(ctx, nameOf(want), want.GetNamespace())
	if err != nil || live == nil {
		return err
	}
	replicas, ok, err := unstructured.NestedInt64(live.Object, "spec", "replicas")
	if err != nil || !ok || !ownsReplicas(live) {
		return err
	}
	u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"replicas": replicas}}}
	u.SetGroupVersionKind(render.Deployment)
	u.SetNamespace(want.GetNamespace())
	u.SetName(want.GetName())
	if _, err := i.send(ctx, u, handoverManager); err != nil {
		return fmt.Errorf("replicas of Deployment %s/%s: %w", u.GetNamespace(), u.GetName(), err)
	}
	return nil
}

func ownsReplicas(live *unstructured.Unstructured) bool {
	fields, ok := ownFields(live).(map[string]any)
	if !ok {
		return false
	}
	_, owns, err := unstructured.NestedFieldNoCopy(fields, "f:spec", "f:replicas")
	return err == nil && owns
}
