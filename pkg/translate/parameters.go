package translate

import (
	"fmt"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/utils/ptr"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
)

// parameters are those in force for a GatewayClass or a Gateway: its EnvoyProxy,
// laid over less specific ones if it says so.
type parameters struct {
	// Spec is never nil, and shared.
	Spec *v1alpha1.EnvoyProxySpec
	// Own is that of the EnvoyProxy that is named; nil if there is none.
	Own *v1alpha1.EnvoyProxySpec
	// From is that EnvoyProxy.
	From store.Key
	// Issues say why they cannot be used, at the object that names them. What can
	// be read of them is in Spec all the same: what runs was made by something
	// like it, and must still be understood.
	Issues []issue
	// Lost says that the named EnvoyProxy is not there.
	Lost bool
	// Ignored are the fields of Own that have no effect yet.
	Ignored []string
}

// classParametersOf finds the parameters of a GatewayClass.
var classParametersOf = incr.NewQuery("class parameters", func(c *incr.Context, k store.Key) parameters {
	class, ok := store.Get[*gateway.GatewayClass](c, k)
	fallback := ptr.Deref(settings(c).DefaultProxy, v1alpha1.EnvoyProxySpec{})
	if !ok || class.Spec.ParametersRef == nil {
		return parameters{Spec: &fallback}
	}
	p := resolveParameters(c, k, "spec.parametersRef", classParametersKey(class))
	p.finish(c, k, "spec.parametersRef", layer{&fallback, mergeType(p.Own)})
	if settings(c).GatewayNamespaceMode && ptr.Deref(p.Spec.MergeGateways, false) {
		p.Issues = append(p.Issues, classParameters.at(k, "spec.parametersRef", "set mergeGateways to false",
			"Gateways cannot be merged where proxies run in the namespaces of their Gateways"))
	}
	return p
}, incr.Equal[store.Key](equalParameters))

// gatewayParametersOf finds the parameters of a Gateway. Without any of its own
// they are those of its class, whose issues are reported there.
var gatewayParametersOf = incr.NewQuery("gateway parameters", func(c *incr.Context, k store.Key) parameters {
	g, ok := managedGateway(c, k)
	if !ok {
		return parameters{Spec: &v1alpha1.EnvoyProxySpec{}}
	}
	const field = "spec.infrastructure.parametersRef"
	class := classKey(string(g.Spec.GatewayClassName))
	inherited := classParametersOf.Get(c, class)
	to, ok := gatewayParametersKey(g)
	switch {
	case !ok:
		return parameters{Spec: inherited.Spec}
	case merged.Get(c, class):
		return parameters{Spec: inherited.Spec, Issues: []issue{gatewayParameters.at(k, field, "remove the reference, or set mergeGateways to false", "the Gateways of %s share their proxies, so that none can have parameters of its own", class)}}
	}
	p := resolveParameters(c, k, field, to)
	if p.Own != nil && p.Own.MergeGateways != nil {
		p.Issues = append(p.Issues, proxyIgnored.at(k, field, "say it in the EnvoyProxy of the GatewayClass", "mergeGateways of %s has no effect on a Gateway", to))
	}
	fallback := ptr.Deref(settings(c).DefaultProxy, v1alpha1.EnvoyProxySpec{})
	how := mergeType(p.Own)
	if inherited.Own == nil {
		p.finish(c, k, field, layer{&fallback, how})
		return p
	}
	under := how
	if how != v1alpha1.Replace && mergeType(inherited.Own) != v1alpha1.Replace {
		under = mergeType(inherited.Own)
	}
	p.finish(c, k, field, layer{inherited.Own, how}, layer{&fallback, under})
	return p
}, incr.Equal[store.Key](equalParameters))

func equalParameters(a, b parameters) bool {
	return a.Lost == b.Lost && a.From == b.From && slices.Equal(a.Issues, b.Issues) &&
		equality.Semantic.DeepEqual(a.Spec, b.Spec) && equality.Semantic.DeepEqual(a.Own, b.Own)
}

// resolveParameters follows a parametersRef.
func resolveParameters(c *incr.Context, from store.Key, field string, to store.Key) parameters {
	if to.Kind != store.EnvoyProxy {
		return parameters{Lost: true, Issues: []issue{classParameters.at(from, field, "refer to an EnvoyProxy of the group "+store.EnvoyProxy.Group,
			"parameters of kind %s are not supported", to.Kind)}}
	}
	o, ok := store.Get[*v1alpha1.EnvoyProxy](c, to)
	if !ok {
		return parameters{Lost: true, Issues: []issue{classParameters.at(from, field, "", "%s does not exist", to)}}
	}
	return parameters{Own: &o.Spec, From: to, Ignored: IgnoredProxyFields(&o.Spec)}
}

// layer is a less specific EnvoyProxy, and how the more specific one is laid
// over it.
type layer struct {
	spec *v1alpha1.EnvoyProxySpec
	how  v1alpha1.MergeType
}

