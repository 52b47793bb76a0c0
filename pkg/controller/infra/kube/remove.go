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
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/ptr"

	"github.com/egctl/egctl/pkg/controller/infra/kube/render"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

// remove deletes all objects of a fleet but a ServiceAccount that others use, and
// forgets the fleet. What another controller runs by now stays; see removeWorkloads.
func (i *Infrastructure) remove(ctx context.Context, k store.Key) error {
	elsewhere := false
	i.mu.Lock()
	if f := i.fleets[k]; f != nil {
		f.applied = map[objectName]applied{} // should it be wanted again, nothing is there
		elsewhere = f.elsewhere
	}
	i.mu.Unlock()
	if elsewhere {
		if err := i.removeFrom(ctx, k); err != nil {
			return err
		}
		i.forget(k)
		return nil
	}
	namespace, resource := i.o.Render.FleetNamespace(k), i.o.Render.FleetResource(k)
	if i.o.Certificates != nil {
		i.o.Certificates.Forget(namespace, resource)
		if err := i.removeSecret(ctx, k, namespace, resource, i.o.Render.StableLabels(k)); err != nil {
			return err
		}
	}
	taken := false
	if i.besideGateway(k) {
		var err error
		if taken, err = i.removeWorkloads(ctx, k); err != nil {
			return err
		}
	}
	var errs []error
	if taken {
		i.o.Logger.Info("left to another controller, which runs it by now", "fleet", translate.FleetName(k), "namespace", namespace)
	} else {
		errs = append(errs, i.removeAll(ctx, k))
	}
	if i.o.Render.GatewayNamespaceMode && len(i.watches.moved(k)) > 0 {
		errs = append(errs, i.removeFrom(ctx, k))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	i.forget(k)
	return nil
}

// removeAll deletes what there is of a fleet, by labels rather than by what the
// watches show, which may be of before. Workloads beside its Gateway are deleted
// already; if there is one by now, it is another controller's.
func (i *Infrastructure) removeAll(ctx context.Context, k store.Key) error {
	namespace, resource := i.o.Render.FleetNamespace(k), i.o.Render.FleetResource(k)
	ours := metav1.ListOptions{LabelSelector: labels.SelectorFromSet(i.o.Render.StableLabels(k)).String()}
	var errs []error
	for _, kind := range render.Kinds() {
		if kind == render.ServiceAccount || i.besideGateway(k) && isWorkload(kind) {
			continue
		}
		begin := time.Now()
		err := i.of(kind, namespace).DeleteCollection(ctx, background(nil), ours)
		i.observe(Write{Delete: true, Kind: kind.Kind, Namespace: namespace, Name: resource, Took: time.Since(begin), Err: err})
		if err != nil {
			errs = append(errs, fmt.Errorf("delete each %s of %s in %s: %w", kind.Kind, translate.FleetName(k), namespace, err))
		}
	}
	accounts, err := i.of(render.ServiceAccount, namespace).List(ctx, ours)
	if err != nil {
		errs = append(errs, fmt.Errorf("list each ServiceAccount of %s in %s: %w", translate.FleetName(k), namespace, err))
	} else {
		for n := range accounts.Items {
			errs = append(errs, i.removeAccount(ctx, k, &accounts.Items[n]))
		}
	}
	if mark := i.watches.get(objectName{render.ServiceAccount, render.MarkName(k)}, k.Namespace); mark != nil {
		if err := i.delete(ctx, mark); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// forget drops a fleet of which nothing is left, unless it is wanted again.
func (i *Infrastructure) forget(k store.Key) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if f := i.fleets[k]; f != nil && f.want == nil {
		delete(i.fleets, k)
	}
}

// removeSecret deletes the certificate of a fleet; a Secret of that name that is
// somebody else's stays.
func (i *Infrastructure) removeSecret(ctx context.Context, k store.Key, namespace, name string, ours map[string]string) error {
	client := i.client.Resource(secrets).Namespace(namespace)
	s, err := client.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read Secret %s/%s: %w", namespace, name, err)
	}
	if !labels.SelectorFromSet(ours).Matches(labels.Set(s.GetLabels())) {
		return nil
	}
	begin := time.Now()
	err = client.Delete(ctx, name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(s.GetUID()))})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // it is gone already
	}
	i.observe(Write{Delete: true, Kind: "Secret", Namespace: namespace, Name: name, Took: time.Since(begin), Err: err})
	if err != nil {
		return fmt.Errorf("delete Secret %s/%s: %w", namespace, name, err)
	}
	return nil
}

var secrets = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}

// background deletes an object, and in time what it owns. required, if given, keeps
// what is not as expected from being deleted in its place.
func background(required *metav1.Preconditions) metav1.DeleteOptions {
	return metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationBackground), Preconditions: required}
}

