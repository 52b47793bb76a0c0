package translate

import (
	"cmp"
	"slices"
	"strings"

	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/ir"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// envoyListeners are the Envoy listeners of a fleet: one for each port and
// transport.
var envoyListeners = incr.NewQuery("envoy listeners", func(c *incr.Context, fleet store.Key) []*xds.Resource {
	var binds []ir.Bind
	for _, l := range fleetListeners(c, fleet) {
		b := ir.Bind{Port: l.Port, UDP: l.Protocol == ir.ListenerUDP}
		if l.Served && !slices.Contains(binds, b) {
			binds = append(binds, b)
		}
	}
	var list []*xds.Resource
	for _, b := range binds {
		list = append(list, envoyListener.Get(c, bindOf{fleet, b}))
	}
	if settings(c).ReadyPort != 0 {
		list = append(list, readyListener.Get(c, fleet))
	}
	return resources(list)
}, incr.Equal[store.Key](xds.EqualResources))

// readyListener is where the proxies of a fleet are asked whether they are ready.
var readyListener = incr.NewQuery("ready listener", func(c *incr.Context, fleet store.Key) *xds.Resource {
	v := proxySettings.Get(c, fleet)
	return xds.ReadyListener(v.ListenAddress, v.IPv6Only, uint32(settings(c).ReadyPort))
}, incr.Equal[store.Key](xds.Equal))

type bindOf struct {
	Fleet store.Key
	ir.Bind
}

// envoyListener is one encoded listener; nil while it would have nothing to do.
var envoyListener = incr.NewQuery("envoy listener", func(c *incr.Context, b bindOf) *xds.Resource {
	s := proxySettings.Get(c, b.Fleet)
	spec := xds.ListenerSpec{
		Name:      b.Name(),
		Address:   s.ListenAddress,
		IPv6Only:  s.IPv6Only,
		Port:      uint32(s.BoundPort(b.Port)),
		UDP:       b.UDP,
		Exclusive: settings(c).ExclusivePorts,
	}
	for _, l := range fleetListeners(c, b.Fleet) {
		if !l.Served || l.Port != b.Port || (l.Protocol == ir.ListenerUDP) != b.UDP {
			continue
		}
		spec.Origins = append(spec.Origins, l.Gateway.Object(), l.Key.Owner.Object())
		switch l.Protocol {
		case ir.ListenerHTTP:
			if len(spec.Chains) == 0 { // the HTTP listeners of a port share one
				t := tableKey{Fleet: b.Fleet, Port: b.Port}
				spec.Chains = append(spec.Chains, xds.Chain{Name: t.name(), HTTP: &xds.HTTPChain{Table: t.name(), Auths: tableAuths.Get(c, t)}})
			}
		case ir.ListenerHTTPS:
			t := tableKey{Fleet: b.Fleet, Port: b.Port, Listener: l.Key}
			spec.Chains = append(spec.Chains, xds.Chain{
				Name:        t.name(),
				ServerNames: serverNames(l.Hostname),
				TLS:         terminate(&l.Listener),
				HTTP:        &xds.HTTPChain{Table: t.name(), Auths: tableAuths.Get(c, t)},
			})
		case ir.ListenerTLS:
			spec.Chains = append(spec.Chains, tlsChains(c, b.Fleet, l)...)
		case ir.ListenerTCP, ir.ListenerUDP:
			if chain, ok := connectionChain(c, b.Fleet, l); ok {
				spec.Chains = append(spec.Chains, chain)
			}
		}
	}
	if len(spec.Chains) == 0 {
		return nil
	}
	return xds.Listener(spec)
}, incr.Equal[bindOf](xds.Equal))

func serverNames(hostname string) []string {
	if hostname == "" {
		return nil
	}
	return []string{hostname}
}

func terminate(l *ir.Listener) *xds.ServerTLS {
	t := &xds.ServerTLS{Validation: l.Validation, HTTP: l.Protocol == ir.ListenerHTTPS}
	for _, k := range l.Certificates {
		t.Certificates = append(t.Certificates, certificateName(k))
	}
	return t
}

// tlsChains makes a chain for each TLSRoute of a listener, and for a TCPRoute
// one for all names of the listener. Where two routes claim a name it is a
// TLSRoute's, which chose it, before a TCPRoute's, then that of the route whose own
// hostname is more specific, then the older one's; and a name that a more specific
// listener of the port has is left to that.
func tlsChains(c *incr.Context, fleet store.Key, l *listener) []xds.Chain {
	var names []string
	me, general := -1, false
	for _, other := range fleetListeners(c, fleet) {
		if other.Served && other.Port == l.Port && other.SNI() {
			if other.Key == l.Key {
				me = len(names)
			} else if hostnameMatches(other.Hostname, l.Hostname) {
				general = true
			}
			names = append(names, other.Hostname)
		}
	}
	claimed := map[string]claim{}
	var chains []xds.Chain
	routes := slices.DeleteFunc(byAge(c, routesOn(c, l)), func(r attachedRoute) bool {
		return l4Rule.Get(c, l4Key{r.Route, l4Protocol(&l.Listener)}).Refused
	})
	slices.SortStableFunc(routes, func(a, b attachedRoute) int {
		return compareBool(a.Route.Kind != store.TLSRoute, b.Route.Kind != store.TLSRoute)
	})
	hostnames := func(r attachedRoute) []string {
		if carriesHostnames(r.Route.Kind) {
			return r.Hostnames
		}
		return []string{l.Hostname}
	}
	for _, r := range routes {
		for _, h := range hostnames(r) {
			rank := hostnameRank(routeNames.Get(c, r.Route), l.Hostname, cmp.Or(h, "*"))
			if by, ok := claimed[h]; owner(names, h) == me && (!ok || rank > by.rank) {
				claimed[h] = claim{r.Route, rank}
			}
		}
	}
	for _, r := range routes {
		var own []string
		everything := false
		for _, h := range hostnames(r) {
			switch {
			case claimed[h].route != r.Route:
			case h == "":
				everything = true
			default:
				own = append(own, h)
			}
		}
		if !everything && len(own) == 0 {
			continue
		}
		chain := xds.Chain{
			Name: routePrefix(r.Route) + "/" + listenerName(fleet, l.Key),
			SNI:  true,
			TCP:  tcpChain(c, l, r.Route),
		}
		if !everything {
			chain.ServerNames = own
		}
		if !l.Passthrough {
			chain.TLS = terminate(&l.Listener)
		}
		chains = append(chains, chain)
	}
	if _, ok := claimed[l.Hostname]; general && !ok {
		// The rest of this listener's names must not fall to a less specific
		// listener ("listener isolation").
		chains = append(chains, xds.Chain{
			Name:        "none/" + listenerName(fleet, l.Key),
			ServerNames: serverNames(l.Hostname),
			SNI:         true,
			TCP:         &xds.TCPChain{StatPrefix: statPrefix(l)},
		})
	}
	return chains
}

// A claim is a route's to a server name of a listener.
type claim struct {
	route store.Key
	rank  int // of the hostname by which the route claims it
}

// carrier returns the oldest accepted TCPRoute or UDPRoute on a listener:
// nothing tells connections apart, so one route takes them all.
func carrier(c *incr.Context, l *listener) (store.Key, bool) {
	for _, r := range byAge(c, routesOn(c, l)) {
		if r.Route.Kind != store.TLSRoute && !l4Rule.Get(c, l4Key{r.Route, l4Protocol(&l.Listener)}).Refused {
			return r.Route, true
		}
	}
	return store.Key{}, false
}

// connectionChain is the chain of a TCP or UDP listener.
func connectionChain(c *incr.Context, fleet store.Key, l *listener) (xds.Chain, bool) {
	r, ok := carrier(c, l)
	if !ok {
		return xds.Chain{}, false
	}
	chain := xds.Chain{Name: routePrefix(r) + "/" + listenerName(fleet, l.Key)}
	if l.Protocol == ir.ListenerUDP {
		chain.UDP = &xds.UDPChain{Cluster: udpCluster(r).Name()}
	} else {
		chain.TCP = tcpChain(c, l, r)
	}
	return chain, true
}

func statPrefix(l *listener) string { return strings.ToLower(string(l.Protocol)) + "-" + itoa(l.Port) }

func tcpChain(c *incr.Context, l *listener, route store.Key) *xds.TCPChain {
	t := &xds.TCPChain{StatPrefix: statPrefix(l)}
	for _, d := range l4Rule.Get(c, l4Key{route, l4Protocol(&l.Listener)}).Destinations {
		if d.Weight == 0 {
			continue
		}
		w := xds.WeightedCluster{Weight: d.Weight}
		if d.Valid {
			w.Name = via(c, l.Gateway, d.Cluster).Name()
		}
		t.Clusters = append(t.Clusters, w)
	}
	return t
}

// byAge orders routes oldest first.
func byAge(c *incr.Context, routes []attachedRoute) []attachedRoute {
	type aged struct {
		attachedRoute
		o store.Object
	}
	list := make([]aged, 0, len(routes))
	for _, r := range routes {
		if o, ok := store.Get[store.Object](c, r.Route); ok {
			list = append(list, aged{r, o})
		}
	}
	slices.SortStableFunc(list, func(a, b aged) int {
		return cmp.Or(compareAge(a.o, b.o), a.Route.Compare(b.Route))
	})
	out := make([]attachedRoute, len(list))
	for i, a := range list {
		out[i] = a.attachedRoute
	}
	return out
}
