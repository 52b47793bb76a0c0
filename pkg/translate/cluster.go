package translate

import (
	"cmp"
	"slices"

	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/ir"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// routeClusters lists the clusters that an HTTPRoute or GRPCRoute sends to.
var routeClusters = incr.NewQuery("route clusters", func(c *incr.Context, k store.Key) []ir.ClusterKey {
	var keys []ir.ClusterKey
	rs := routeRules.Get(c, k).Rules
	for i := range rs {
		r := &rs[i]
		if combined, ok := xds.Combined(r); ok {
			keys = append(keys, combined)
		}
		for _, m := range r.Mirrors {
			keys = append(keys, m.Cluster)
		}
		if r.Auth != nil {
			keys = append(keys, r.Auth.Cluster)
		}
		for j := range r.Destinations {
			d := &r.Destinations[j]
			if d.Valid {
				keys = append(keys, d.Cluster)
			}
			for _, m := range d.Mirrors {
				keys = append(keys, m.Cluster)
			}
			if d.Auth != nil {
				keys = append(keys, d.Auth.Cluster)
			}
		}
	}
	return keys
}, incr.Equal[store.Key](slices.Equal[[]ir.ClusterKey]))

// fleetClusters lists the clusters of a fleet in a stable order.
var fleetClusters = incr.NewQuery("fleet clusters", func(c *incr.Context, fleet store.Key) []ir.ClusterKey {
	set := map[ir.ClusterKey]struct{}{}
	add := func(gw store.Key, keys ...ir.ClusterKey) {
		for _, k := range keys {
			set[via(c, gw, k)] = struct{}{}
		}
	}
	type served struct{ gateway, route store.Key }
	seen := map[served]bool{}
	for _, l := range fleetListeners(c, fleet) {
		if !l.Served {
			continue
		}
		if l.Auth != nil {
			add(l.Gateway, l.Auth.Cluster)
		}
		for _, r := range routesOn(c, l) {
			if !httpKind(r.Route.Kind) {
				if l.Protocol != ir.ListenerTLS {
					if first, ok := carrier(c, l); !ok || first != r.Route {
						continue // it carries nothing
					}
				}
				add(l.Gateway, l4Clusters(c, l4Key{r.Route, l4Protocol(&l.Listener)})...)
			} else if s := (served{l.Gateway, r.Route}); !seen[s] {
				seen[s] = true
				add(l.Gateway, routeClusters.Get(c, r.Route)...)
			}
		}
	}
	keys := make([]ir.ClusterKey, 0, len(set))
	for k := range set {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compareClusters)
	return keys
}, incr.Equal[store.Key](slices.Equal[[]ir.ClusterKey]))

// compareClusters orders keys by their fields: cheaper than by name, and as
// stable.
func compareClusters(a, b ir.ClusterKey) int {
	return cmp.Or(a.Backend.Compare(b.Backend), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Rule, b.Rule),
		cmp.Compare(a.Protocol, b.Protocol), a.Gateway.Compare(b.Gateway))
}

// cluster is the encoded cluster under a key.
var cluster = incr.NewQuery("cluster", func(c *incr.Context, k ir.ClusterKey) *xds.Resource {
	backend := k
	if k.Rule > 0 {
		backend = firstDestination(c, k.Assignment())
	}
	bp := backendPortKey{backend.Backend, backend.Port}
	port := servicePorts.Get(c, bp)
	spec := xds.ClusterSpec{
		Name:        k.Name(),
		Assignment:  k.Assignment().Name(),
		Protocol:    cmp.Or(backend.Protocol, port.Protocol, ir.HTTP1),
		Combined:    k.Rule > 0,
		SystemTrust: settings(c).SystemTrust,
		Origin:      k.Backend.Object(),
	}
	if backend.Protocol == "" && port.Protocol == "" {
		spec.Detect = true // ALPN may choose
	}
	if backend.Protocol != ir.Raw && backend.Protocol != ir.UDP {
		if t := backendTLS.Get(c, bp).TLS; t != nil {
			tls := *t
			if k.Gateway != (store.Key{}) {
				tls.ClientCertificate = gatewayClientCert.Get(c, k.Gateway).Secret
			}
			spec.TLS = &tls
		}
	}
	return xds.Cluster(spec)
}, incr.Equal[ir.ClusterKey](xds.Equal))

// clusterSecrets names what a cluster reads by SDS.
var clusterSecrets = incr.NewQuery("cluster secrets", func(c *incr.Context, k ir.ClusterKey) []secretKeyed {
	backend := k
	if k.Rule > 0 {
		backend = firstDestination(c, k.Assignment())
	}
	t := backendTLS.Get(c, backendPortKey{backend.Backend, backend.Port}).TLS
	if t == nil || backend.Protocol == ir.Raw || backend.Protocol == ir.UDP {
		return nil
	}
	var out []secretKeyed
	if t.CASecret != "" {
		out = append(out, secretKeyed{kind: policyCA, key: t.Object})
	}
	if k.Gateway != (store.Key{}) {
		out = append(out, secretKeyed{kind: keyPair, key: gatewayClientCert.Get(c, k.Gateway).Secret})
	}
	return out
}, incr.Equal[ir.ClusterKey](slices.Equal[[]secretKeyed]))

// l4Protocol is how a listener carries connections to backends.
func l4Protocol(l *ir.Listener) ir.Protocol {
	switch {
	case l.Protocol == ir.ListenerUDP:
		return ir.UDP
	case l.Passthrough:
		return ir.Raw
	default:
		return ir.TCP
	}
}

// l4Clusters lists the clusters of a route that carries connections.
func l4Clusters(c *incr.Context, k l4Key) []ir.ClusterKey {
	if k.Protocol == ir.UDP {
		if l4Rule.Get(c, k).Refused {
			return nil
		}
		return []ir.ClusterKey{udpCluster(k.Route)}
	}
	var keys []ir.ClusterKey
	for _, d := range l4Rule.Get(c, k).Destinations {
		if d.Valid && d.Weight > 0 {
			keys = append(keys, d.Cluster)
		}
	}
	return keys
}

// udpCluster combines the backends of a UDPRoute: Envoy's UDP proxy cannot
// choose among weighted clusters, but among weighted localities of one.
func udpCluster(route store.Key) ir.ClusterKey {
	return ir.ClusterKey{Backend: route, Rule: 1, Protocol: ir.UDP}
}
