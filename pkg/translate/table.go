package translate

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/ir"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// tableKey is a route table of a fleet: that of all HTTP listeners of a port, or
// that of one HTTPS listener.
type tableKey struct {
	Fleet store.Key
	Port  int32
	// Listener is zero for the table of the HTTP listeners.
	Listener ir.ListenerKey
}

// name is the RDS resource name; it is unique within the fleet.
func (t tableKey) name() string {
	if t.Listener == (ir.ListenerKey{}) {
		return "http-" + itoa(t.Port)
	}
	return "https-" + itoa(t.Port) + "/" + listenerName(t.Fleet, t.Listener)
}

// listenerName is a listener's name within its fleet.
func listenerName(fleet store.Key, l ir.ListenerKey) string {
	if l.Owner == fleet {
		return l.Name
	}
	name := l.Owner.Namespace + "/" + l.Owner.Name + "/" + l.Name
	if fleet.Kind == store.GatewayClass && l.Owner.Kind == store.ListenerSet {
		return "listenerset/" + name // a Gateway may have the same name
	}
	return name
}

// host is a virtual host before its routes are looked at.
type host struct {
	Domain string // "*" for any
	// Listener, of Gateway, owns the domain, and has this Hostname itself.
	Gateway  store.Key
	Listener ir.ListenerKey
	Hostname string
	// Routes serve it, by key. Without any it answers 404.
	Routes []store.Key
	// Misdirected hosts belong to another listener: 421.
	Misdirected bool
}

// hosts lists the virtual hosts of a table, by domain.
var hosts = incr.NewQuery("hosts", func(c *incr.Context, t tableKey) []host {
	mine, others := tableListeners(c, t)
	names := make([]string, 0, len(mine)+len(others))
	for _, l := range append(slices.Clone(mine), others...) {
		names = append(names, l.Hostname)
	}
	byDomain := map[string]*host{}
	for i, l := range mine {
		// The listener's own name is always there, so that requests for it are
		// not answered by a less specific listener.
		byDomain[l.Hostname] = &host{Gateway: l.Gateway, Listener: l.Key, Hostname: l.Hostname}
		for _, r := range routesOn(c, l) {
			if !httpKind(r.Route.Kind) {
				continue
			}
			for _, h := range r.Hostnames {
				if owner(names, h) != i {
					continue // listener isolation: it belongs to a more specific listener
				}
				e := byDomain[h]
				if e == nil {
					e = &host{Gateway: l.Gateway, Listener: l.Key, Hostname: l.Hostname}
					byDomain[h] = e
				}
				e.Routes = append(e.Routes, r.Route)
			}
		}
	}
	for _, l := range others {
		byDomain[l.Hostname] = &host{Listener: l.Key, Misdirected: true}
	}
	out := make([]host, 0, len(byDomain))
	for d, e := range byDomain {
		e.Domain = cmp.Or(d, "*")
		out = append(out, *e)
	}
	slices.SortFunc(out, func(a, b host) int { return cmp.Compare(a.Domain, b.Domain) })
	return out
})

func httpKind(k store.Kind) bool { return k == store.HTTPRoute || k == store.GRPCRoute }

// tableListeners returns the listeners of a table, and for HTTPS those of the
// same port whose requests do not belong here.
func tableListeners(c *incr.Context, t tableKey) (mine, others []*listener) {
	for _, l := range fleetListeners(c, t.Fleet) {
		switch {
		case !l.Served || l.Port != t.Port:
		case t.Listener == (ir.ListenerKey{}):
			if l.Protocol == ir.ListenerHTTP {
				mine = append(mine, l)
			}
		case l.Key == t.Listener:
			mine = append(mine, l)
		case l.SNI():
			others = append(others, l)
		}
	}
	return mine, others
}

// hostKey is a virtual host of a table.
type hostKey struct {
	Table  tableKey
	Domain string
}

