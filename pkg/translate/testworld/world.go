// Package testworld makes up Kubernetes objects for tests and benchmarks of the
// translator.
package testworld

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// World is a small set of objects that changes at random. Names are few, so
// that objects meet, miss and contradict each other.
type World struct {
	rng     *rand.Rand
	objects map[store.Key]store.Object
	clock   time.Time
}

// New returns an empty world.
func New(rng *rand.Rand) *World {
	return &World{rng: rng, objects: map[store.Key]store.Object{}, clock: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
}

// All returns the changes that make the world from nothing, in random order.
func (w *World) All() []store.Change {
	var all []store.Change
	for _, k := range slices.SortedFunc(maps.Keys(w.objects), store.Key.Compare) {
		all = append(all, store.Change{Key: k, Object: w.objects[k]})
	}
	w.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// Clear deletes everything.
func (w *World) Clear() []store.Change {
	var all []store.Change
	for k := range w.objects {
		all = append(all, store.Delete(k))
	}
	clear(w.objects)
	return all
}

// Step makes n random changes.
func (w *World) Step(n int) []store.Change {
	changes := make([]store.Change, 0, n)
	for range n {
		changes = append(changes, w.change())
	}
	return changes
}

// makers say how to make an object of a kind, and how often to.
var makers = []struct {
	weight int
	make   func(*World) store.Object
}{
	{2, (*World).class}, {6, (*World).gateway}, {4, (*World).listenerSet}, {14, (*World).httpRoute}, {4, (*World).grpcRoute},
	{4, (*World).tlsRoute}, {3, (*World).tcpRoute}, {3, (*World).udpRoute}, {6, (*World).service}, {8, (*World).slice},
	{3, (*World).secret}, {2, (*World).configMap}, {3, (*World).grant}, {3, (*World).policy}, {2, (*World).namespace},
	{3, (*World).envoyProxy}, {2, (*World).infrastructure}, {1, (*World).rejection}, {2, (*World).refusal}, {1, (*World).bundle},
}

func (w *World) change() store.Change {
	total := 0
	for _, m := range makers {
		total += m.weight
	}
	n := w.rng.IntN(total)
	var o store.Object
	for _, m := range makers {
		if n -= m.weight; n < 0 {
			o = m.make(w)
			break
		}
	}
	k := keyOf(o)
	if _, exists := w.objects[k]; exists && w.chance(0.35) {
		delete(w.objects, k)
		return store.Delete(k)
	}
	w.clock = w.clock.Add(time.Duration(w.rng.IntN(2)) * time.Second)
	if old, exists := w.objects[k]; exists {
		o.SetCreationTimestamp(old.GetCreationTimestamp())
		o.SetGeneration(old.GetGeneration() + 1)
	} else {
		o.SetCreationTimestamp(metav1.NewTime(w.clock))
		o.SetGeneration(1)
	}
	w.objects[k] = o
	return store.Change{Key: k, Object: o}
}

// keyOf is store.KeyOf, which knows internal values by their TypeMeta too.
func keyOf(o store.Object) store.Key { return store.KeyOf(o) }

func (w *World) chance(p float64) bool { return w.rng.Float64() < p }

func pick[T any](w *World, list ...T) T { return list[w.rng.IntN(len(list))] }

func maybe[T any](w *World, p float64, v T) *T {
	if w.chance(p) {
		return &v
	}
	return nil
}

func ptr[T any](v T) *T { return &v }

func (w *World) ns() string { return pick(w, "a", "a", "a", "b", "c") }

func (w *World) meta(o store.Object, names int, prefix string) {
	o.SetNamespace(w.ns())
	o.SetName(fmt.Sprintf("%s%d", prefix, w.rng.IntN(names)))
}

func (w *World) class() store.Object {
	c := &gateway.GatewayClass{}
	c.Name = pick(w, "eg", "eg", "other")
	c.Spec.ControllerName = pick[gateway.GatewayController](w, translate.DefaultControllerName, translate.DefaultControllerName, "example.com/other")
	if w.chance(0.5) {
		c.Spec.ParametersRef = &gateway.ParametersReference{
			Group: "gateway.envoyproxy.io", Kind: pick[gateway.Kind](w, "EnvoyProxy", "EnvoyProxy", "EnvoyProxy", "ConfigMap"), Name: pick(w, "proxy0", "proxy1"), Namespace: ptr(gateway.Namespace(w.ns())),
		}
	}
	return c
}

func (w *World) gateway() store.Object {
	g := &gateway.Gateway{}
	w.meta(g, 2, "gw")
	g.Spec.GatewayClassName = pick[gateway.ObjectName](w, "eg", "eg", "eg", "other")
	for i := range 1 + w.rng.IntN(4) {
		g.Spec.Listeners = append(g.Spec.Listeners, gateway.Listener(w.listener(i)))
	}
	if w.chance(0.5) {
		g.Spec.AllowedListeners = &gateway.AllowedListeners{Namespaces: &gateway.ListenerNamespaces{
			From: ptr(pick(w, gateway.NamespacesFromAll, gateway.NamespacesFromSame, gateway.NamespacesFromSelector)), Selector: w.selector(),
		}}
	}
	if w.chance(0.2) {
		g.Spec.Addresses = []gateway.GatewaySpecAddress{{Type: ptr(pick(w, gateway.IPAddressType, gateway.HostnameAddressType, "example.com/odd")), Value: "1.2.3.4"}}
	}
	if w.chance(0.3) {
		g.Spec.TLS = &gateway.GatewayTLSConfig{}
		if w.chance(0.5) {
			g.Spec.TLS.Backend = &gateway.GatewayBackendTLS{ClientCertificateRef: ptr(w.secretRef())}
		}
		if w.chance(0.6) {
			g.Spec.TLS.Frontend = &gateway.FrontendTLSConfig{Default: w.frontend()}
			if w.chance(0.4) {
				g.Spec.TLS.Frontend.PerPort = []gateway.TLSPortConfig{{Port: 443, TLS: w.frontend()}}
			}
		}
	}
	if w.chance(0.1) {
		g.Spec.DefaultScope = gateway.GatewayDefaultScopeAll
	}
	if w.chance(0.3) {
		g.Spec.Infrastructure = &gateway.GatewayInfrastructure{Labels: map[gateway.LabelKey]gateway.LabelValue{"tier": pick[gateway.LabelValue](w, "edge", "inner")}}
	}
	if w.chance(0.2) {
		g.Spec.Infrastructure = &gateway.GatewayInfrastructure{ParametersRef: &gateway.LocalParametersReference{Group: "gateway.envoyproxy.io", Kind: "EnvoyProxy", Name: pick(w, "proxy0", "proxy1")}}
	}
	return g
}

func (w *World) frontend() gateway.TLSConfig {
	if w.chance(0.3) {
		return gateway.TLSConfig{}
	}
	ref := gateway.ObjectReference{Kind: pick[gateway.Kind](w, "ConfigMap", "ConfigMap", "Secret", "Service"), Name: pick[gateway.ObjectName](w, "ca0", "ca1"), Namespace: maybe(w, 0.2, gateway.Namespace(w.ns()))}
	return gateway.TLSConfig{Validation: &gateway.FrontendTLSValidation{
		CACertificateRefs: []gateway.ObjectReference{ref}, Mode: pick(w, gateway.AllowValidOnly, gateway.AllowInsecureFallback),
	}}
}

func (w *World) secretRef() gateway.SecretObjectReference {
	return gateway.SecretObjectReference{
		Kind: maybe(w, 0.1, pick[gateway.Kind](w, "Secret", "ConfigMap")), Name: pick[gateway.ObjectName](w, "cert0", "cert1", "cert2"),
		Namespace: maybe(w, 0.25, gateway.Namespace(w.ns())),
	}
}

func (w *World) hostname() gateway.Hostname {
	return pick[gateway.Hostname](w, "example.com", "a.example.com", "b.example.com", "*.example.com", "*.a.example.com", "*.com", "x.org")
}

func (w *World) selector() *metav1.LabelSelector {
	s := &metav1.LabelSelector{MatchLabels: map[string]string{"team": pick(w, "red", "blue")}}
	if w.chance(0.1) {
		s.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "x", Operator: "Odd"}}
	}
	return s
}