// removeFormer deletes objects of a fleet that are not among those wanted: they
// had another name or are of the other kind of workload, or are of a kind that
// is no longer asked for. A workload stays until its successor is available, and a
// ServiceAccount until no pod runs as it, or for the fleets that share it. bad are kinds whose wanted objects could
// not be applied.
func (i *Infrastructure) removeFormer(ctx context.Context, f *translate.Fleet, wanted []*unstructured.Unstructured, bad map[schema.GroupVersionKind]bool) error {
	keep := make(map[objectName]bool, len(wanted))
	for _, o := range wanted {
		keep[nameOf(o)] = true
	}
	workload := objectName{render.Deployment, i.o.Render.Names(f).Workload}
	if i.o.Render.Names(f).DaemonSet {
		workload.kind = render.DaemonSet
	}
	var errs []error
	i.setSwitching(f.Key, true) // so that what happens meanwhile is looked at again
	switching := false
	for _, kind := range render.Kinds() {
		for _, o := range i.watches.of(kind, f.Key) {
			if keep[nameOf(o)] || o.GetDeletionTimestamp() != nil {
				continue
			}
			if isWorkload(kind) {
				if bad[workload.kind] || !i.available(workload, o.GetNamespace()) {
					switching = true
					continue
				}
			} else if bad[kind] {
				continue
			} else if kind == render.ServiceAccount && !isMark(o, f.Key) && (bad[workload.kind] || !i.rolledOut(f.Key, workload, o.GetNamespace())) {
				switching = true
				continue
			}
			i.mu.Lock()
			if now := i.fleets[f.Key]; now != nil {
				delete(now.applied, nameOf(o)) // that it goes is no change by others
			}
			i.mu.Unlock()
			if kind == render.ServiceAccount {
				errs = append(errs, i.removeAccount(ctx, f.Key, o))
			} else {
				errs = append(errs, i.delete(ctx, o))
			}
		}
	}
	i.setSwitching(f.Key, switching)
	return errors.Join(errs...)
}

// setSwitching says whether something of before waits for its successor.
func (i *Infrastructure) setSwitching(k store.Key, on bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if f := i.fleets[k]; f != nil {
		f.switching = on
	}
}

// delete deletes an object, but no successor of the same name.
func (i *Infrastructure) delete(ctx context.Context, o *unstructured.Unstructured) error {
	err := i.deleteOnly(ctx, o, metav1.NewUIDPreconditions(string(o.GetUID())))
	if apierrors.IsConflict(err) {
		return nil // it is gone already
	}
	return err
}

// deleteIf deletes an object as it was when may said that it may be deleted. If it
// changes meanwhile, may is asked again.
func (i *Infrastructure) deleteIf(ctx context.Context, o *unstructured.Unstructured, may func(*unstructured.Unstructured) bool) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		if o == nil || !may(o) {
			return nil
		}
		err := i.deleteOnly(ctx, o, &metav1.Preconditions{UID: ptr.To(o.GetUID()), ResourceVersion: ptr.To(o.GetResourceVersion())})
		if apierrors.IsConflict(err) {
			now, err := i.live(ctx, nameOf(o), o.GetNamespace())
			if err != nil {
				return err
			}
			o = now
		}
		return err
	})
}

// deleteOnly deletes an object that is as required; if it is not, that is a conflict.
func (i *Infrastructure) deleteOnly(ctx context.Context, o *unstructured.Unstructured, required *metav1.Preconditions) error {
	begin := time.Now()
	err := i.of(o.GroupVersionKind(), o.GetNamespace()).Delete(ctx, o.GetName(), background(required))
	if apierrors.IsNotFound(err) {
		err = nil // it is gone already
	}
	i.observe(Write{Delete: true, Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName(), Took: time.Since(begin), Err: err})
	if err != nil {
		return fmt.Errorf("delete %s %s/%s: %w", o.GetKind(), o.GetNamespace(), o.GetName(), err)
	}
	return nil
}

// available says whether a workload has a replica that serves.
func (i *Infrastructure) available(n objectName, namespace string) bool {
	o := i.watches.get(n, namespace)
	return o != nil && replicasOf(o).available > 0
}

// rolledOut says whether all pods of a fleet are as its workload was last written.
func (i *Infrastructure) rolledOut(k store.Key, n objectName, namespace string) bool {
	i.mu.Lock()
	last, _ := i.fleets[k].last(n)
	i.mu.Unlock()
	return rolledOut(i.watches.get(n, namespace), last.version)
}

// findOrphans has removed what is left of fleets that ceased to exist while
// nobody led.
func (i *Infrastructure) findOrphans() {
	seen := map[store.Key]bool{}
	for _, kind := range render.Kinds() {
		for _, k := range i.watches.fleets(kind) {
			seen[k] = true
		}
	}
	moved := map[store.Key]bool{}
	if i.o.Render.GatewayNamespaceMode { // what is in our own namespace is ours
		for _, k := range i.watches.allMoved() {
			seen[k], moved[k] = true, true
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.applies == nil {
		return
	}
	for k := range seen {
		if k.Kind == store.GatewayClass && i.unsure {
			continue
		}
		here := !i.o.Render.GatewayNamespaceMode || slices.ContainsFunc(i.watches.workloads(k), i.madeHere)
		if i.fleets[k] == nil && (here || moved[k]) {
			i.o.Logger.Info("removing what is left of a fleet", "fleet", translate.FleetName(k))
			i.fleets[k] = &fleet{elsewhere: !here}
			i.applies.Add(k)
		}
	}
}
