package translate

import (
	discovery "k8s.io/api/discovery/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/store"
)

// Routes are the kinds that attach to listeners.
var routeKinds = []store.Kind{store.HTTPRoute, store.GRPCRoute, store.TLSRoute, store.TCPRoute, store.UDPRoute}

// defaultGateways is the entry of routesByParent with the routes that ask for
// default Gateways (GEP-3793).
var defaultGateways = store.ID{Kind: store.Gateway}.Key()

var (
	gatewaysByClass = store.NewIndex("gateways by class", func(_ store.Key, o store.Object) []string {
		if g, ok := o.(*gateway.Gateway); ok {
			return []string{string(g.Spec.GatewayClassName)}
		}
		return nil
	}, store.Gateway)

	listenerSetsByGateway = store.NewIndex("listener sets by gateway", func(k store.Key, o store.Object) []store.Key {
		if ls, ok := o.(*gateway.ListenerSet); ok {
			return []store.Key{listenerSetParent(k, ls)}
		}
		return nil
	}, store.ListenerSet)

	routesByParent = store.NewIndex("routes by parent", func(k store.Key, o store.Object) []store.Key {
		common := commonSpec(o)
		if common == nil {
			return nil
		}
		keys := make([]store.Key, 0, len(common.ParentRefs))
		for i := range common.ParentRefs {
			keys = append(keys, parentKey(k, &common.ParentRefs[i]))
		}
		if common.UseDefaultGateways == gateway.GatewayDefaultScopeAll {
			keys = append(keys, defaultGateways)
		}
		return keys
	}, routeKinds...)

	routesByBackend = store.NewIndex("routes by backend", func(k store.Key, o store.Object) []store.Key {
		var keys []store.Key
		for _, ref := range backendRefsOf(o) {
			keys = append(keys, backendKey(k, ref))
		}
		return keys
	}, routeKinds...)

	backendTLSByTarget = store.NewIndex("backend TLS policies by target", func(k store.Key, o store.Object) []store.Key {
		p, ok := o.(*gateway.BackendTLSPolicy)
		if !ok {
			return nil
		}
		var keys []store.Key
		for _, t := range p.Spec.TargetRefs {
			keys = append(keys, store.ID{Kind: store.Kind{Group: string(t.Group), Kind: string(t.Kind)}, Namespace: k.Namespace, Name: string(t.Name)}.Key())
		}
		return keys
	}, store.BackendTLSPolicy)

	slicesByService = store.NewIndex("endpoint slices by service", func(k store.Key, o store.Object) []store.Key {
		labels := o.GetLabels()
		var keys []store.Key
		if n := labels[discovery.LabelServiceName]; n != "" {
			keys = append(keys, store.ID{Kind: store.Service, Namespace: k.Namespace, Name: n}.Key())
		}
		if n := labels["multicluster.kubernetes.io/service-name"]; n != "" {
			keys = append(keys, store.ID{Kind: store.ServiceImport, Namespace: k.Namespace, Name: n}.Key())
		}
		return keys
	}, store.EndpointSlice)
)

// commonSpec returns the part that all route kinds share; nil for other kinds.
func commonSpec(o store.Object) *gateway.CommonRouteSpec {
	switch r := o.(type) {
	case *gateway.HTTPRoute:
		return &r.Spec.CommonRouteSpec
	case *gateway.GRPCRoute:
		return &r.Spec.CommonRouteSpec
	case *gateway.TLSRoute:
		return &r.Spec.CommonRouteSpec
	case *gateway.TCPRoute:
		return &r.Spec.CommonRouteSpec
	case *gateway.UDPRoute:
		return &r.Spec.CommonRouteSpec
	default:
		return nil
	}
}

// routeHostnames returns the hostnames of a route; nil for kinds without.
func routeHostnames(o store.Object) []gateway.Hostname {
	switch r := o.(type) {
	case *gateway.HTTPRoute:
		return r.Spec.Hostnames
	case *gateway.GRPCRoute:
		return r.Spec.Hostnames
	case *gateway.TLSRoute:
		return r.Spec.Hostnames
	default:
		return nil
	}
}

// backendRefsOf lists every reference of a route that traffic may follow.
func backendRefsOf(o store.Object) []*gateway.BackendObjectReference {
	var refs []*gateway.BackendObjectReference
	plain := func(bs []gateway.BackendRef) {
		for i := range bs {
			refs = append(refs, &bs[i].BackendObjectReference)
		}
	}
	filters := func(fs []gateway.HTTPRouteFilter) {
		for i := range fs {
			if m := fs[i].RequestMirror; m != nil {
				refs = append(refs, &m.BackendRef)
			}
			if a := fs[i].ExternalAuth; a != nil {
				refs = append(refs, &a.BackendRef)
			}
		}
	}
	switch r := o.(type) {
	case *gateway.HTTPRoute:
		for i := range r.Spec.Rules {
			rule := &r.Spec.Rules[i]
			filters(rule.Filters)
			for j := range rule.BackendRefs {
				refs = append(refs, &rule.BackendRefs[j].BackendObjectReference)
				filters(rule.BackendRefs[j].Filters)
			}
		}
	case *gateway.GRPCRoute:
		for i := range r.Spec.Rules {
			rule := &r.Spec.Rules[i]
			filters(grpcFilters(rule.Filters))
			for j := range rule.BackendRefs {
				refs = append(refs, &rule.BackendRefs[j].BackendObjectReference)
				filters(grpcFilters(rule.BackendRefs[j].Filters))
			}
		}
	case *gateway.TLSRoute:
		for i := range r.Spec.Rules {
			plain(r.Spec.Rules[i].BackendRefs)
		}
	case *gateway.TCPRoute:
		for i := range r.Spec.Rules {
			plain(r.Spec.Rules[i].BackendRefs)
		}
	case *gateway.UDPRoute:
		for i := range r.Spec.Rules {
			plain(r.Spec.Rules[i].BackendRefs)
		}
	}
	return refs
}

// or returns the pointed-to value, or a default for nil.
func or[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}

// parentKey is the object a parentRef of route k names.
func parentKey(k store.Key, ref *gateway.ParentReference) store.Key {
	return store.ID{
		Kind:      store.Kind{Group: string(or(ref.Group, gateway.GroupName)), Kind: string(or(ref.Kind, "Gateway"))},
		Namespace: string(or(ref.Namespace, gateway.Namespace(k.Namespace))),
		Name:      string(ref.Name),
	}.Key()
}

// backendKey is the object a backendRef of route k names.
func backendKey(k store.Key, ref *gateway.BackendObjectReference) store.Key {
	return store.ID{
		Kind:      store.Kind{Group: string(or(ref.Group, "")), Kind: string(or(ref.Kind, "Service"))},
		Namespace: string(or(ref.Namespace, gateway.Namespace(k.Namespace))),
		Name:      string(ref.Name),
	}.Key()
}

// listenerSetParent is the Gateway that a ListenerSet asks to join.
func listenerSetParent(k store.Key, ls *gateway.ListenerSet) store.Key {
	ref := ls.Spec.ParentRef
	return store.ID{
		Kind:      store.Kind{Group: string(or(ref.Group, gateway.GroupName)), Kind: string(or(ref.Kind, "Gateway"))},
		Namespace: string(or(ref.Namespace, gateway.Namespace(k.Namespace))),
		Name:      string(ref.Name),
	}.Key()
}
