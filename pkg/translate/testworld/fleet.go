package testworld

import (
	"fmt"

	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

// Fleet is a regular world of a given size: routes spread evenly over Gateways,
// each route with its own hostname, Service and EndpointSlice.
type Fleet struct {
	Gateways, Routes int
}

// Objects returns everything.
func (f Fleet) Objects() []store.Object {
	class := &gateway.GatewayClass{}
	class.Name, class.Spec.ControllerName = "eg", translate.DefaultControllerName
	objects := []store.Object{class, f.Certificate(0)}
	for i := range f.Gateways {
		objects = append(objects, f.Gateway(i, 0))
	}
	for i := range f.Routes {
		objects = append(objects, f.Route(i, 0), f.Service(i), f.Slice(i, 0))
	}
	return objects
}

// Changes returns the changes that store objects.
func Changes(objects ...store.Object) []store.Change {
	changes := make([]store.Change, len(objects))
	for i, o := range objects {
		changes[i] = store.Put(o)
	}
	return changes
}

// Gateway i has an HTTP and an HTTPS listener. Versions differ in an annotation.
func (f Fleet) Gateway(i, version int) *gateway.Gateway {
	g := &gateway.Gateway{}
	g.Namespace, g.Name = "default", fmt.Sprintf("gw-%d", i)
	g.Generation, g.Annotations = 1, map[string]string{"version": fmt.Sprint(version)}
	g.Spec.GatewayClassName = "eg"
	g.Spec.Listeners = []gateway.Listener{
		{Name: "http", Port: 80, Protocol: gateway.HTTPProtocolType},
		{Name: "https", Port: 443, Protocol: gateway.HTTPSProtocolType, TLS: &gateway.ListenerTLSConfig{
			CertificateRefs: []gateway.SecretObjectReference{{Name: "cert"}},
		}},
	}
	return g
}

// Certificate is shared by all Gateways. Versions differ in the key pair.
func (f Fleet) Certificate(version int) *core.Secret {
	s := &core.Secret{Type: core.SecretTypeTLS}
	s.Namespace, s.Name = "default", "cert"
	p := Pairs[version%len(Pairs)]
	s.Data = map[string][]byte{"tls.crt": []byte(p.Certificate), "tls.key": []byte(p.Key)}
	return s
}

// Route i attaches to the HTTP listener. Versions differ in a header value.
func (f Fleet) Route(i, version int) *gateway.HTTPRoute {
	r := &gateway.HTTPRoute{}
	r.Namespace, r.Name, r.Generation = "default", fmt.Sprintf("route-%d", i), int64(version+1)
	r.Spec.ParentRefs = []gateway.ParentReference{{Name: gateway.ObjectName(fmt.Sprintf("gw-%d", i%f.Gateways)), SectionName: ptr(gateway.SectionName("http"))}}
	r.Spec.Hostnames = []gateway.Hostname{gateway.Hostname(fmt.Sprintf("host-%d.example.com", i))}
	r.Spec.Rules = []gateway.HTTPRouteRule{{
		Matches: []gateway.HTTPRouteMatch{{Path: &gateway.HTTPPathMatch{Type: ptr(gateway.PathMatchPathPrefix), Value: ptr("/api")}}},
		Filters: []gateway.HTTPRouteFilter{{Type: gateway.HTTPRouteFilterRequestHeaderModifier, RequestHeaderModifier: &gateway.HTTPHeaderFilter{
			Set: []gateway.HTTPHeader{{Name: "x-version", Value: fmt.Sprint(version)}},
		}}},
		BackendRefs: []gateway.HTTPBackendRef{{BackendRef: gateway.BackendRef{BackendObjectReference: gateway.BackendObjectReference{
			Name: gateway.ObjectName(fmt.Sprintf("svc-%d", i)), Port: ptr(gateway.PortNumber(8080)),
		}}}},
	}}
	return r
}

// Service i is the backend of route i.
func (f Fleet) Service(i int) *core.Service {
	s := &core.Service{}
	s.Namespace, s.Name = "default", fmt.Sprintf("svc-%d", i)
	s.Spec.Ports = []core.ServicePort{{Name: "http", Port: 8080}}
	return s
}

// Slice i holds the endpoints of Service i. Odd versions have one more.
func (f Fleet) Slice(i, version int) *discovery.EndpointSlice {
	s := &discovery.EndpointSlice{AddressType: discovery.AddressTypeIPv4}
	s.Namespace, s.Name = "default", fmt.Sprintf("svc-%d-abc", i)
	s.Labels = map[string]string{discovery.LabelServiceName: fmt.Sprintf("svc-%d", i)}
	s.Ports = []discovery.EndpointPort{{Name: ptr("http"), Port: ptr(int32(3000))}}
	for j := range 2 + version%2 {
		s.Endpoints = append(s.Endpoints, discovery.Endpoint{Addresses: []string{fmt.Sprintf("10.%d.%d.%d", i/250%250, i%250, j+1)}})
	}
	return s
}
