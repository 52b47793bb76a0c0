package translate

import (
	"slices"
	"strings"

	"k8s.io/utils/ptr"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/ir"
)

// attachment is what became of one parentRef of a route.
type attachment struct {
	Ref gateway.ParentReference
	// Gateway is the Gateway reached, directly or through a ListenerSet.
	Gateway store.Key
	// Listeners are those that serve the route, with the names they serve.
	Listeners []served
	// Issues belong to this parent only.
	Issues []issue
}

// served is a listener that took a route.
type served struct {
	Listener ir.ListenerKey
	// Hostnames are the names in common, "" for any. Nil for kinds without.
	Hostnames []string
}

// attachments resolves the parentRefs of a route. Refs to parents that are not
// ours are left out.
var attachments = incr.NewQuery("attachments", func(c *incr.Context, k store.Key) []attachment {
	route, ok := store.Get[store.Object](c, k)
	if !ok {
		return nil
	}
	common := store.CommonRouteSpec(route)
	if common == nil {
		return nil
	}
	hostnames := lower(store.RouteHostnames(route))
	var out []attachment
	for i := range common.ParentRefs {
		ref := common.ParentRefs[i]
		parent := store.ParentKey(k, &ref)
		gw, ours := gatewayOf(c, parent)
		if !ours {
			continue
		}
		a := attachment{Ref: ref, Gateway: gw}
		attach(c, &a, k, parent, path("spec", "parentRefs", i), hostnames)
		out = append(out, a)
	}
	if common.UseDefaultGateways == gateway.GatewayDefaultScopeAll {
		for _, gw := range managedGateways.Get(c, struct{}{}) {
			if !isDefaultGateway.Get(c, gw) || slices.ContainsFunc(out, func(a attachment) bool { return wholeGateway(&a, gw) }) {
				continue
			}
			a := attachment{Ref: refTo(gw), Gateway: gw}
			attach(c, &a, k, gw, "spec.useDefaultGateways", hostnames)
			out = append(out, a)
		}
	}
	return out
})

var isDefaultGateway = incr.NewQuery("default gateway", func(c *incr.Context, k store.Key) bool {
	g, ok := managedGateway(c, k)
	return ok && g.Spec.DefaultScope == gateway.GatewayDefaultScopeAll
}, incr.Equal[store.Key](equal[bool]))

// wholeGateway says whether a parentRef names all of a Gateway, so that being
// one of its defaults adds nothing.
func wholeGateway(a *attachment, gw store.Key) bool {
	return a.Gateway == gw && ptr.Deref(a.Ref.Kind, "Gateway") == "Gateway" && ptr.Deref(a.Ref.SectionName, "") == "" && ptr.Deref(a.Ref.Port, 0) == 0
}

func refTo(gw store.Key) gateway.ParentReference {
	ns := gateway.Namespace(gw.Namespace)
	return gateway.ParentReference{Namespace: &ns, Name: gateway.ObjectName(gw.Name)}
}

// gatewayOf returns the Gateway behind a parent, and whether it is ours.
func gatewayOf(c *incr.Context, parent store.Key) (store.Key, bool) {
	switch parent.Kind {
	case store.Gateway:
		return parent, isManaged.Get(c, parent)
	case store.ListenerSet:
		set, ok := store.Get[*gateway.ListenerSet](c, parent)
		if !ok {
			return store.Key{}, false
		}
		gw := store.ListenerSetParent(parent, set)
		return gw, gw.Kind == store.Gateway && isManaged.Get(c, gw)
	default:
		return store.Key{}, false
	}
}

