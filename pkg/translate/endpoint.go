package translate

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	discovery "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"

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
// Hints say which zone's clients should use an endpoint. They are followed where
// all proxies are known to be in one zone (Settings.Zone); a load assignment that
// proxies of several zones share can only tell Envoy the zones.
var endpoints = incr.NewQuery("endpoints", func(c *incr.Context, k transportKey) []xds.Endpoint {
	ports := servicePorts
	if k.UDP {
		ports = datagramPorts
	}
	port := ports.Get(c, k.backendPortKey)
	if !port.PortExists || port.ExternalName {
		return nil
	}
	var found []hintedEndpoint
	for _, sk := range slicesByService.Lookup(c, k.Backend) {
		if slice, ok := store.Get[*discovery.EndpointSlice](c, sk); ok {
			found = appendEndpoints(found, slice, port)
		}
	}
	out := followHints(found, settings(c).Zone)
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

// hintedEndpoint is an endpoint with the zones that it is meant for.
type hintedEndpoint struct {
	xds.Endpoint
	zones []discovery.ForZone
}

// followHints keeps the endpoints that are meant for a zone. As kube-proxy does,
// it keeps all where one has no hint, or none is for the zone: hints that are
// being written must not lead to nowhere (KEP-2433).
func followHints(found []hintedEndpoint, zone string) []xds.Endpoint {
	all := make([]xds.Endpoint, 0, len(found))
	var meant []xds.Endpoint
	complete := zone != ""
	for _, e := range found {
		all = append(all, e.Endpoint)
		complete = complete && len(e.zones) > 0
		if slices.Contains(e.zones, discovery.ForZone{Name: zone}) {
			meant = append(meant, e.Endpoint)
		}
	}
	if !complete || len(meant) == 0 {
		return all
	}
	return meant
}

// appendEndpoints reads one slice. Endpoints that are not ready but still serve
// while they terminate are kept as draining: they finish what they have, keep
// the sessions that are theirs, and take new requests only if nobody else can
// (KEP-1669).
func appendEndpoints(out []hintedEndpoint, slice *discovery.EndpointSlice, port servicePort) []hintedEndpoint {
	if slice.AddressType == discovery.AddressTypeFQDN {
		return out // a name could point anywhere; see ExternalName
	}
	for _, p := range slice.Ports {
		if ptr.Deref(p.Name, "") != port.PortName || p.Port == nil || *p.Port < 1 || *p.Port > 65535 || string(ptr.Deref(p.Protocol, "TCP")) != port.Transport {
			continue
		}
		for i := range slice.Endpoints {
			e := &slice.Endpoints[i]
			ready := ptr.Deref(e.Conditions.Ready, true)
			terminating := ptr.Deref(e.Conditions.Terminating, false)
			serving := ptr.Deref(e.Conditions.Serving, ready)
			if !ready && (!terminating || !serving) {
				continue
			}
			if len(e.Addresses) == 0 {
				continue
			}
			// Further addresses of an endpoint mean the same place.
			if a, err := netip.ParseAddr(e.Addresses[0]); err == nil && a.Zone() == "" {
				h := hintedEndpoint{Endpoint: xds.Endpoint{
					Address: a.String(), Port: *p.Port, Zone: strings.ToValidUTF8(ptr.Deref(e.Zone, ""), ""), Draining: !ready,
				}}
				if e.Hints != nil {
					h.zones = e.Hints.ForZones
				}
				out = append(out, h)
			}
		}
	}
	return out
}

// hasEndpoints says whether a backend port has a usable endpoint.
var hasEndpoints = incr.NewQuery("has endpoints", func(c *incr.Context, k transportKey) bool {
	return len(endpoints.Get(c, k)) > 0
}, incr.Equal[transportKey](equal[bool]))
