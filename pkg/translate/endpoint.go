package translate

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

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
		return xds.LoadAssignment(k.Name(), []xds.WeightedEndpoints{{Endpoints: endpoints.Get(c, transportKey{backendPortKey{k.Backend, k.Port}, false})}}, k.Backend.Object())
	}
	var parts []xds.WeightedEndpoints
	for _, d := range combinedDestinations(c, k) {
		if d.Weight == 0 {
			continue
		}
		part := xds.WeightedEndpoints{Weight: d.Weight}
		if d.Valid {
			part.Name, part.Endpoints = d.Cluster.Name(), endpoints.Get(c, transportOf(d.Cluster))
		}
		if len(part.Endpoints) == 0 {
			if k.Backend.Kind != store.UDPRoute {
				continue
			}
			part.Name, part.Endpoints = "discard", discarded
		}
		// Envoy knows a locality and an address once.
		if i := slices.IndexFunc(parts, func(p xds.WeightedEndpoints) bool { return p.Name == part.Name }); i >= 0 {
			parts[i].Weight += part.Weight
			continue
		}
		parts = append(parts, part)
	}
	return xds.LoadAssignment(k.Name(), parts, k.Backend.Object())
}, incr.Equal[ir.AssignmentKey](xds.Equal))

// discarded is where the share of a backend that cannot be reached goes: the
// others must not get it (specification of backendRefs), and Envoy's UDP proxy
// has no way to drop datagrams. Port 9 is where they are thrown away (RFC 863),
// whether or not somebody listens.
var discarded = []xds.Endpoint{{Address: "127.0.0.1", Port: 9}}

// transportKey is a port of a backend as TCP or UDP.
type transportKey struct {
	backendPortKey
	UDP bool
}

func transportOf(k ir.ClusterKey) transportKey {
	return transportKey{backendPortKey{k.Backend, k.Port}, k.Protocol == ir.UDP}
}

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

// endpoints lists the usable endpoints of a backend port: ready ones before
// draining ones, each by zone and address.
//
// The hints of EndpointSlices are not followed: they say which zone's clients
// should use an endpoint, and a load assignment is shared by proxies of every
// zone. What they are for, short ways, is for Envoy to do with the zones that the
// assignment tells it.
var endpoints = incr.NewQuery("endpoints", func(c *incr.Context, k transportKey) []xds.Endpoint {
	ports := servicePorts
	if k.UDP {
		ports = datagramPorts
	}
	port := ports.Get(c, k.backendPortKey)
	if !port.PortExists || port.ExternalName {
		return nil
	}
	var out []xds.Endpoint
	for _, sk := range slicesByService.Lookup(c, k.Backend) {
		if slice, ok := store.Get[*discovery.EndpointSlice](c, sk); ok {
			out = appendEndpoints(out, slice, port)
		}
	}
	// An endpoint may be in two slices for a moment while it moves between them.
	// What one of them calls ready is ready.
	slices.SortFunc(out, func(a, b xds.Endpoint) int {
		return cmp.Or(cmp.Compare(a.Address, b.Address), cmp.Compare(a.Port, b.Port), compareBool(a.Draining, b.Draining), cmp.Compare(b.Zone, a.Zone))
	})
	out = slices.CompactFunc(out, func(a, b xds.Endpoint) bool { return a.Address == b.Address && a.Port == b.Port })
	slices.SortStableFunc(out, func(a, b xds.Endpoint) int {
		return cmp.Or(compareBool(a.Draining, b.Draining), cmp.Compare(a.Zone, b.Zone))
	})
	return out
}, incr.Equal[transportKey](slices.Equal[[]xds.Endpoint]))

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
// while they terminate are kept as draining: they finish what they have, keep
// the sessions that are theirs, and take new requests only if nobody else can
// (KEP-1669).
func appendEndpoints(out []xds.Endpoint, slice *discovery.EndpointSlice, port servicePort) []xds.Endpoint {
	if slice.AddressType == discovery.AddressTypeFQDN {
		return out // a name could point anywhere; see ExternalName
	}
	for _, p := range slice.Ports {
		if or(p.Name, "") != port.PortName || p.Port == nil || *p.Port < 1 || *p.Port > 65535 || string(or(p.Protocol, "TCP")) != port.Transport {
			continue
		}
		for i := range slice.Endpoints {
			e := &slice.Endpoints[i]
			ready := or(e.Conditions.Ready, true)
			terminating := or(e.Conditions.Terminating, false)
			serving := or(e.Conditions.Serving, ready)
			if !ready && (!terminating || !serving) {
				continue
			}
			if len(e.Addresses) == 0 {
				continue
			}
			// Further addresses of an endpoint mean the same place.
			if a, err := netip.ParseAddr(e.Addresses[0]); err == nil && a.Zone() == "" {
				out = append(out, xds.Endpoint{Address: a.String(), Port: *p.Port, Zone: strings.ToValidUTF8(or(e.Zone, ""), ""), Draining: !ready})
			}
		}
	}
	return out
}

// hasEndpoints says whether a backend port has a usable endpoint.
var hasEndpoints = incr.NewQuery("has endpoints", func(c *incr.Context, k transportKey) bool {
	return len(endpoints.Get(c, k)) > 0
}, incr.Equal[transportKey](equal[bool]))

// l4Key is a TLSRoute, TCPRoute or UDPRoute as carried by a kind of listener.
type l4Key struct {
	Route    store.Key
	Protocol ir.Protocol
}

// l4Destinations are the resolved targets of a route that carries connections.
type l4Destinations struct {
	Destinations []ir.Destination
	// Refused routes are not accepted and carry nothing.
	Refused bool
	Issues  []issue
}

// l4Rule resolves the one rule of a TLSRoute, TCPRoute or UDPRoute.
var l4Rule = incr.NewQuery("connection route", func(c *incr.Context, k l4Key) *l4Destinations {
	route, ok := store.Get[store.Object](c, k.Route)
	if !ok {
		return &l4Destinations{}
	}
	if message, bad := rejected(c, route); bad {
		return &l4Destinations{Refused: true, Issues: []issue{envoyRejected.at(k.Route, "", "", "%s", message)}}
	}
	out := &l4Destinations{}
	rules := l4Rules(route)
	if len(rules) != 1 {
		out.Refused = true
		out.Issues = append(out.Issues, routeRuleCount.at(k.Route, "spec.rules", "keep one rule", "the route has %d rules", len(rules)))
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
				if t := backendTLS.Get(c, backendPortKey{key.Backend, key.Port}); t.Problem != "" && !t.Asked {
					d.Valid = false
					issues = append(issues, backendTLSInvalid.at(k.Route, field, "see the findings of the BackendTLSPolicy", "%s cannot be verified: %s", key.Backend, t.Problem))
				}
			}
		}
		out.Issues = append(out.Issues, issues...)
		out.Destinations = append(out.Destinations, d)
	}
	return out
}, incr.Recover(func(k l4Key, reason any) *l4Destinations {
	return &l4Destinations{Refused: true, Issues: []issue{internalFault.at(k.Route, "", "report this fault", "%v", reason)}}
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
