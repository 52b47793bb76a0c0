package kube

import (
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

	now := i.look(want)
	if failure != "" {
		now.Ready, now.Failed, now.Message, now.Unusable = false, true, failure, refused
	}

	i.mu.Lock()
	defer i.mu.Unlock()
	f = i.fleets[k]
	if f == nil || f.want == nil || (f.reported != nil && reflect.DeepEqual(*f.reported, now)) {
		return
	}
	f.reported = &now
	delete(i.running, k)
	i.o.Submit(store.PutValue(translate.InfrastructureKey(k), now))
}

func (i *Infrastructure) reportAll() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for k := range i.fleets {
		i.reports.Add(k)
	}
}

// look finds out how a fleet is doing.
func (i *Infrastructure) look(f *translate.Fleet) translate.Infrastructure {
	var sum replicas
	workloads := i.watches.workloads(f.Key)
	for _, w := range workloads {
		n := replicasOf(w)
		sum.available += n.available
		// While one takes over from another, both count as one.
		sum.wanted = max(sum.wanted, n.wanted, n.available)
	}
	infra := translate.Infrastructure{Ready: sum.available > 0, Message: fmt.Sprintf("%d/%d replicas ready", sum.available, sum.wanted)}
	if len(workloads) == 0 {
		infra.Message = "the proxies are not created yet"
	}
	service, err := i.service(f)
	switch {
	case err != nil:
		infra.Ready, infra.Message = false, err.Error()
		return infra
	case service == nil:
		return infra
	}
	found := withClusterIPs(f, service, addressesOf(service, f.Addresses, func() ([]corev1.Node, bool) { return i.nodes(f.Key, service) }))
	infra.Addresses, infra.Unusable = found.addresses, found.unusable
	switch {
	case len(infra.Addresses) == 0 && found.awaits != "":
		infra.Message = found.awaits
	case found.cut > 0:
		infra.Message += fmt.Sprintf("; %d more addresses are left out", found.cut)
	}
	return infra
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
