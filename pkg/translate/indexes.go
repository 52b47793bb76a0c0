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

	referrersByParameters = store.NewIndex("referrers by parameters", func(_ store.Key, o store.Object) []store.Key {
		switch o := o.(type) {
		case *gateway.GatewayClass:
			if o.Spec.ParametersRef != nil {
				return []store.Key{classParametersKey(o)}
			}
		case *gateway.Gateway:
			if k, ok := gatewayParametersKey(o); ok {
				return []store.Key{k}
			}
		}
		return nil
	}, store.GatewayClass, store.Gateway)

	listenerSetsByGateway = store.NewIndex("listener sets by gateway", func(k store.Key, o store.Object) []store.Key {
		if ls, ok := o.(*gateway.ListenerSet); ok {
			return []store.Key{store.ListenerSetParent(k, ls)}
		}
		return nil
	}, store.ListenerSet)

	routesByParent = store.NewIndex("routes by parent", func(k store.Key, o store.Object) []store.Key {
		common := store.CommonRouteSpec(o)
		if common == nil {
			return nil
		}
		keys := make([]store.Key, 0, len(common.ParentRefs))
		for i := range common.ParentRefs {
			keys = append(keys, store.ParentKey(k, &common.ParentRefs[i]))
		}
		if common.UseDefaultGateways == gateway.GatewayDefaultScopeAll {
			keys = append(keys, defaultGateways)
		}
		return keys
	}, routeKinds...)

	routesByBackend = store.NewIndex("routes by backend", func(k store.Key, o store.Object) []store.Key {
		var keys []store.Key
		for _, ref := range store.BackendRefs(o) {
			keys = append(keys, store.BackendKey(k, ref))
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