func (w *World) listener(i int) gateway.ListenerEntry {
	l := gateway.ListenerEntry{
		Name:     gateway.SectionName(fmt.Sprintf("l%d", i)),
		Port:     pick[gateway.PortNumber](w, 80, 80, 443, 443, 8080, 53),
		Protocol: pick[gateway.ProtocolType](w, "HTTP", "HTTP", "HTTP", "HTTPS", "HTTPS", "TLS", "TCP", "UDP", "ODD"),
		Hostname: maybe(w, 0.6, w.hostname()),
	}
	if l.Protocol == "HTTPS" || l.Protocol == "TLS" || w.chance(0.03) {
		l.TLS = &gateway.ListenerTLSConfig{Mode: maybe(w, 0.5, pick(w, gateway.TLSModeTerminate, gateway.TLSModePassthrough))}
		for range w.rng.IntN(3) {
			l.TLS.CertificateRefs = append(l.TLS.CertificateRefs, w.secretRef())
		}
	}
	if w.chance(0.6) {
		l.AllowedRoutes = &gateway.AllowedRoutes{Namespaces: &gateway.RouteNamespaces{
			From: ptr(pick(w, gateway.NamespacesFromAll, gateway.NamespacesFromAll, gateway.NamespacesFromSame, gateway.NamespacesFromSelector)), Selector: w.selector(),
		}}
		if w.chance(0.2) {
			l.AllowedRoutes.Kinds = []gateway.RouteGroupKind{{Kind: pick[gateway.Kind](w, "HTTPRoute", "TLSRoute", "OddRoute")}}
		}
	}
	if w.chance(0.05) {
		l.Filters = &gateway.ListenerFilters{Requests: []gateway.ListenerFilter{{Type: gateway.ListenerFilterExternalAuth, ExternalAuth: w.auth()}}}
	}
	return l
}