// hostOf is one entry of hosts, apart, so that a virtual host is only looked at
// again when its own entry changed.
var hostOf = incr.NewQuery("host", func(c *incr.Context, k hostKey) host {
	all := hosts.Get(c, k.Table)
	i, ok := slices.BinarySearchFunc(all, k.Domain, func(h host, d string) int { return cmp.Compare(h.Domain, d) })
	if !ok {
		return host{}
	}
	return all[i]
})

// virtualHost is an encoded virtual host.
var virtualHost = incr.NewQuery("virtual host", func(c *incr.Context, k hostKey) []byte {
	h := hostOf.Get(c, k)
	if h.Misdirected {
		return xds.MisdirectedHost(h.Domain)
	}
	var entries []xds.RouteEntry
	for _, r := range h.Routes {
		entries = append(entries, routeEntries.Get(c, routeOn{r, h.Gateway, h.Listener})...)
		if len(h.Routes) > 1 {
			rank := hostnameRank(routeNames.Get(c, r), h.Hostname, h.Domain)
			for i := len(entries) - 1; i >= 0 && entries[i].Of(routePrefix(r)); i-- {
				entries[i].Hostname = rank
			}
		}
	}
	compare := xds.RouteEntry.Compare
	if proxySettings.Get(c, k.Table.Fleet).KeepOrder {
		compare = xds.RouteEntry.CompareOrder
	}
	slices.SortStableFunc(entries, compare)
	return xds.VirtualHost(h.Domain, entries, listenerAuth(c, h.Gateway, h.Listener))
}, incr.Equal[hostKey](bytes.Equal))

// routeNames are the hostnames that a route asks for.
var routeNames = incr.NewQuery("route hostnames", func(c *incr.Context, k store.Key) []string {
	route, ok := store.Get[store.Object](c, k)
	if !ok {
		return nil
	}
	return lower(store.RouteHostnames(route))
}, incr.Equal[store.Key](slices.Equal[[]string]))

// hostnameRank says how specific the name is by which a route serves a domain:
// that in the route, not what it has in common with the listener.
func hostnameRank(route []string, listener, domain string) int {
	rank := 0
	for _, h := range route {
		if d, ok := intersect(listener, h); ok && cmp.Or(d, "*") == domain {
			rank = max(rank, xds.HostnameRank(h))
		}
	}
	return rank
}

// routeOn is a route as served by one listener of a Gateway.
type routeOn struct {
	Route    store.Key
	Gateway  store.Key
	Listener ir.ListenerKey
}

// routeEntries are the encoded routes of an HTTPRoute or GRPCRoute on a
// listener. Policies of the listener and the Gateway take effect here.
var routeEntries = incr.NewQuery("route entries", func(c *incr.Context, k routeOn) []xds.RouteEntry {
	route, ok := store.Get[store.Object](c, k.Route)
	if !ok {
		return nil
	}
	port := listenerPort.Get(c, k.Listener)
	env := xds.RouteEnv{
		Name:    routePrefix(k.Route),
		Age:     route.GetCreationTimestamp().Unix(),
		Port:    uint32(port.Port),
		TLS:     port.TLS,
		Cluster: func(key ir.ClusterKey) string { return via(c, k.Gateway, key).Name() },
	}
	var entries []xds.RouteEntry
	rs := routeRules.Get(c, k.Route).Rules
	for i := range rs {
		entries = append(entries, xds.Routes(&rs[i], env)...)
	}
	return entries
}, incr.Equal[routeOn](func(a, b []xds.RouteEntry) bool { return slices.EqualFunc(a, b, xds.RouteEntry.Equal) }))

// routePrefix begins the names of a route's resources.
func routePrefix(k store.Key) string {
	return strings.ToLower(k.Kind.Kind) + "/" + k.Namespace + "/" + k.Name
}

// portOf is what routes need to know of their listener.
type portOf struct {
	Port int32
	TLS  bool
}

var listenerPort = incr.NewQuery("listener port", func(c *incr.Context, k ir.ListenerKey) portOf {
	for _, l := range ownListeners.Get(c, k.Owner) {
		if l.Key.Name == k.Name {
			return portOf{l.Port, l.Protocol == ir.ListenerHTTPS}
		}
	}
	return portOf{}
}, incr.Equal[ir.ListenerKey](equal[portOf]))

