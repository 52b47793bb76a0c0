package kube

import (
	"context"

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

// shared says whether several fleets may run as one ServiceAccount. They know
// themselves by their certificates then; beside Gateways the account tells who one is.
func (i *Infrastructure) shared() bool { return !i.o.Render.GatewayNamespaceMode }

func isOf(o *unstructured.Unstructured, k store.Key) bool {
	owner, ok := render.Owner(o.GetLabels())
	return ok && owner == k
}

// uses says whether a fleet is wanted whose pods run as a ServiceAccount, or are to.
// Of one that is preserved it matters what runs. Infrastructure.mu is held.
func (i *Infrastructure) uses(k store.Key, account *unstructured.Unstructured) bool {
	f := i.fleets[k]
	if f == nil || f.want == nil || i.o.Render.FleetNamespace(k) != account.GetNamespace() {
		return false
	}
	preserved := f.want.Frozen != "" || len(f.want.Ports) == 0
	return !preserved && f.account == account.GetName() || i.watches.runAs(k, account.GetName())
}

// removeAccount deletes a ServiceAccount that a fleet no longer uses. If others use it,
// it stays, and is that of the first of them that is worked on; see mayTouch. One that
// is wanted only from now on changes it, so that it is looked at again, or finds it
// gone; see seen.
func (i *Infrastructure) removeAccount(ctx context.Context, k store.Key, account *unstructured.Unstructured) error {
	return i.deleteIf(ctx, account, func(o *unstructured.Unstructured) bool { return isOf(o, k) && !i.passOn(k, o) })
}

// passOn has the other fleets that use a ServiceAccount worked on, and says whether
// there are any.
func (i *Infrastructure) passOn(from store.Key, account *unstructured.Unstructured) bool {
	if !i.shared() {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	found := false
	for k := range i.fleets {
		if k != from && i.uses(k, account) {
			found = true
			if i.applies != nil {
				i.applies.Add(k)
			}
		}
	}
	return found
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
