package testworld

import (
	"fmt"

	core "k8s.io/api/core/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/store"
)

func (w *World) parents() gateway.CommonRouteSpec {
	var c gateway.CommonRouteSpec
	for range 1 + w.rng.IntN(2) {
		ref := gateway.ParentReference{
			Name:        pick[gateway.ObjectName](w, "gw0", "gw1"),
			Namespace:   maybe(w, 0.4, gateway.Namespace(w.ns())),
			SectionName: maybe(w, 0.3, pick[gateway.SectionName](w, "l0", "l1", "l9")),
			Port:        maybe(w, 0.15, pick[gateway.PortNumber](w, 80, 443)),
		}
		if w.chance(0.2) {
			ref.Kind, ref.Name = ptr(gateway.Kind("ListenerSet")), pick[gateway.ObjectName](w, "set0", "set1")
		}
		c.ParentRefs = append(c.ParentRefs, ref)
	}
	if w.chance(0.05) {
		c.UseDefaultGateways = gateway.GatewayDefaultScopeAll
	}
	return c
}

func (w *World) hostnames() []gateway.Hostname {
	var hs []gateway.Hostname
	for range w.rng.IntN(3) {
		hs = append(hs, w.hostname())
	}
	return hs
}

func (w *World) serviceName() string { return pick(w, "s0", "s1", "s2", "s3") }

func (w *World) object() gateway.BackendObjectReference {
	return gateway.BackendObjectReference{
		Kind:      maybe(w, 0.05, pick[gateway.Kind](w, "Service", "Odd")),
		Name:      gateway.ObjectName(w.serviceName()),
		Namespace: maybe(w, 0.2, gateway.Namespace(w.ns())),
		Port:      maybe(w, 0.95, pick[gateway.PortNumber](w, 8080, 8080, 9090)),
	}
}

func (w *World) backend() gateway.BackendRef {
	return gateway.BackendRef{BackendObjectReference: w.object(), Weight: maybe(w, 0.4, int32(w.rng.IntN(4)))}
}

func (w *World) backends() []gateway.BackendRef {
	var bs []gateway.BackendRef
	for range w.rng.IntN(3) {
		bs = append(bs, w.backend())
	}
	return bs
}

func (w *World) auth() *gateway.HTTPExternalAuthFilter {
	return &gateway.HTTPExternalAuthFilter{
		ExternalAuthProtocol: pick(w, gateway.HTTPRouteExternalAuthGRPCProtocol, gateway.HTTPRouteExternalAuthHTTPProtocol),
		BackendRef:           w.object(),
	}
}

func (w *World) filter() gateway.HTTPRouteFilter {
	path := &gateway.HTTPPathModifier{Type: gateway.PrefixMatchHTTPPathModifier, ReplacePrefixMatch: ptr(pick(w, "/", "/new", ""))}
	switch w.rng.IntN(9) {
	case 0:
		return gateway.HTTPRouteFilter{Type: gateway.HTTPRouteFilterRequestHeaderModifier, RequestHeaderModifier: &gateway.HTTPHeaderFilter{
			Set: []gateway.HTTPHeader{{Name: pick[gateway.HTTPHeaderName](w, "x-a", "x-b", "host"), Value: pick(w, "1", "100%")}}, Remove: []string{"x-c"},
		}}
	case 1:
		return gateway.HTTPRouteFilter{Type: gateway.HTTPRouteFilterResponseHeaderModifier, ResponseHeaderModifier: &gateway.HTTPHeaderFilter{Add: []gateway.HTTPHeader{{Name: "x-r", Value: "1"}}}}
	case 2:
		return gateway.HTTPRouteFilter{Type: gateway.HTTPRouteFilterRequestRedirect, RequestRedirect: &gateway.HTTPRequestRedirectFilter{
			Scheme: maybe(w, 0.5, "https"), Port: maybe(w, 0.3, gateway.PortNumber(8443)), StatusCode: maybe(w, 0.5, pick(w, 301, 302, 404)),
		}}
	case 3:
		return gateway.HTTPRouteFilter{Type: gateway.HTTPRouteFilterURLRewrite, URLRewrite: &gateway.HTTPURLRewriteFilter{Hostname: maybe(w, 0.5, gateway.PreciseHostname("new.example.com")), Path: path}}
	case 4:
		return gateway.HTTPRouteFilter{Type: gateway.HTTPRouteFilterRequestMirror, RequestMirror: &gateway.HTTPRequestMirrorFilter{BackendRef: w.object(), Percent: maybe(w, 0.5, int32(w.rng.IntN(101)))}}
	case 5:
		return gateway.HTTPRouteFilter{Type: gateway.HTTPRouteFilterCORS, CORS: &gateway.HTTPCORSFilter{AllowOrigins: []gateway.CORSOrigin{"https://*.example.com"}, AllowMethods: []gateway.HTTPMethodWithWildcard{"GET"}}}
	case 6:
		return gateway.HTTPRouteFilter{Type: gateway.HTTPRouteFilterExternalAuth, ExternalAuth: w.auth()}
	case 7:
		return gateway.HTTPRouteFilter{Type: gateway.HTTPRouteFilterExtensionRef, ExtensionRef: &gateway.LocalObjectReference{Kind: "Odd", Name: "x"}}
	default:
		return gateway.HTTPRouteFilter{Type: gateway.HTTPRouteFilterURLRewrite}
	}
}

