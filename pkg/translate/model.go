package translate

import (
	"slices"

	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/ir"
)

// Model is what the translator understood of a Gateway before it speaks Envoy's
// language: for people and tools that ask why.
type Model struct {
	Gateway   store.Key
	Listeners []ModelListener
	Routes    []ModelRoute
}

// ModelListener is a listener of the Gateway or of one of its ListenerSets.
type ModelListener struct {
	ir.Listener
	// Accepted listeners take routes; Served ones are also in Envoy.
	Accepted, Served bool
	Routes           []ModelAttachment
}

// ModelAttachment is a route on a listener.
type ModelAttachment struct {
	Route store.Key
	// Hostnames are those in common; "" is any.
	Hostnames []string
}

// ModelRoute is a route that is on at least one listener of the Gateway.
type ModelRoute struct {
	Route store.Key
	// Rules are those of an HTTPRoute or GRPCRoute.
	Rules []ir.Rule
	// Destinations are those of a TLSRoute, TCPRoute or UDPRoute.
	Destinations []ir.Destination
}

// Model returns the resolved model of a Gateway; false if there is no such
// Gateway of ours. Routes are sorted by key. The values are shared and must not
// be changed.
func (t *Translator) Model(gw store.Key) (Model, bool) {
	c := t.db.Root()
	if _, ok := managedGateway(c, gw); !ok {
		return Model{}, false
	}
	m := Model{Gateway: gw}
	attached := gatewayRoutes.Get(c, gw)
	found := map[store.Key]ModelRoute{}
	for _, l := range gatewayListeners.Get(c, gw).All {
		ml := ModelListener{Listener: l.Listener, Accepted: l.Accepted, Served: l.Served}
		for _, a := range attached[l.Key] {
			ml.Routes = append(ml.Routes, ModelAttachment(a))
			if _, done := found[a.Route]; done {
				continue
			}
			r := ModelRoute{Route: a.Route}
			if httpKind(a.Route.Kind) {
				r.Rules = routeRules.Get(c, a.Route).Rules
			} else {
				r.Destinations = l4Rule.Get(c, l4Key{a.Route, l4Protocol(&l.Listener)}).Destinations
			}
			found[a.Route] = r
		}
		m.Listeners = append(m.Listeners, ml)
	}
	for _, r := range found {
		m.Routes = append(m.Routes, r)
	}
	slices.SortFunc(m.Routes, func(a, b ModelRoute) int { return a.Route.Compare(b.Route) })
	return m, true
}