func (w *World) listenerSet() store.Object {
	s := &gateway.ListenerSet{}
	w.meta(s, 2, "set")
	s.Spec.ParentRef = gateway.ParentGatewayReference{Name: pick[gateway.ObjectName](w, "gw0", "gw1"), Namespace: maybe(w, 0.4, gateway.Namespace(w.ns()))}
	for i := range 1 + w.rng.IntN(3) {
		s.Spec.Listeners = append(s.Spec.Listeners, w.listener(i))
	}
	return s
}

func (w *World) namespace() store.Object {
	n := &core.Namespace{}
	n.Name = w.ns()
	n.Labels = map[string]string{"team": pick(w, "red", "blue", "green")}
	return n
}

func (w *World) envoyProxy() store.Object {
	p := &v1alpha1.EnvoyProxy{}
	w.meta(p, 2, "proxy")
	p.Spec.MergeGateways = maybe(w, 0.5, w.chance(0.7))
	p.Spec.MergeType = maybe(w, 0.5, pick(w, v1alpha1.Replace, v1alpha1.StrategicMerge, v1alpha1.JSONMerge, "Odd"))
	p.Spec.IPFamily = maybe(w, 0.2, pick(w, v1alpha1.IPv4, v1alpha1.IPv6, v1alpha1.DualStack))
	p.Spec.PreserveRouteOrder = maybe(w, 0.3, true)
	p.Spec.RoutingType = maybe(w, 0.1, v1alpha1.ServiceRoutingType)
	if w.chance(0.4) {
		p.Spec.Provider = &v1alpha1.EnvoyProxyProvider{Type: pick(w, v1alpha1.EnvoyProxyProviderKubernetes, v1alpha1.EnvoyProxyProviderKubernetes, "Odd")}
		p.Spec.Provider.Kubernetes = &v1alpha1.EnvoyProxyKubernetesProvider{
			UseListenerPortAsContainerPort: maybe(w, 0.5, w.chance(0.5)),
			EnvoyService: &v1alpha1.KubernetesServiceSpec{
				Type: maybe(w, 0.5, pick(w, v1alpha1.ServiceTypeNodePort, v1alpha1.ServiceTypeLoadBalancer)), LoadBalancerIP: maybe(w, 0.3, pick(w, "10.0.0.9", "odd")),
			},
		}
	}
	return p
}