func (w *World) filters(p float64) []gateway.HTTPRouteFilter {
	var fs []gateway.HTTPRouteFilter
	for w.chance(p) {
		fs = append(fs, w.filter())
	}
	return fs
}

func (w *World) httpRoute() store.Object {
	r := &gateway.HTTPRoute{}
	w.meta(r, 6, "http")
	r.Spec.CommonRouteSpec, r.Spec.Hostnames = w.parents(), w.hostnames()
	for range 1 + w.rng.IntN(3) {
		rule := gateway.HTTPRouteRule{Filters: w.filters(0.3)}
		for range w.rng.IntN(3) {
			rule.Matches = append(rule.Matches, w.match())
		}
		for range w.rng.IntN(3) {
			rule.BackendRefs = append(rule.BackendRefs, gateway.HTTPBackendRef{BackendRef: w.backend(), Filters: w.filters(0.1)})
		}
		if w.chance(0.2) {
			rule.Timeouts = &gateway.HTTPRouteTimeouts{Request: maybe(w, 0.7, pick[gateway.Duration](w, "1s", "0s", "odd")), BackendRequest: maybe(w, 0.5, gateway.Duration("500ms"))}
		}
		if w.chance(0.2) {
			rule.Retry = &gateway.HTTPRouteRetry{Attempts: ptr(w.rng.IntN(4)), Codes: []gateway.HTTPRouteRetryStatusCode{503}}
		}
		if w.chance(0.15) {
			rule.SessionPersistence = &gateway.SessionPersistence{Type: ptr(pick(w, gateway.CookieBasedSessionPersistence, gateway.HeaderBasedSessionPersistence))}
		}
		r.Spec.Rules = append(r.Spec.Rules, rule)
	}
	return r
}

func (w *World) match() gateway.HTTPRouteMatch {
	m := gateway.HTTPRouteMatch{
		Path: &gateway.HTTPPathMatch{
			Type:  maybe(w, 0.8, pick(w, gateway.PathMatchExact, gateway.PathMatchPathPrefix, gateway.PathMatchPathPrefix, gateway.PathMatchRegularExpression)),
			Value: ptr(pick(w, "/", "/a", "/a/b", "/b/", "/c(", "d")),
		},
		Method: maybe(w, 0.2, pick(w, gateway.HTTPMethodGet, gateway.HTTPMethodOptions)),
	}
	if w.chance(0.2) {
		m.Headers = []gateway.HTTPHeaderMatch{{Name: "x-h", Value: pick(w, "1", "2")}}
	}
	if w.chance(0.1) {
		m.QueryParams = []gateway.HTTPQueryParamMatch{{Name: "q", Value: "1"}}
	}
	return m
}

func (w *World) grpcRoute() store.Object {
	r := &gateway.GRPCRoute{}
	w.meta(r, 2, "grpc")
	r.Spec.CommonRouteSpec, r.Spec.Hostnames = w.parents(), w.hostnames()
	rule := gateway.GRPCRouteRule{}
	if w.chance(0.7) {
		rule.Matches = []gateway.GRPCRouteMatch{{Method: &gateway.GRPCMethodMatch{Service: maybe(w, 0.7, "pkg.Service"), Method: maybe(w, 0.6, "Get")}}}
	}
	for _, b := range w.backends() {
		rule.BackendRefs = append(rule.BackendRefs, gateway.GRPCBackendRef{BackendRef: b})
	}
	r.Spec.Rules = []gateway.GRPCRouteRule{rule}
	return r
}

