package translate

import (
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/ir"
)

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