// finish lays the own spec over less specific ones, the closest first, and checks
// what comes out.
func (p *parameters) finish(c *incr.Context, from store.Key, field string, under ...layer) {
	if p.Own == nil {
		p.Spec = under[0].spec
		return
	}
	p.Spec = p.Own
	for _, l := range under {
		if l.how == v1alpha1.Replace {
			continue
		}
		spec, err := mergeSpecs(l.spec, p.Spec, l.how)
		if err != nil {
			p.Issues = append(p.Issues, classParameters.at(from, field, "", "%s cannot be merged: %v", p.From, err))
			return
		}
		p.Spec = spec
	}
	if bad := checkProxy(c, p.Spec); len(bad) > 0 {
		more := ""
		if len(bad) > 1 {
			more = fmt.Sprintf(", and %d more", len(bad)-1)
		}
		p.Issues = append(p.Issues, classParameters.at(from, field, bad[0].hint, "%s cannot be used: %s: %s%s", p.From, bad[0].path, bad[0].message, more))
	}
}

func mergeType(s *v1alpha1.EnvoyProxySpec) v1alpha1.MergeType {
	if s == nil {
		return v1alpha1.Replace
	}
	return ptr.Deref(s.MergeType, v1alpha1.Replace)
}

// classParametersKey is the object that a GatewayClass names.
func classParametersKey(class *gateway.GatewayClass) store.Key {
	ref := class.Spec.ParametersRef
	return store.ID{
		Kind:      store.Kind{Group: string(ref.Group), Kind: string(ref.Kind)},
		Namespace: string(ptr.Deref(ref.Namespace, "default")),
		Name:      ref.Name,
	}.Key()
}

// gatewayParametersKey is the object that a Gateway names, if it does.
func gatewayParametersKey(g *gateway.Gateway) (store.Key, bool) {
	if g.Spec.Infrastructure == nil || g.Spec.Infrastructure.ParametersRef == nil {
		return store.Key{}, false
	}
	ref := g.Spec.Infrastructure.ParametersRef
	return store.ID{Kind: store.Kind{Group: string(ref.Group), Kind: string(ref.Kind)}, Namespace: g.Namespace, Name: ref.Name}.Key(), true
}

// fleetParameters are the parameters of a fleet.
func fleetParameters(c *incr.Context, fleet store.Key) *v1alpha1.EnvoyProxySpec {
	if fleet.Kind == store.GatewayClass {
		return classParametersOf.Get(c, fleet).Spec
	}
	return gatewayParametersOf.Get(c, fleet).Spec
}

// parametersNamespace is the namespace of the EnvoyProxy of a fleet; empty: it has
// none.
func parametersNamespace(c *incr.Context, fleet store.Key) string {
	class := fleet
	if fleet.Kind != store.GatewayClass {
		g, ok := managedGateway(c, fleet)
		if !ok {
			return ""
		}
		if from := gatewayParametersOf.Get(c, fleet).From; from != (store.Key{}) {
			return from.Namespace
		}
		class = classKey(string(g.Spec.GatewayClassName))
	}
	if from := classParametersOf.Get(c, class).From; from != (store.Key{}) {
		return from.Namespace
	}
	return ""
}

// merged says whether the Gateways of a class are served by one fleet. Where the
// EnvoyProxy that says so is lost it is as before: what runs for the class tells.
var merged = incr.NewQuery("merged class", func(c *incr.Context, class store.Key) bool {
	if settings(c).GatewayNamespaceMode || !managedClass.Get(c, class.Name) {
		return false
	}
	p := classParametersOf.Get(c, class)
	if p.Lost {
		_, runs := store.Get[*store.Value[Infrastructure]](c, InfrastructureKey(class))
		return runs
	}
	return ptr.Deref(p.Spec.MergeGateways, false)
}, incr.Equal[store.Key](equal[bool]))

// proxyView is what the parameters change in what proxies are told. It is apart,
// so that other edits of an EnvoyProxy do not reach the configuration.
type proxyView struct {
	// ListenAddress is what listeners bind.
	ListenAddress string
	// IPv6Only says that an IPv6 ListenAddress takes no IPv4 connections.
	IPv6Only bool
	// KeepOrder leaves routes in the order of the manifests.
	KeepOrder bool
	// Shift is added to ports below 1024.
	Shift int32
}

// BoundPort is the port that Envoy binds for a listener port.
func (v proxyView) BoundPort(port int32) int32 { return Settings{PortShift: v.Shift}.BoundPort(port) }

var proxySettings = incr.NewQuery("proxy settings", func(c *incr.Context, fleet store.Key) proxyView {
	s, spec := settings(c), fleetParameters(c, fleet)
	v := proxyView{ListenAddress: s.ListenAddress, Shift: s.PortShift, KeepOrder: ptr.Deref(spec.PreserveRouteOrder, false)}
	if p := spec.Provider; p != nil && p.Kubernetes != nil && ptr.Deref(p.Kubernetes.UseListenerPortAsContainerPort, false) {
		v.Shift = 0
	}
	if a, err := netip.ParseAddr(v.ListenAddress); err == nil && a.IsUnspecified() { // what was asked for by name is not widened
		switch ptr.Deref(spec.IPFamily, "") {
		case v1alpha1.IPv6:
			v.ListenAddress, v.IPv6Only = "::", true
		case v1alpha1.DualStack:
			v.ListenAddress = "::"
		}
	}
	return v
}, incr.Equal[store.Key](equal[proxyView]))
