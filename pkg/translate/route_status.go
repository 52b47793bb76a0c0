package translate

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/ir"
)

// maxParents is the API's limit of status.parents.
const maxParents = 32

// routeStatus judges a route of any kind, once for each parent of ours.
func routeStatus(c *incr.Context, k store.Key, o store.Object) (any, []issue) {
	common := store.CommonRouteSpec(o)
	if common == nil {
		return nil, nil
	}
	as := attachments.Get(c, k)
	var issues []issue
	if len(common.ParentRefs) == 0 && len(as) == 0 { // a default Gateway may take it
		issues = append(issues, routeDetached.at(k, "spec.parentRefs", "name the Gateway whose listeners are to serve it", "has no entry, so that nothing serves the route"))
	}
	for i := range common.ParentRefs {
		parent := store.ParentKey(k, &common.ParentRefs[i])
		if _, ours := gatewayOf(c, parent); !ours {
			issues = append(issues, routeParentMissing.at(k, path("spec", "parentRefs", i), "", "%s does not exist or is not ours", parent))
		}
	}
	for i, h := range store.RouteHostnames(o) {
		if !validHostname(strings.ToLower(string(h))) {
			issues = append(issues, routeHostname.at(k, path("spec", "hostnames", i), "use a DNS name, perhaps with *. before it", "%q is not a hostname", h))
		}
	}
	status := &gateway.RouteStatus{Parents: []gateway.RouteParentStatus{}}
	controller := gateway.GatewayController(settings(c).ControllerName)
	seen := map[string]bool{}
	for _, a := range as {
		own, rules, dropped := routeContent(c, k, o, &a)
		parentIssues := append(append([]issue(nil), a.Issues...), own...)
		issues = append(issues, a.Issues...)
		for _, i := range own {
			if id := i.Finding.String(); !seen[id] {
				seen[id] = true
				issues = append(issues, i)
			}
		}
		if len(status.Parents) == maxParents {
			continue
		}
		status.Parents = append(status.Parents, gateway.RouteParentStatus{
			ParentRef:      a.Ref,
			ControllerName: controller,
			Conditions:     routeConditions(parentIssues, len(a.Issues) > 0, rules, dropped, o.GetGeneration()),
		})
	}
	if len(as) == 0 {
		own, _, _ := routeContent(c, k, o, &attachment{})
		issues = append(issues, own...)
	}
	if len(status.Parents) == 0 {
		return nil, issues
	}
	return status, issues
}

// routeContent returns the issues of what the route says, the number of its
// rules and of those left out.
func routeContent(c *incr.Context, k store.Key, o store.Object, a *attachment) (issues []issue, rules, dropped int) {
	if httpKind(k.Kind) {
		r := routeRules.Get(c, k)
		issues = append(issues, r.Issues...)
		for i := range r.Rules {
			issues = append(issues, emptyBackends(c, k, r.Rules[i].Destinations)...)
		}
		return issues, len(ruleInputs(k, o)), r.Dropped
	}
	protocols := []ir.Protocol{}
	for _, s := range a.Listeners {
		for _, l := range ownListeners.Get(c, s.Listener.Owner) {
			if l.Key == s.Listener && !containsProtocol(protocols, l4Protocol(&l.Listener)) {
				protocols = append(protocols, l4Protocol(&l.Listener))
			}
		}
	}
	if len(protocols) == 0 {
		protocols = []ir.Protocol{defaultProtocol(k.Kind)}
	}
	for _, p := range protocols {
		r := l4Rule.Get(c, l4Key{k, p})
		for _, i := range append(slices.Clone(r.Issues), emptyBackends(c, k, r.Destinations)...) {
			if !slices.Contains(issues, i) {
				issues = append(issues, i)
			}
		}
	}
	for _, s := range a.Listeners {
		if older, ok := shadow(c, k, s.Listener); ok {
			issues = append(issues, routeShadowed.at(k, "spec.parentRefs", "", "all connections of listener %q of %s go to %s, which is older", s.Listener.Name, s.Listener.Owner, older))
		}
	}
	return issues, 1, 0
}

// shadow returns the older TCPRoute or UDPRoute that takes all connections of a
// listener, if there is one.
func shadow(c *incr.Context, route store.Key, k ir.ListenerKey) (store.Key, bool) {
	if route.Kind == store.TLSRoute {
		return store.Key{}, false
	}
	for _, l := range ownListeners.Get(c, k.Owner) {
		if l.Key == k {
			first, ok := carrier(c, l)
			return first, ok && first != route && !l4Rule.Get(c, l4Key{route, l4Protocol(&l.Listener)}).Refused
		}
	}
	return store.Key{}, false
}

func containsProtocol(list []ir.Protocol, p ir.Protocol) bool {
	for _, l := range list {
		if l == p {
			return true
		}
	}
	return false
}

func defaultProtocol(k store.Kind) ir.Protocol {
	if k == store.UDPRoute {
		return ir.UDP
	}
	return ir.TCP
}

// emptyBackends notes destinations without endpoints.
func emptyBackends(c *incr.Context, k store.Key, ds []ir.Destination) []issue {
	var issues []issue
	for i := range ds {
		d := &ds[i]
		if d.Valid && d.Weight > 0 && !hasEndpoints.Get(c, transportOf(d.Cluster)) {
			issues = append(issues, backendNoEndpoints.at(k, d.Path, "", "port %d of %s has no ready endpoints", d.Cluster.Port, d.Cluster.Backend))
		}
	}
	return issues
}

// routeConditions judges a route on one parent. A route some of whose rules are
// unusable is accepted and says which; one that has none left is not.
func routeConditions(issues []issue, detached bool, rules, dropped int, generation int64) []metav1.Condition {
	partly := !detached && dropped > 0 && dropped < rules
	var acceptance []issue
	var left []string
	for _, i := range issues {
		if i.condition == accepted && partly {
			left = append(left, i.sentence())
			continue
		}
		acceptance = append(acceptance, i)
	}
	conditions := []metav1.Condition{
		judge(accepted, acceptance, accepted, "the route is accepted", generation),
		judge(resolvedRefs, issues, resolvedRefs, "all references are resolved", generation),
	}
	if partly {
		conditions = append(conditions, condition(string(gateway.RouteConditionPartiallyInvalid), true,
			string(gateway.RouteReasonUnsupportedValue), "Dropped Rule: "+strings.Join(left, " "), generation))
	}
	return conditions
}
