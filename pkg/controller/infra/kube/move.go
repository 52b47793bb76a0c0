package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/egctl/egctl/pkg/controller/infra/kube/render"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

// byMoved is the index of objects of fleets that are where the fleet was in the
// other deployment mode.
const byMoved = "moved"

// movedOwner returns the fleet of an object that is where the fleet was in the other
// deployment mode. What has the same namespace in both is told by its name.
func (w *watches) movedOwner(o metav1.Object) (store.Key, bool) {
	k, ok := render.Owner(o.GetLabels())
	if !ok {
		return store.Key{}, false
	}
	here, there := w.i.o.Render.FleetNamespace(k), w.i.o.Render.Moved().FleetNamespace(k)
	return k, here != there && o.GetNamespace() == there && !isMark(o, k)
}

func (w *watches) movedOf(o any) ([]string, error) {
	if m, ok := o.(metav1.Object); ok {
		if k, ok := w.movedOwner(m); ok {
			return []string{k.String()}, nil
		}
	}
	return nil, nil
}

// moved returns what is left of a fleet of the other deployment mode, as far as it is
// watched: beside Gateways that are ServiceAccounts alone. A ServiceAccount as which
// another fleet runs there is left of that one.
func (w *watches) moved(fleet store.Key) []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	for _, kind := range render.Kinds() {
		for _, o := range indexed(w.informers[kind], byMoved, fleet) {
			if kind != render.ServiceAccount || !w.movedRunAs(o, fleet) {
				out = append(out, o)
			}
		}
	}
	return out
}

// movedRunAs says whether a workload of another fleet of the other deployment mode runs
// as a ServiceAccount.
func (w *watches) movedRunAs(account *unstructured.Unstructured, fleet store.Key) bool {
	for _, kind := range workloadKinds {
		for _, inf := range w.informers[kind] {
			for _, o := range inf.GetIndexer().List() {
				u := o.(*unstructured.Unstructured)
				if k, ok := w.movedOwner(u); ok && k != fleet && u.GetNamespace() == account.GetNamespace() && accountOf(u) == account.GetName() {
					return true
				}
			}
		}
	}
	return false
}

// allMoved returns the fleets of which something is left.
func (w *watches) allMoved() []store.Key {
	var out []store.Key
	for _, kind := range render.Kinds() {
		for _, inf := range w.informers[kind] {
			for _, o := range inf.GetIndexer().List() {
				if k, ok := w.movedOwner(o.(*unstructured.Unstructured)); ok {
					out = append(out, k)
				}
			}
		}
	}
	return out
}

// removeMoved removes what a fleet left behind in the other deployment mode, once
// its successor serves.
func (i *Infrastructure) removeMoved(ctx context.Context, f *translate.Fleet) error {
	left := i.watches.moved(f.Key)
	if len(left) == 0 {
		return nil
	}
	i.mu.Lock()
	before := false
	if g := i.fleets[f.Key]; g != nil {
		before, g.switching = g.switching, true
	}
	i.mu.Unlock()
	if now, _ := i.look(f); !now.Ready || len(now.Addresses) == 0 && reached(left) {
		return nil
	}
	i.setSwitching(f.Key, before)
	i.o.Logger.Info("removing the proxies of the other deployment mode", "fleet", translate.FleetName(f.Key), "namespace", i.o.Render.Moved().FleetNamespace(f.Key))
	err := i.removeFrom(ctx, f.Key)
	if !onlyForbidden(err) {
		return err
	}
	// The mode is changed by the chart, and with it goes the permission to change
	// anything beside Gateways. The fleet that is wanted does not suffer from that.
	i.mu.Lock()
	g := i.fleets[f.Key]
	said := g == nil || g.stuck
	if g != nil {
		g.stuck = true
	}
	i.mu.Unlock()
	if !said {
		there := i.o.Render.Moved()
		i.o.Logger.Warn("not permitted to remove the proxies of the other deployment mode, which serve what they had", "fleet", translate.FleetName(f.Key), "error", err,
			"remedy", fmt.Sprintf("kubectl delete deploy,ds,hpa,pdb,svc,cm,sa -n %s -l %s", there.FleetNamespace(f.Key), labels.SelectorFromSet(there.StableLabels(f.Key))))
	}
	return nil
}

// onlyForbidden says whether all that went wrong is that permission is missing. Of
// errors that are joined [apierrors.IsForbidden] sees the first alone.
func onlyForbidden(err error) bool {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return !slices.ContainsFunc(joined.Unwrap(), func(err error) bool { return !onlyForbidden(err) })
	}
	return apierrors.IsForbidden(err)
}

// reached says whether a Service among objects has an address of a load balancer.
func reached(objects []*unstructured.Unstructured) bool {
	for _, o := range objects {
		if o.GroupVersionKind() == render.Service {
			if in, _, err := unstructured.NestedSlice(o.Object, "status", "loadBalancer", "ingress"); err == nil && len(in) > 0 {
				return true
			}
		}
	}
	return false
}

// removeFrom removes all objects of a fleet where it was in the other deployment
// mode. By ServiceAccounts it is known what is left, so that they go last, and with the
// last fleet that runs as them.
func (i *Infrastructure) removeFrom(ctx context.Context, k store.Key) error {
	there := i.o.Render.Moved()
	namespace, resource := there.FleetNamespace(k), there.FleetResource(k)
	theirs := metav1.ListOptions{LabelSelector: labels.SelectorFromSet(there.StableLabels(k)).String()}
	for _, kind := range render.Kinds() {
		if kind == render.ServiceAccount {
			continue
		}
		begin := time.Now()
		err := i.of(kind, namespace).DeleteCollection(ctx, background(nil), theirs)
		i.observe(Write{Delete: true, Kind: kind.Kind, Namespace: namespace, Name: resource, Took: time.Since(begin), Err: err})
		if err != nil {
			return fmt.Errorf("delete each %s of %s in %s: %w", kind.Kind, translate.FleetName(k), namespace, err)
		}
	}
	if !there.GatewayNamespaceMode {
		if err := i.removeSecret(ctx, k, namespace, resource, there.StableLabels(k)); err != nil {
			return err
		}
	}
	idle := indexed(i.watches.informers[render.ServiceAccount], byMoved, k)
	if !there.GatewayNamespaceMode {
		var err error
		if idle, err = i.idleAccounts(ctx, namespace); err != nil {
			return err
		}
	}
	var errs []error
	for _, o := range idle {
		errs = append(errs, i.delete(ctx, o))
	}
	return errors.Join(errs...)
}

// idleAccounts returns the ServiceAccounts of fleets of the other deployment mode as which
// no workload runs. The workloads are asked for, not taken from the watch: of two fleets
// that go at once neither could see that the other is gone.
func (i *Infrastructure) idleAccounts(ctx context.Context, namespace string) ([]*unstructured.Unstructured, error) {
	used := map[string]bool{}
	for _, kind := range workloadKinds {
		list, err := i.of(kind, namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("list each %s in %s: %w", kind.Kind, namespace, err)
		}
		for _, o := range list.Items {
			used[accountOf(&o)] = true
		}
	}
	var idle []*unstructured.Unstructured
	for _, inf := range i.watches.informers[render.ServiceAccount] {
		for _, o := range inf.GetIndexer().List() {
			u := o.(*unstructured.Unstructured)
			if _, ok := i.watches.movedOwner(u); ok && u.GetNamespace() == namespace && !used[u.GetName()] {
				idle = append(idle, u)
			}
		}
	}
	return idle, nil
}
