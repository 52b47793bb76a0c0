package store

import (
	"k8s.io/utils/ptr"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
)

// CommonRouteSpec returns the part that all route kinds share; nil for other kinds.
func CommonRouteSpec(o Object) *gateway.CommonRouteSpec {
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

// RouteStatus returns the status of a route; nil for other kinds.
func RouteStatus(o Object) *gateway.RouteStatus {
	switch r := o.(type) {
	case *gateway.HTTPRoute:
		return &r.Status.RouteStatus
	case *gateway.GRPCRoute:
		return &r.Status.RouteStatus
	case *gateway.TLSRoute:
		return &r.Status.RouteStatus
	case *gateway.TCPRoute:
		return &r.Status.RouteStatus
	case *gateway.UDPRoute:
		return &r.Status.RouteStatus
	default:
		return nil
	}
}

// RouteHostnames returns the hostnames of a route; nil for kinds without.
func RouteHostnames(o Object) []gateway.Hostname {
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

// BackendRefs lists every reference of a route that traffic may follow.
func BackendRefs(o Object) []*gateway.BackendObjectReference {
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
	grpcMirrors := func(fs []gateway.GRPCRouteFilter) {
		for i := range fs {
			if m := fs[i].RequestMirror; m != nil {
				refs = append(refs, &m.BackendRef)
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
			grpcMirrors(rule.Filters)
			for j := range rule.BackendRefs {
				refs = append(refs, &rule.BackendRefs[j].BackendObjectReference)
				grpcMirrors(rule.BackendRefs[j].Filters)
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

// ParentKey is the object a parentRef of route k names.
func ParentKey(k Key, ref *gateway.ParentReference) Key {
	return ID{
		Kind:      Kind{Group: string(ptr.Deref(ref.Group, gateway.GroupName)), Kind: string(ptr.Deref(ref.Kind, "Gateway"))},
		Namespace: string(ptr.Deref(ref.Namespace, gateway.Namespace(k.Namespace))),
		Name:      string(ref.Name),
	}.Key()
}

// BackendKey is the object a backendRef of route k names.
func BackendKey(k Key, ref *gateway.BackendObjectReference) Key {
	return ID{
		Kind:      Kind{Group: string(ptr.Deref(ref.Group, "")), Kind: string(ptr.Deref(ref.Kind, "Service"))},
		Namespace: string(ptr.Deref(ref.Namespace, gateway.Namespace(k.Namespace))),
		Name:      string(ref.Name),
	}.Key()
}

// ListenerSetParent is the Gateway that a ListenerSet asks to join.
func ListenerSetParent(k Key, ls *gateway.ListenerSet) Key {
	ref := &ls.Spec.ParentRef
	return ParentKey(k, &gateway.ParentReference{Group: ref.Group, Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name})
}