func (w *World) tlsRoute() store.Object {
	r := &gateway.TLSRoute{}
	w.meta(r, 3, "tls")
	r.Spec.CommonRouteSpec, r.Spec.Hostnames = w.parents(), w.hostnames()
	for range 1 + w.rng.IntN(2) {
		r.Spec.Rules = append(r.Spec.Rules, gateway.TLSRouteRule{BackendRefs: w.backends()})
	}
	return r
}

func (w *World) tcpRoute() store.Object {
	r := &gateway.TCPRoute{}
	w.meta(r, 2, "tcp")
	r.Spec.CommonRouteSpec = w.parents()
	r.Spec.Rules = []gateway.TCPRouteRule{{BackendRefs: w.backends()}}
	return r
}

func (w *World) udpRoute() store.Object {
	r := &gateway.UDPRoute{}
	w.meta(r, 2, "udp")
	r.Spec.CommonRouteSpec = w.parents()
	r.Spec.Rules = []gateway.UDPRouteRule{{BackendRefs: w.backends()}}
	return r
}

func (w *World) service() store.Object {
	s := &core.Service{}
	w.meta(s, 1, "")
	s.Name = w.serviceName()
	s.Spec.Type = pick(w, core.ServiceTypeClusterIP, core.ServiceTypeClusterIP, core.ServiceTypeClusterIP, core.ServiceTypeExternalName)
	s.Spec.Ports = []core.ServicePort{{Name: pick(w, "", "http"), Port: 8080, Protocol: pick(w, core.ProtocolTCP, core.ProtocolTCP, core.ProtocolUDP), AppProtocol: maybe(w, 0.3, pick(w, "kubernetes.io/h2c", "kubernetes.io/wss"))}}
	return s
}

func (w *World) configMap() store.Object {
	m := &core.ConfigMap{}
	w.meta(m, 2, "ca")
	m.Data = map[string]string{"ca.crt": pick(w, Pairs[0].Certificate, Pairs[1].Certificate, "junk")}
	return m
}

func (w *World) secret() store.Object {
	s := &core.Secret{Type: core.SecretTypeTLS}
	w.meta(s, 3, "cert")
	p := pick(w, Pairs...)
	s.Data = map[string][]byte{"tls.crt": []byte(p.Certificate), "tls.key": []byte(p.Key)}
	if w.chance(0.2) {
		s.Data["tls.key"] = []byte("junk")
	}
	return s
}

func (w *World) grant() store.Object {
	g := &gateway.ReferenceGrant{}
	w.meta(g, 2, "grant")
	g.Spec.From = []gateway.ReferenceGrantFrom{{Group: gateway.GroupName, Kind: pick[gateway.Kind](w, "HTTPRoute", "HTTPRoute", "Gateway", "TCPRoute"), Namespace: gateway.Namespace(w.ns())}}
	g.Spec.To = []gateway.ReferenceGrantTo{{Kind: pick[gateway.Kind](w, "Service", "Secret", "ConfigMap"), Name: maybe(w, 0.3, gateway.ObjectName(w.serviceName()))}}
	return g
}

func (w *World) policy() store.Object {
	p := &gateway.BackendTLSPolicy{}
	w.meta(p, 3, "policy")
	p.Spec.TargetRefs = []gateway.LocalPolicyTargetReferenceWithSectionName{{
		LocalPolicyTargetReference: gateway.LocalPolicyTargetReference{Kind: "Service", Name: gateway.ObjectName(w.serviceName())},
		SectionName:                maybe(w, 0.3, gateway.SectionName("http")),
	}}
	p.Spec.Validation.Hostname = "backend.example.com"
	if w.chance(0.3) {
		p.Spec.Validation.WellKnownCACertificates = ptr(gateway.WellKnownCACertificatesSystem)
	} else {
		p.Spec.Validation.CACertificateRefs = []gateway.LocalObjectReference{{Kind: pick[gateway.Kind](w, "ConfigMap", "ConfigMap", "Odd"), Name: gateway.ObjectName(fmt.Sprintf("ca%d", w.rng.IntN(3)))}}
	}
	return p
}
