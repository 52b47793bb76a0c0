package crd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// FieldManager owns the definitions that egctl applies.
const FieldManager = "egctl"

// PolicyName is the Gateway API's admission policy against unsafe upgrades, and
// its binding.
const PolicyName = "safe-upgrades.gateway.networking.k8s.io"

// Resource is that of the definitions themselves.
var Resource = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// Client works on the definitions of a cluster.
type Client struct {
	dynamic.Interface
	// Poll is how often to look for a definition that is to be established; 0
	// means a quarter of a second.
	Poll time.Duration
}

// Live returns the definition of a name, or nil.
func (c Client) Live(ctx context.Context, name string) (*unstructured.Unstructured, error) {
	live, err := c.Resource(Resource).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get CustomResourceDefinition %s: %w", name, err)
	}
	return live, nil
}

// All returns the definitions of the cluster whose group is one of those given,
// by name.
func (c Client) All(ctx context.Context, groups ...string) (map[string]*unstructured.Unstructured, error) {
	list, err := c.Resource(Resource).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list CustomResourceDefinitions: %w", err)
	}
	out := map[string]*unstructured.Unstructured{}
	for i := range list.Items {
		group, _, _ := unstructured.NestedString(list.Items[i].Object, "spec", "group")
		if slices.Contains(groups, group) {
			out[list.Items[i].GetName()] = &list.Items[i]
		}
	}
	return out, nil
}

// atOnce is how many definitions are worked on at a time: the API server takes
// long for each.
const atOnce = 4

// Plan decides on all that is wanted, in order. Nothing is changed: what is to be
// done is tried on the server first, so that an admission policy that forbids it,
// such as the Gateway API's own, turns into a refusal before anything happened.
func (c Client) Plan(ctx context.Context, wanted []*unstructured.Unstructured, policy Policy) ([]Decision, error) {
	out := make([]Decision, len(wanted))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, w := range wanted {
		group.Go(func() error {
			live, err := c.Live(ctx, w.GetName())
			if err != nil {
				return err
			}
			d, err := c.weigh(ctx, live, Decide(live, w, policy))
			if err != nil {
				return err
			}
			if d.Action == Create || d.Action == Update {
				if err := c.apply(ctx, w, metav1.DryRunAll); denied(err) {
					d = d.refuse("", strings.TrimSpace(err.Error()))
				} else if err != nil {
					return err
				}
			}
			out[i] = d
			return nil
		})
	}
	return out, group.Wait()
}

// denied says whether the server looked at the object and said no. Its
// admission policies answer Invalid or Forbidden, as they like.
func denied(err error) bool {
	return apierrors.IsInvalid(err) || (apierrors.IsForbidden(err) && strings.Contains(err.Error(), "ValidatingAdmissionPolicy"))
}

// Apply does what was decided, and waits until the new definitions are in use. Progress is
// told of each that is, and how many of how many that makes.
func (c Client) Apply(ctx context.Context, wanted []*unstructured.Unstructured, decisions []Decision, progress func(name string, n, of int)) error {
	var todo []int
	for i, d := range decisions {
		if d.Action == Create || d.Action == Update {
			todo = append(todo, i)
		}
	}
	var mu sync.Mutex
	n := 0
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, i := range todo {
		group.Go(func() error {
			if err := c.apply(ctx, wanted[i]); err != nil {
				return err
			}
			if err := c.established(ctx, decisions[i].Name); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			n++
			progress(decisions[i].Name, n, len(todo))
			return nil
		})
	}
	return group.Wait()
}

// apply takes over all fields: what another manager set is decided on before,
// not here. Lists of versions are atomic, so nothing of the old ones stays.
func (c Client) apply(ctx context.Context, w *unstructured.Unstructured, dryRun ...string) error {
	w = w.DeepCopy()
	unstructured.RemoveNestedField(w.Object, "status")
	unstructured.RemoveNestedField(w.Object, "metadata", "creationTimestamp")
	_, err := c.Resource(Resource).Apply(ctx, w.GetName(), w, metav1.ApplyOptions{FieldManager: FieldManager, Force: true, DryRun: dryRun})
	if err != nil {
		return fmt.Errorf("apply CustomResourceDefinition %s: %w", w.GetName(), err)
	}
	return nil
}

func (c Client) established(ctx context.Context, name string) error {
	poll := c.Poll
	if poll == 0 {
		poll = time.Second / 4
	}
	for {
		live, err := c.Live(ctx, name)
		if err != nil {
			return err
		}
		state := "it is gone"
		if live != nil {
			if state = condition(live, "Established"); state == "" {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for CustomResourceDefinition %s: %w; last seen: %s", name, ctx.Err(), state)
		case <-time.After(poll):
		}
	}
}

// condition is "" if a condition is true, and otherwise says what there is.
func condition(o *unstructured.Unstructured, kind string) string {
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, item := range conditions {
		m, _ := item.(map[string]any)
		if m["type"] != kind {
			continue
		}
		if m["status"] == "True" {
			return ""
		}
		return fmt.Sprintf("%s is %v: %v", kind, m["status"], m["message"])
	}
	return "no condition " + kind
}