// attach finds the listeners of a parent that take the route. The most telling
// reason is reported when none does: that of the listener that came closest.
func attach(c *incr.Context, a *attachment, route, parent store.Key, field string, hostnames []string) {
	matched, admitted, accepting := false, false, false
	for _, l := range ownListeners.Get(c, parent) {
		if s := ptr.Deref(a.Ref.SectionName, ""); s != "" && string(s) != l.Key.Name {
			continue
		}
		if p := ptr.Deref(a.Ref.Port, 0); p != 0 && p != l.Port {
			continue
		}
		matched = true
		if !l.admits(c, route) {
			continue
		}
		admitted = true
		if !l.Accepted {
			continue
		}
		accepting = true
		s := served{Listener: l.Key}
		if carriesHostnames(route.Kind) {
			if s.Hostnames = intersections(l.Hostname, hostnames); len(s.Hostnames) == 0 {
				continue
			}
		}
		a.Listeners = append(a.Listeners, s)
	}
	switch {
	case len(a.Listeners) > 0:
	case !matched:
		a.Issues = append(a.Issues, routeNoParent.at(route, field, "", "%s has no listener%s%s", parent, wanted(&a.Ref),
			offer(ownListeners.Get(c, parent), func(l *listener) string { return named(l.Key.Name, itoa(l.Port)) })))
	case !admitted:
		a.Issues = append(a.Issues, routeNotAllowed.at(route, field, "extend allowedRoutes of the listener",
			"no listener of %s%s admits a %s of namespace %q", parent, wanted(&a.Ref), route.Kind.Kind, route.Namespace))
	case !accepting:
		a.Issues = append(a.Issues, routeNoParent.at(route, field, "see the findings of the listener", "no listener of %s%s is accepted", parent, wanted(&a.Ref)))
	default:
		a.Issues = append(a.Issues, routeNoHostname.at(route, "spec.hostnames", "",
			"hostnames %s match no listener of %s%s", strings.Join(hostnames, ", "), parent, wanted(&a.Ref)))
	}
}

// admits evaluates allowedRoutes.
func (l *listener) admits(c *incr.Context, route store.Key) bool {
	return containsKind(l.Kinds, route.Kind) && admitsNamespace(c, l.From, l.Selector, l.Key.Owner.Namespace, route.Namespace)
}

func carriesHostnames(k store.Kind) bool {
	return k == store.HTTPRoute || k == store.GRPCRoute || k == store.TLSRoute
}

func wanted(ref *gateway.ParentReference) string {
	var b strings.Builder
	if s := ptr.Deref(ref.SectionName, ""); s != "" {
		b.WriteString(" named " + string(s))
	}
	if p := ptr.Deref(ref.Port, 0); p != 0 {
		b.WriteString(" on port " + itoa(p))
	}
	return b.String()
}

func lower(hs []gateway.Hostname) []string {
	out := make([]string, len(hs))
	for i, h := range hs {
		out[i] = strings.ToLower(string(h))
	}
	return out
}

// attachedRoute is a route on a listener.
type attachedRoute struct {
	Route     store.Key
	Hostnames []string
}

// gatewayRoutes lists the routes on each listener of a Gateway, by route key.
var gatewayRoutes = incr.NewQuery("gateway routes", func(c *incr.Context, gw store.Key) map[ir.ListenerKey][]attachedRoute {
	out := map[ir.ListenerKey][]attachedRoute{}
	add := func(routes []store.Key) {
		for _, r := range routes {
			for _, a := range attachments.Get(c, r) {
				if a.Gateway != gw {
					continue
				}
				for _, s := range a.Listeners {
					out[s.Listener] = merge(out[s.Listener], attachedRoute{r, s.Hostnames})
				}
			}
		}
	}
	parents := append([]store.Key{gw}, gatewayListeners.Get(c, gw).Sets...)
	seen := map[store.Key]bool{}
	if isDefaultGateway.Get(c, gw) {
		parents = append(parents, defaultGateways)
	}
	for _, p := range parents {
		var fresh []store.Key
		for _, r := range routesByParent.Lookup(c, p) {
			if !seen[r] {
				seen[r] = true
				fresh = append(fresh, r)
			}
		}
		add(fresh)
	}
	return out
})

// routesOn lists the routes on a listener, by route key.
func routesOn(c *incr.Context, l *listener) []attachedRoute {
	return gatewayRoutes.Get(c, l.Gateway)[l.Key]
}

// merge adds a route to a listener's list; a route that reaches a listener by
// two parentRefs counts once.
func merge(list []attachedRoute, r attachedRoute) []attachedRoute {
	if n := len(list); n > 0 && list[n-1].Route == r.Route {
		names := append([]string(nil), list[n-1].Hostnames...)
		for _, h := range r.Hostnames {
			if !contains(names, h) {
				names = append(names, h)
			}
		}
		list[n-1].Hostnames = names
		return list
	}
	return append(list, r)
}
