package kube

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/egctl/egctl/pkg/controller/infra/kube/render"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

// besideGateway says whether a fleet runs where another controller's may.
func (i *Infrastructure) besideGateway(k store.Key) bool {
	return i.o.Render.GatewayNamespaceMode && k.Namespace != ""
}

// removeWorkloads deletes the workloads of a fleet beside its Gateway. taken says that
// there are those of another controller, which has the Gateway now: it calls and labels
// everything as we do, and applied it over what was ours. The API server is asked, for
// a watch may be late, and what changes before it is deleted is looked at again.
//
// Nothing but a workload tells whose it is. If there is one of the other controller,
// what it needs is the other's as well: its ServiceAccount, ConfigMap and Service.
// (There is no certificate beside Gateways.) If there is none yet, they are taken for
// ours; those that the other applied already are deleted, and it is up to it to put
// them back.
func (i *Infrastructure) removeWorkloads(ctx context.Context, k store.Key) (taken bool, err error) {
	namespace := i.o.Render.FleetNamespace(k)
	named := metav1.ListOptions{LabelSelector: labels.SelectorFromSet(i.o.Render.StableLabels(k)).String()}
	for _, kind := range workloadKinds {
		found, err := i.of(kind, namespace).List(ctx, named)
		if err != nil {
			return false, fmt.Errorf("list each %s of %s in %s: %w", kind.Kind, translate.FleetName(k), namespace, err)
		}
		for n := range found.Items {
			err := i.deleteIf(ctx, &found.Items[n], func(o *unstructured.Unstructured) bool {
				ours := i.madeHere(o)
				taken = taken || !ours
				return ours
			})
			if err != nil {
				return false, err
			}
		}
	}
	return taken, nil
}

// madeHere says whether the proxies of a workload answer to this controller. Beside
// its Gateway there may be those of another controller with the same labels; the
// audience of the token tells them apart.
func (i *Infrastructure) madeHere(o *unstructured.Unstructured) bool {
	volumes, _, err := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "volumes")
	if err != nil {
		return false
	}
	for _, v := range volumes {
		v, ok := v.(map[string]any)
		if !ok || v["name"] != render.TokenVolume {
			continue
		}
		sources, _, err := unstructured.NestedSlice(v, "projected", "sources")
		if err != nil {
			continue
		}
		for _, s := range sources {
			if s, ok := s.(map[string]any); ok {
				audience, _, err := unstructured.NestedString(s, "serviceAccountToken", "audience")
				if err == nil && audience == i.o.Render.Audience() {
					return true
				}
			}
		}
	}
	return false
}
