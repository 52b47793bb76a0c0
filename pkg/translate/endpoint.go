package translate

import (
	"cmp"
	"slices"

	discovery "k8s.io/api/discovery/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/ir"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// loadAssignment is the EDS resource of a backend port or of a combined
// cluster. It depends on EndpointSlices, and no route, listener or cluster
// depends on it: a flapping endpoint touches nothing else.
var loadAssignment = incr.NewQuery("load assignment", func(c *incr.Context, k ir.AssignmentKey) *xds.Resource {
	if k.Rule == 0 {
		return xds.LoadAssignment(k.Name(), []xds.WeightedEndpoints{{Endpoints: endpoints.Get(c, backendPortKey{k.Backend, k.Port})}}, k.Backend.Object())
	}
	var parts []xds.WeightedEndpoints
	for _, d := range combinedDestinations(c, k) {
		if d.Valid && d.Weight > 0 {
			parts = append(parts, xds.WeightedEndpoints{
				Name:      d.Cluster.Name(),
				Weight:    d.Weight,
				Endpoints: endpoints.Get(c, backendPortKey{d.Cluster.Backend, d.Cluster.Port}),
			})
		}
	}
	return xds.LoadAssignment(k.Name(), parts, k.Backend.Object())
}, incr.Equal[ir.AssignmentKey](xds.Equal))

// combinedDestinations are the destinations of the rule behind a combined
// cluster.
func combinedDestinations(c *incr.Context, k ir.AssignmentKey) []ir.Destination {
	if k.Backend.Kind == store.HTTPRoute || k.Backend.Kind == store.GRPCRoute {
		for _, r := range routeRules.Get(c, k.Backend).Rules {
			if r.Index == k.Rule-1 {
				return r.Destinations
			}
		}
		return nil
	}
	return l4Rule.Get(c, l4Key{Route: k.Backend, Protocol: ir.UDP}).Destinations
}

// endpoints lists the usable endpoints of a backend port, by address.
var endpoints = incr.NewQuery("endpoints", func(c *incr.Context, k backendPortKey) []xds.Endpoint {
	port := servicePorts.Get(c, k)
	if !port.PortExists || port.ExternalName {
		return nil
	}
	var out []xds.Endpoint
	for _, sk := range slicesByService.Lookup(c, k.Backend) {
		if slice, ok := store.Get[*discovery.EndpointSlice](c, sk); ok {
			out = appendEndpoints(out, slice, port)
		}
	}
	slices.SortFunc(out, func(a, b xds.Endpoint) int {
		return cmp.Or(cmp.Compare(a.Zone, b.Zone), cmp.Compare(a.Address, b.Address), cmp.Compare(a.Port, b.Port), compareBool(a.Draining, b.Draining))
	})
	// An endpoint may be in two slices for a moment while it moves between them.
	return slices.CompactFunc(out, func(a, b xds.Endpoint) bool { return a.Address == b.Address && a.Port == b.Port })
}, incr.Equal[backendPortKey](slices.Equal[[]xds.Endpoint]))

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// appendEndpoints reads one slice. Endpoints that are not ready but still serve
// while they terminate are kept as draining: they finish what they have, and
// take new requests only if nobody else can.
func appendEndpoints(out []xds.Endpoint, slice *discovery.EndpointSlice, port servicePort) []xds.Endpoint {
	if slice.AddressType == discovery.AddressTypeFQDN {
		return out // a name could point anywhere; see ExternalName
	}
	for _, p := range slice.Ports {
		if or(p.Name, "") != port.PortName || p.Port == nil || string(or(p.Protocol, "TCP")) != port.Transport {
			continue
		}
		for i := range slice.Endpoints {
			e := &slice.Endpoints[i]
			ready := or(e.Conditions.Ready, true)
			terminating := or(e.Conditions.Terminating, false)
			serving := or(e.Conditions.Serving, ready)
			if !ready && !(terminating && serving) {
				continue
			}
			for _, a := range e.Addresses {
				out = append(out, xds.Endpoint{Address: a, Port: *p.Port, Zone: or(e.Zone, ""), Draining: !ready})
				break // further addresses of an endpoint mean the same place
			}
		}
	}
	return out
}

// hasEndpoints says whether a backend port has a usable endpoint.
var hasEndpoints = incr.NewQuery("has endpoints", func(c *incr.Context, k backendPortKey) bool {
	return len(endpoints.Get(c, k)) > 0
}, incr.Equal[backendPortKey](equal[bool]))

// l4Key is a TLSRoute, TCPRoute or UDPRoute as carried by a kind of listener.
type l4Key struct {
	Route    store.Key
	Protocol ir.Protocol
}

// l4Destinations are the resolved targets of a route that carries connections.
type l4Destinations struct {
	Destinations []ir.Destination
	Issues       []issue
}

// l4Rule resolves the one rule of a TLSRoute, TCPRoute or UDPRoute.
var l4Rule = incr.NewQuery("connection route", func(c *incr.Context, k l4Key) *l4Destinations {
	route, ok := store.Get[store.Object](c, k.Route)
	if !ok {
		return &l4Destinations{}
	}
	if message, bad := rejected(c, route); bad {
		return &l4Destinations{Issues: []issue{envoyRejected.at(k.Route, "", "", "%s", message)}}
	}
	out := &l4Destinations{}
	rules := l4Rules(route)
	if len(rules) != 1 {
		out.Issues = append(out.Issues, routeRuleCount.at(k.Route, "spec.rules", "keep one rule", "the route has %d rules", len(rules)))
	}
	if len(rules) == 0 {
		return out
	}
	for i := range rules[0] {
		ref := &rules[0][i]
		field := path("spec", "rules", 0, "backendRefs", i)
		d := ir.Destination{Source: ir.Source{Object: k.Route, Path: field}, Weight: weight(ref.Weight)}
		key, issues := resolveBackend(c, k.Route, field, &ref.BackendObjectReference, k.Protocol)
		if len(issues) == 0 {
			d.Cluster, d.Valid = key, true
			if k.Protocol == ir.TCP {
				if problem := backendTLS.Get(c, backendPortKey{key.Backend, key.Port}).Problem; problem != "" {
					d.Valid = false
					issues = append(issues, backendTLSInvalid.at(k.Route, field, "see the findings of the BackendTLSPolicy", "%s cannot be verified: %s", key.Backend, problem))
				}
			}
		}
		out.Issues = append(out.Issues, issues...)
		out.Destinations = append(out.Destinations, d)
	}
	return out
}, incr.Recover(func(k l4Key, reason any) *l4Destinations {
	return &l4Destinations{Issues: []issue{internalFault.at(k.Route, "", "report this fault", "%v", reason)}}
}))

// l4Rules returns the backendRefs of each rule.
func l4Rules(o store.Object) [][]gateway.BackendRef {
	var rules [][]gateway.BackendRef
	switch r := o.(type) {
	case *gateway.TLSRoute:
		for i := range r.Spec.Rules {
			rules = append(rules, r.Spec.Rules[i].BackendRefs)
		}
	case *gateway.TCPRoute:
		for i := range r.Spec.Rules {
			rules = append(rules, r.Spec.Rules[i].BackendRefs)
		}
	case *gateway.UDPRoute:
		for i := range r.Spec.Rules {
			rules = append(rules, r.Spec.Rules[i].BackendRefs)
		}
	}
	return rules
}
