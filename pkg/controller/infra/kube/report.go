package kube

import (
	"context"
	"fmt"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/egctl/egctl/pkg/controller/infra/kube/render"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

// replicas counts the pods of a workload.
type replicas struct{ available, wanted int64 }

func replicasOf(workload *unstructured.Unstructured) replicas {
	number := func(fields ...string) int64 {
		n, _, err := unstructured.NestedInt64(workload.Object, fields...)
		if err != nil {
			return 0
		}
		return n
	}
	if workload.GetKind() == render.DaemonSet.Kind {
		return replicas{number("status", "numberAvailable"), number("status", "desiredNumberScheduled")}
	}
	return replicas{number("status", "availableReplicas"), number("spec", "replicas")}
}

// report tells the controller what is known of a fleet, if it is news.
func (i *Infrastructure) report(k store.Key) {
	i.mu.Lock()
	f := i.fleets[k]
	if f == nil || f.want == nil {
		if i.running[k] && len(i.watches.workloads(k)) == 0 {
			delete(i.running, k)
			i.o.Submit(store.Delete(translate.InfrastructureKey(k)))
		}
		i.mu.Unlock()
		return
	}
	want, failure, refused := f.want, f.failure, f.refused
	i.mu.Unlock()

	now, whole := i.look(want)
	if failure != "" {
		now.Ready, now.Failed, now.Message, now.Unusable = false, true, failure, refused
	}

	i.mu.Lock()
	defer i.mu.Unlock()
	f = i.fleets[k]
	if f == nil || f.want == nil {
		return
	}
	if f.reported == nil || !reflect.DeepEqual(*f.reported, now) {
		f.reported = &now
		delete(i.running, k)
		i.o.Submit(store.PutValue(translate.InfrastructureKey(k), now))
	}
	f.partial = !whole
	close(i.news)
	i.news = make(chan struct{})
}

// Known returns once all fleets that are wanted by now were reported as they are.
// Before, a fleet that serves well looks as if it did not exist. An error is ctx's.
func (i *Infrastructure) Known(ctx context.Context) error {
	for {
		i.mu.Lock()
		waits, news := false, i.news
		for _, f := range i.fleets {
			waits = waits || f.want != nil && (f.reported == nil || f.partial)
		}
		i.mu.Unlock()
		if !waits {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-news:
		}
	}
}

func (i *Infrastructure) reportAll() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for k := range i.fleets {
		i.reports.Add(k)
	}
}

// look finds out how a fleet is doing, and whether that is all there is to know.
func (i *Infrastructure) look(f *translate.Fleet) (infra translate.Infrastructure, whole bool) {
	var sum replicas
	workloads := i.watches.workloads(f.Key)
	for _, w := range workloads {
		n := replicasOf(w)
		sum.available += n.available
		// While one takes over from another, both count as one.
		sum.wanted = max(sum.wanted, n.wanted, n.available)
	}
	infra = translate.Infrastructure{Ready: sum.available > 0, Message: fmt.Sprintf("%d/%d replicas ready", sum.available, sum.wanted)}
	if len(workloads) == 0 {
		infra.Message = "the proxies are not created yet"
	}
	service, err := i.service(f)
	switch {
	case err != nil:
		infra.Ready, infra.Message = false, err.Error()
		return infra, true
	case service == nil:
		return infra, true
	}
	whole = true
	found := withClusterIPs(f, service, addressesOf(service, f.Addresses, func() (nodes []corev1.Node, known bool) {
		nodes, whole = i.nodes(f.Key, service)
		return nodes, whole
	}))
	infra.Addresses, infra.Unusable = found.addresses, found.unusable
	switch {
	case len(infra.Addresses) == 0 && found.awaits != "":
		infra.Message = found.awaits
	case found.cut > 0:
		infra.Message += fmt.Sprintf("; %d more addresses are left out", found.cut)
	}
	return infra, whole
}

// service returns the Service of a fleet: the one of the name that is wanted or,
// while that is not there, one that was.
func (i *Infrastructure) service(f *translate.Fleet) (*corev1.Service, error) {
	n := i.o.Render.Names(f)
	var found *unstructured.Unstructured
	for _, o := range i.watches.of(render.Service, f.Key) {
		if o.GetDeletionTimestamp() == nil && (found == nil || o.GetName() == n.Service) {
			found = o
		}
	}
	if found == nil {
		return nil, nil
	}
	var s corev1.Service
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(found.Object, &s); err != nil {
		return nil, fmt.Errorf("read Service %s/%s: %w", found.GetNamespace(), found.GetName(), err)
	}
	return &s, nil
}