func listenerAuth(c *incr.Context, gw store.Key, k ir.ListenerKey) *ir.ExternalAuth {
	for _, l := range ownListeners.Get(c, k.Owner) {
		if l.Key.Name == k.Name && l.Auth != nil {
			a := *l.Auth
			a.Cluster = via(c, gw, a.Cluster)
			return &a
		}
	}
	return nil
}

// via makes a cluster one of the Gateway's own where the Gateway shows a client
// certificate to the backend.
func via(c *incr.Context, gw store.Key, k ir.ClusterKey) ir.ClusterKey {
	if gatewayClientCert.Get(c, gw).Secret == (store.Key{}) || k.Protocol == ir.Raw || k.Protocol == ir.UDP {
		return k
	}
	backend := k
	if k.Rule > 0 {
		backend = firstDestination(c, k.Assignment())
	}
	if backendTLS.Get(c, backendPortKey{backend.Backend, backend.Port}).TLS != nil {
		k.Gateway = gw
	}
	return k
}

// firstDestination is the cluster of the first usable destination of a combined
// cluster; all of them have the same settings.
func firstDestination(c *incr.Context, k ir.AssignmentKey) ir.ClusterKey {
	for _, d := range combinedDestinations(c, k) {
		if d.Valid {
			return d.Cluster
		}
	}
	return ir.ClusterKey{Backend: store.ID{}.Key()} // which exists nowhere
}

// routeTable is the encoded RouteConfiguration of a table: already encoded
// virtual hosts, one after the other.
var routeTable = incr.NewQuery("route table", func(c *incr.Context, t tableKey) *xds.Resource {
	all := hosts.Get(c, t)
	bodies := make([][]byte, len(all))
	for i := range all {
		bodies[i] = virtualHost.Get(c, hostKey{t, all[i].Domain})
	}
	return xds.RouteTable(t.name(), bodies, tableOrigins(c, t)...)
}, incr.Equal[tableKey](xds.Equal))

// tableOrigins are the Gateways that a table serves.
func tableOrigins(c *incr.Context, t tableKey) []finding.Object {
	if t.Fleet.Kind == store.Gateway {
		return []finding.Object{t.Fleet.Object()}
	}
	var origins []finding.Object
	mine, _ := tableListeners(c, t)
	for _, l := range mine {
		origins = append(origins, l.Gateway.Object())
	}
	return origins
}

// tableAuths lists the external authorisations that the routes of a table use:
// each needs a filter in the listener.
var tableAuths = incr.NewQuery("table authorisations", func(c *incr.Context, t tableKey) []ir.ExternalAuth {
	mine, _ := tableListeners(c, t)
	byName := map[string]ir.ExternalAuth{}
	for _, l := range mine {
		if l.Auth != nil {
			a := *listenerAuth(c, l.Gateway, l.Key)
			byName[xds.AuthFilterName(&a)] = a
		}
		for _, r := range routesOn(c, l) {
			for _, a := range routeAuths.Get(c, r.Route) {
				a.Cluster = via(c, l.Gateway, a.Cluster)
				byName[xds.AuthFilterName(&a)] = a
			}
		}
	}
	names := make([]string, 0, len(byName))
	for n := range byName {
		names = append(names, n)
	}
	slices.Sort(names)
	out := make([]ir.ExternalAuth, 0, len(names))
	for _, n := range names {
		out = append(out, byName[n])
	}
	return out
})

// routeAuths lists the external authorisations of a route.
var routeAuths = incr.NewQuery("route authorisations", func(c *incr.Context, k store.Key) []ir.ExternalAuth {
	if !httpKind(k.Kind) {
		return nil
	}
	var out []ir.ExternalAuth
	rs := routeRules.Get(c, k).Rules
	for i := range rs {
		if rs[i].Auth != nil {
			out = append(out, *rs[i].Auth)
		}
		for j := range rs[i].Destinations {
			if a := rs[i].Destinations[j].Auth; a != nil {
				out = append(out, *a)
			}
		}
	}
	return out
})
