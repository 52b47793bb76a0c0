package translate

import (
	"cmp"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
)

// classStatus judges a GatewayClass; another controller's gets none.
func classStatus(c *incr.Context, class *gateway.GatewayClass) (any, []issue) {
	if string(class.Spec.ControllerName) != settings(c).ControllerName {
		return nil, nil
	}
	issues := classIssues(c, store.KeyOf(class))
	status := &gateway.GatewayClassStatus{
		Conditions: []metav1.Condition{withIgnored(judge(accepted, issues, accepted, "the class is served by this controller", class.Generation),
			classParametersOf.Get(c, store.KeyOf(class)))},
		SupportedFeatures: supportedFeatures(c),
	}
	if b, known := bundle(c); known {
		status.Conditions = append(status.Conditions, supportedVersion(b, class.Generation))
	}
	return status, issues
}

// gatewayStatus judges a Gateway and its own listeners.
func gatewayStatus(c *incr.Context, k store.Key, g *gateway.Gateway) (any, []issue) {
	if !managedClass.Get(c, string(g.Spec.GatewayClassName)) {
		var issues []issue
		if _, ok := store.Get[*gateway.GatewayClass](c, classKey(string(g.Spec.GatewayClassName))); !ok {
			issues = append(issues, classNotFound.at(k, "spec.gatewayClassName", "create the GatewayClass", "GatewayClass %s does not exist", g.Spec.GatewayClassName))
		}
		return nil, issues
	}
	issues := slices.Clone(gatewayIssues.Get(c, k))
	cert := gatewayClientCert.Get(c, k)
	ls := gatewayListeners.Get(c, k)
	routes := gatewayRoutes.Get(c, k)

	status := &gateway.GatewayStatus{Listeners: []gateway.ListenerStatus{}}
	ports := portIssues(c, k, ownListeners.Get(c, k))
	good, bad, served := 0, 0, 0
	for _, l := range ls.All {
		if l.Key.Owner == k {
			issues = append(issues, l.Issues...)
			status.Listeners = append(status.Listeners, gateway.ListenerStatus{
				Name:           gateway.SectionName(l.Key.Name),
				SupportedKinds: supportedKinds(l),
				AttachedRoutes: int32(len(routes[l.Key])),
				Conditions:     listenerConditions(c, l, gatewayAccepted.Get(c, k), g.Generation),
			})
			if !l.Accepted {
				bad++
				continue
			}
		}
		if l.Accepted {
			good++
		}
		if l.Served {
			served++
		}
	}
	status.Conditions = append(status.Conditions, withIgnored(gatewayAcceptedCondition(issues, good, bad, g.Generation), gatewayParametersOf.Get(c, k)))
	status.Conditions = append(status.Conditions, gatewayProgrammed(c, k, g, status, served, ports))
	issues = append(issues, ports...)
	issues = append(issues, otherRefusals(c, k, ls.All)...)
	if g.Spec.TLS != nil {
		issues = append(issues, cert.Issues...)
		status.Conditions = append(status.Conditions, judge(resolvedRefs, cert.Issues, resolvedRefs, "all references are resolved", g.Generation))
		if insecureFrontend(g) {
			issues = append(issues, gatewayInsecureFrontend.at(k, "spec.tls.frontend", "", "client certificates are asked for and not enforced"))
			status.Conditions = append(status.Conditions, condition(string(gateway.GatewayConditionInsecureFrontendValidationMode), true,
				string(gateway.GatewayReasonConfigurationChanged), "mode AllowInsecureFallback lets clients pass without a valid certificate", g.Generation))
		}
	}
	attached := int32(0)
	for _, set := range ls.Sets {
		if slices.ContainsFunc(ls.All, func(l *listener) bool { return l.Key.Owner == set && l.Served }) {
			attached++
		}
	}
	status.AttachedListenerSets = &attached
	return status, issues
}

func supportedKinds(l *listener) []gateway.RouteGroupKind {
	kinds := []gateway.RouteGroupKind{}
	for _, k := range l.Kinds {
		group := gateway.Group(k.Group)
		kinds = append(kinds, gateway.RouteGroupKind{Group: &group, Kind: gateway.Kind(k.Kind)})
	}
	return kinds
}