func (w *World) infrastructure() store.Object {
	fleet := store.ID{Kind: store.Gateway, Namespace: w.ns(), Name: pick(w, "gw0", "gw1")}
	if w.chance(0.3) {
		fleet = store.ID{Kind: store.GatewayClass, Name: pick(w, "eg", "other")}
	}
	k := translate.InfrastructureKey(fleet.Key())
	return store.PutValue(k, translate.Infrastructure{Ready: w.chance(0.7), Addresses: []translate.Address{{Value: "10.0.0.1"}}}).Object
}

func (w *World) rejection() store.Object {
	k := translate.RejectionKey(store.ID{Kind: store.HTTPRoute, Namespace: w.ns(), Name: fmt.Sprintf("http%d", w.rng.IntN(6))}.Key())
	return store.PutValue(k, translate.Rejection{Generation: int64(1 + w.rng.IntN(3)), Message: "no"}).Object
}

func (w *World) bundle() store.Object {
	return store.PutValue(store.BundleKey(), store.Bundle{Version: pick(w, "v1.7.0", "v1.99.0", ""), Channel: pick(w, "standard", "experimental")}).Object
}

func (w *World) refusal() store.Object {
	id := pick(w, store.ID{Kind: store.Gateway, Name: "gw0"}, store.ID{Kind: store.ListenerSet, Name: "set0"}, store.ID{Kind: store.Service, Name: "s0"},
		store.ID{Kind: store.Secret, Name: "cert0"}, store.ID{Kind: store.UDPRoute, Name: "udp0"}, store.ID{Kind: store.BackendTLSPolicy, Name: "policy0"})
	id.Namespace = w.ns()
	k := id.Key()
	r := translate.Refusal{Object: k}
	for _, name := range []string{"tcp-80", "tcp-443", "udp-53", "web"} {
		if w.chance(0.5) {
			r.Resources = append(r.Resources, translate.RefusedResource{Type: pick(w, xds.ListenerType, xds.ListenerType, xds.ClusterType), Name: name, Message: pick(w, "no", "never")})
		}
	}
	return store.PutValue(translate.RefusalKey(k), r).Object
}

func (w *World) slice() store.Object {
	s := &discovery.EndpointSlice{AddressType: pick(w, discovery.AddressTypeIPv4, discovery.AddressTypeIPv4, discovery.AddressTypeIPv6, discovery.AddressTypeFQDN)}
	w.meta(s, 6, "slice")
	s.Labels = map[string]string{discovery.LabelServiceName: w.serviceName()}
	s.Ports = []discovery.EndpointPort{{Name: ptr(pick(w, "", "http")), Port: ptr(int32(3000)), Protocol: maybe(w, 0.3, core.ProtocolUDP)}}
	for range w.rng.IntN(3) {
		s.Endpoints = append(s.Endpoints, discovery.Endpoint{
			Addresses:  []string{fmt.Sprintf("10.0.0.%d", w.rng.IntN(5))},
			Conditions: discovery.EndpointConditions{Ready: maybe(w, 0.5, w.chance(0.7)), Terminating: maybe(w, 0.3, w.chance(0.5)), Serving: maybe(w, 0.3, w.chance(0.5))},
			Zone:       maybe(w, 0.3, pick(w, "z1", "z2")),
		})
	}
	return s
}
