package translate

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
)

// maxAncestors is the API's limit of status.ancestors.
const maxAncestors = 16

// policyStatus judges a BackendTLSPolicy, once for each Gateway that reaches one
// of its targets.
func policyStatus(c *incr.Context, k store.Key, p *gateway.BackendTLSPolicy) (any, []issue) {
	issues := policyIssues(c, p)
	var gateways []store.Key
	for _, t := range p.Spec.TargetRefs {
		target := store.ID{Kind: store.Kind{Group: string(t.Group), Kind: string(t.Kind)}, Namespace: k.Namespace, Name: string(t.Name)}.Key()
		for _, gw := range gatewaysOfBackend.Get(c, target) {
			if !slices.Contains(gateways, gw) {
				gateways = append(gateways, gw)
			}
		}
	}
	slices.SortFunc(gateways, store.Key.Compare)
	if len(gateways) == 0 {
		return nil, issues
	}
	status := &gateway.PolicyStatus{}
	for _, gw := range gateways[:min(len(gateways), maxAncestors)] {
		status.Ancestors = append(status.Ancestors, gateway.PolicyAncestorStatus{
			AncestorRef:    ancestor(gw),
			ControllerName: gateway.GatewayController(settings(c).ControllerName),
			Conditions: []metav1.Condition{
				judge(accepted, issues, accepted, "the policy is in force", p.Generation),
				judge(resolvedRefs, issues, resolvedRefs, "all references are resolved", p.Generation),
			},
		})
	}
	return status, issues
}

// gatewaysOfBackend lists the Gateways with a route to a backend.
var gatewaysOfBackend = incr.NewQuery("gateways of backend", func(c *incr.Context, backend store.Key) []store.Key {
	var gateways []store.Key
	for _, r := range routesByBackend.Lookup(c, backend) {
		for _, a := range attachments.Get(c, r) {
			if len(a.Listeners) > 0 && !slices.Contains(gateways, a.Gateway) {
				gateways = append(gateways, a.Gateway)
			}
		}
	}
	slices.SortFunc(gateways, store.Key.Compare)
	return gateways
}, incr.Equal[store.Key](slices.Equal[[]store.Key]))