// listenerConditions are the same for listeners of Gateways and ListenerSets.
func listenerConditions(c *incr.Context, l *listener, parentAccepted bool, generation int64) []metav1.Condition {
	issues := slices.Clone(l.Issues)
	var extra []metav1.Condition
	for _, i := range l.Issues {
		if i.condition == conflicted { // a conflict is a reason not to accept, too
			issues = append(issues, issue{i.Finding, accepted, i.reason})
			extra = append(extra, condition(conflicted, true, i.reason, i.Message, generation))
			break
		}
	}
	if l.Overlaps {
		extra = append(extra, condition(string(gateway.ListenerConditionOverlappingTLSConfig), true,
			string(gateway.ListenerReasonOverlappingHostnames), "hostnames overlap with another listener; requests for its names are answered 421", generation))
	}
	acc := judge(accepted, issues, accepted, "the listener is accepted", generation)
	prog := condition(programmed, true, programmed, "the listener is programmed", generation)
	switch {
	case hasCondition(l.Issues, conflicted):
		prog = condition(programmed, false, acc.Reason, acc.Message, generation)
	case !l.Accepted:
		prog = condition(programmed, false, string(gateway.ListenerReasonInvalid), acc.Message, generation)
	case !parentAccepted:
		prog = condition(programmed, false, string(gateway.ListenerReasonInvalid), "the Gateway is not accepted", generation)
	case !l.Served:
		prog = condition(programmed, false, string(gateway.ListenerReasonInvalid), "no certificate can be used", generation)
	}
	if ports := portIssues(c, l.Key.Owner, []*listener{l}); len(ports) > 0 {
		prog = judge(programmed, ports, "", "", generation)
	}
	refs := judge(resolvedRefs, issues, resolvedRefs, "all references are resolved", generation)
	return append([]metav1.Condition{acc, prog, refs}, extra...)
}

func gatewayAcceptedCondition(issues []issue, good, bad int, generation int64) metav1.Condition {
	var own []issue
	for _, i := range issues {
		if i.condition == accepted && i.Code != listenerNoCA.id && !isListenerIssue(i) {
			own = append(own, i)
		}
	}
	switch {
	case len(own) > 0:
		return judge(accepted, own, accepted, "", generation)
	case good == 0 && bad > 0:
		return condition(accepted, false, string(gateway.GatewayReasonListenersNotValid), "no listener is valid", generation)
	case bad > 0:
		return condition(accepted, true, string(gateway.GatewayReasonListenersNotValid), fmt.Sprintf("%d listeners are not valid and left out", bad), generation)
	default:
		return condition(accepted, true, accepted, "the Gateway is accepted", generation)
	}
}

// maxAddresses is the API's limit of a Gateway's status.addresses.
const maxAddresses = 16

// gatewayProgrammed reports whether proxies serve the Gateway, and where.
func gatewayProgrammed(c *incr.Context, k store.Key, g *gateway.Gateway, status *gateway.GatewayStatus, served int, ports []issue) metav1.Condition {
	no := func(reason gateway.GatewayConditionReason, message string) metav1.Condition {
		return condition(programmed, false, string(reason), message, g.Generation)
	}
	requests := slices.DeleteFunc(slices.Clone(gatewayIssues.Get(c, k)), func(i issue) bool { return i.condition != programmed })
	var infra Infrastructure
	v, known := store.Get[*store.Value[Infrastructure]](c, InfrastructureKey(fleetOf.Get(c, k)))
	if known {
		infra = v.V
		cluster, others := routabilities(g)
		for _, a := range infra.Addresses {
			if a.Cluster && !cluster || !a.Cluster && !others {
				continue // another Gateway's of the fleet
			}
			out := gateway.GatewayStatusAddress{Type: ptr.To(gateway.IPAddressType), Value: a.Value}
			if a.Hostname {
				out.Type = ptr.To(gateway.HostnameAddressType)
			}
			if a.Cluster {
				out.Routability = ptr.To(gateway.GatewayAddressRoutabilityCluster)
			}
			status.Addresses = append(status.Addresses, out)
		}
		if more := len(status.Addresses) - maxAddresses; more > 0 {
			status.Addresses = status.Addresses[:maxAddresses]
			infra.Message += fmt.Sprintf("; %d more addresses are left out", more)
		}
	}
	switch {
	case !gatewayAccepted.Get(c, k):
		return no(gateway.GatewayReasonInvalid, "the Gateway is not accepted")
	case served == 0:
		return no(gateway.GatewayReasonInvalid, "no listener can be served")
	case len(requests) > 0:
		return judge(programmed, requests, "", "", g.Generation)
	case settings(c).AssumeProgrammed:
		return condition(programmed, true, programmed, "the configuration was translated", g.Generation)
	case !known:
		return no(gateway.GatewayReasonPending, "waiting for the proxy to be created")
	case infra.Unusable != "":
		return no(gateway.GatewayReasonAddressNotUsable, infra.Unusable)
	case infra.Failed:
		return no(gateway.GatewayReasonNoResources, infra.Message)
	case len(status.Addresses) == 0:
		return no(gateway.GatewayReasonAddressNotAssigned, cmp.Or(infra.Message, "no address is assigned yet"))
	case !infra.Ready:
		return no(gateway.GatewayReasonNoResources, infra.Message)
	default:
		return judge(programmed, ports, programmed, infra.Message, g.Generation)
	}
}

