package kube

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egctl/egctl/pkg/controller/infra/kube/render"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

// ServiceAccountFleet returns the name of the fleet whose pods run as a
// ServiceAccount, or did until it was given another: those pods are there until the
// rollout is over, and so is that account, which was made for the fleet. If several
// do, it names none: a token would not tell whose it is.
func (i *Infrastructure) ServiceAccountFleet(namespace, name string) (string, bool) {
	former, isFormer := store.Key{}, false
	if o := i.watches.get(objectName{render.ServiceAccount, name}, namespace); o != nil {
		former, isFormer = i.watches.owner(o)
		isFormer = isFormer && !isMark(o, former)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	var found []store.Key
	for k, f := range i.fleets {
		if f.want == nil || i.o.Render.FleetNamespace(k) != namespace {
			continue
		}
		account := f.account
		if account == "" {
			account = i.watches.account(k)
		}
		if account == name || isFormer && former == k {
			found = append(found, k)
		}
	}
	if len(found) != 1 {
		return "", false
	}
	return translate.FleetName(found[0]), true
}

// rolledOut says whether all pods of a workload are of its present template, as
// written at a version or later, and one of them serves.
func rolledOut(o *unstructured.Unstructured, since uint64) bool {
	if o == nil || version(o) < since {
		return false
	}
	number := func(fields ...string) int64 {
		n, _, err := unstructured.NestedInt64(o.Object, fields...)
		if err != nil {
			return -1
		}
		return n
	}
	if number("status", "observedGeneration") < o.GetGeneration() {
		return false
	}
	r := replicasOf(o)
	if o.GetKind() == render.DaemonSet.Kind {
		return r.available > 0 && number("status", "updatedNumberScheduled") >= r.wanted
	}
	updated := number("status", "updatedReplicas")
	return r.available > 0 && updated >= r.wanted && number("status", "replicas") <= updated
}