func insecureFrontend(g *gateway.Gateway) bool {
	f := g.Spec.TLS.Frontend
	if f == nil {
		return false
	}
	insecure := func(t gateway.TLSConfig) bool {
		return t.Validation != nil && t.Validation.Mode == gateway.AllowInsecureFallback
	}
	return insecure(f.Default) || slices.ContainsFunc(f.PerPort, func(p gateway.TLSPortConfig) bool { return insecure(p.TLS) })
}

// isListenerIssue tells issues of listeners from those of the Gateway by their
// path.
func isListenerIssue(i issue) bool {
	const prefix = "spec.listeners"
	return len(i.Path) >= len(prefix) && i.Path[:len(prefix)] == prefix
}

// listenerSetStatus judges a ListenerSet and its listeners.
func listenerSetStatus(c *incr.Context, k store.Key, set *gateway.ListenerSet) (any, []issue) {
	gw := store.ListenerSetParent(k, set)
	g, ok := managedGateway(c, gw)
	if !ok {
		return nil, []issue{routeParentMissing.at(k, "spec.parentRef", "", "%s does not exist or is not ours", gw)}
	}
	gen := set.Generation
	status := &gateway.ListenerSetStatus{}
	fail := func(is issue) (any, []issue) {
		status.Conditions = []metav1.Condition{
			judge(accepted, []issue{is}, "", "", gen),
			condition(programmed, false, is.reason, is.Message, gen),
		}
		return status, []issue{is}
	}
	if !admitsSet(c, g, k.Namespace) {
		return fail(listenerSetNotAllowed.at(k, "spec.parentRef", "extend allowedListeners of the Gateway", "%s admits no ListenerSets of namespace %q", gw, k.Namespace))
	}
	parent := gatewayAccepted.Get(c, gw)
	if !parent {
		return fail(listenerSetParentInvalid.at(k, "spec.parentRef", "", "%s is not accepted", gw))
	}
	routes := gatewayRoutes.Get(c, gw)
	var issues []issue
	good, bad := 0, 0
	for _, l := range ownListeners.Get(c, k) {
		issues = append(issues, l.Issues...)
		status.Listeners = append(status.Listeners, gateway.ListenerEntryStatus{
			Name:           gateway.SectionName(l.Key.Name),
			SupportedKinds: supportedKinds(l),
			AttachedRoutes: int32(len(routes[l.Key])),
			Conditions:     listenerConditions(c, l, parent, gen),
		})
		// Without a usable certificate there is nothing valid about the set, even
		// though its listener takes routes.
		if l.Served {
			good++
		} else {
			bad++
		}
	}
	ports := portIssues(c, k, ownListeners.Get(c, k))
	issues = append(issues, ports...)
	issues = append(issues, otherRefusals(c, k, ownListeners.Get(c, k))...)
	notValid := string(gateway.ListenerSetReasonListenersNotValid)
	switch {
	case good == 0:
		status.Conditions = []metav1.Condition{
			condition(accepted, false, notValid, "no listener is valid", gen),
			condition(programmed, false, notValid, "no listener is valid", gen),
		}
	case bad > 0:
		status.Conditions = []metav1.Condition{
			condition(accepted, true, notValid, fmt.Sprintf("%d listeners are not valid and left out", bad), gen),
			judge(programmed, ports, programmed, "the valid listeners are programmed", gen),
		}
	default:
		status.Conditions = []metav1.Condition{
			condition(accepted, true, accepted, "the ListenerSet is accepted", gen),
			judge(programmed, ports, programmed, "the listeners are programmed", gen),
		}
	}
	return status, issues
}
