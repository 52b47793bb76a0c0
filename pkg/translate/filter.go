package translate

import (
	"strings"
	"time"

	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/ir"
)

// treatment is what a list of filters does to a request.
type treatment struct {
	mutations ir.Mutations
	rewrite   *ir.Rewrite
	redirect  *ir.Redirect
	mirrors   []ir.Mirror
	cors      *ir.CORS
	auth      *ir.ExternalAuth
	// fault: a filter cannot be applied, so the request must not pass.
	fault bool
}

// resolveFilters reads the filters of a rule or a backendRef.
func resolveFilters(c *incr.Context, k store.Key, field string, filters []gateway.HTTPRouteFilter, matches []ir.Match) (treatment, []issue) {
	var t treatment
	var issues []issue
	seen := map[gateway.HTTPRouteFilterType]bool{}
	for i := range filters {
		f := &filters[i]
		p := path(field, "filters", i)
		if seen[f.Type] && f.Type != gateway.HTTPRouteFilterRequestMirror && f.Type != gateway.HTTPRouteFilterExtensionRef {
			issues = append(issues, routeFilterIncompatible.at(k, p+".type", "merge the two", "filter %s is given twice", f.Type))
			continue
		}
		seen[f.Type] = true
		is, soft := t.apply(c, k, p, f, matches)
		if len(is) > 0 && !soft {
			t.fault = true
		}
		issues = append(issues, is...)
	}
	if t.redirect != nil && t.rewrite != nil {
		issues = append(issues, routeFilterIncompatible.at(k, path(field, "filters"), "keep one of them", "RequestRedirect and URLRewrite cannot be combined"))
		t.fault = true
	}
	return t, issues
}

// apply reads one filter. soft issues do not stop the request.
func (t *treatment) apply(c *incr.Context, k store.Key, p string, f *gateway.HTTPRouteFilter, matches []ir.Match) (issues []issue, soft bool) {
	missing := func(name string) []issue {
		return []issue{routeFilterInvalid.at(k, p+"."+name, "set "+name, "filter of type %s has no settings", f.Type)}
	}
	switch f.Type {
	case gateway.HTTPRouteFilterRequestHeaderModifier:
		if f.RequestHeaderModifier == nil {
			return missing("requestHeaderModifier"), false
		}
		t.mutations.Request, issues = headerMutations(k, p+".requestHeaderModifier", f.RequestHeaderModifier)
	case gateway.HTTPRouteFilterResponseHeaderModifier:
		if f.ResponseHeaderModifier == nil {
			return missing("responseHeaderModifier"), false
		}
		t.mutations.Response, issues = headerMutations(k, p+".responseHeaderModifier", f.ResponseHeaderModifier)
	case gateway.HTTPRouteFilterRequestRedirect:
		if f.RequestRedirect == nil {
			return missing("requestRedirect"), false
		}
		t.redirect, issues = resolveRedirect(k, p+".requestRedirect", f.RequestRedirect, matches)
	case gateway.HTTPRouteFilterURLRewrite:
		if f.URLRewrite == nil {
			return missing("urlRewrite"), false
		}
		t.rewrite = &ir.Rewrite{Hostname: string(or(f.URLRewrite.Hostname, ""))}
		if f.URLRewrite.Path != nil {
			t.rewrite.Path, issues = pathModifier(k, p+".urlRewrite.path", f.URLRewrite.Path, matches)
		}
	case gateway.HTTPRouteFilterRequestMirror:
		if f.RequestMirror == nil {
			return missing("requestMirror"), false
		}
		m, is := resolveMirror(c, k, p+".requestMirror", f.RequestMirror)
		if m != nil {
			t.mirrors = append(t.mirrors, *m)
		}
		return is, true // a copy that cannot be sent does not stop the request
	case gateway.HTTPRouteFilterCORS:
		if f.CORS == nil {
			return missing("cors"), false
		}
		t.cors = resolveCORS(k, p+".cors", f.CORS)
	case gateway.HTTPRouteFilterExternalAuth:
		if f.ExternalAuth == nil {
			return missing("externalAuth"), false
		}
		t.auth, issues = resolveAuth(c, k, p+".externalAuth", f.ExternalAuth)
	case gateway.HTTPRouteFilterExtensionRef:
		ref := or(f.ExtensionRef, gateway.LocalObjectReference{})
		issues = []issue{routeFilterUnknown.at(k, p+".extensionRef", "", "extension %s.%s %q is not supported", ref.Kind, ref.Group, ref.Name)}
	default:
		issues = []issue{routeFilterInvalid.at(k, p+".type", "", "filter type %q is not supported", f.Type)}
	}
	return issues, false
}

// headerMutations reads a header modifier. Envoy cannot change the Host header
// this way, and it would change routing: the specification has URLRewrite for it.
func headerMutations(k store.Key, field string, f *gateway.HTTPHeaderFilter) (m ir.HeaderMutations, issues []issue) {
	check := func(p, name, value string) bool {
		switch {
		case !validHeader(name):
			issues = append(issues, routeFilterInvalid.at(k, p, "", "%q is not a header name", name))
		case strings.EqualFold(name, "host"):
			issues = append(issues, routeFilterInvalid.at(k, p, "use a URLRewrite filter with a hostname", "header Host cannot be modified"))
		case !validHeaderValue(value):
			issues = append(issues, routeFilterInvalid.at(k, p, "", "value of header %s holds control characters", name))
		default:
			return true
		}
		return false
	}
	once := func(list []ir.Header, name string) bool {
		for _, h := range list {
			if strings.EqualFold(h.Name, name) {
				return false // of equivalent names the first counts
			}
		}
		return true
	}
	for i, h := range f.Set {
		if check(path(field, "set", i), string(h.Name), h.Value) && once(m.Set, string(h.Name)) {
			m.Set = append(m.Set, ir.Header{Name: string(h.Name), Value: h.Value})
		}
	}
	for i, h := range f.Add {
		if check(path(field, "add", i), string(h.Name), h.Value) && once(m.Add, string(h.Name)) {
			m.Add = append(m.Add, ir.Header{Name: string(h.Name), Value: h.Value})
		}
	}
	for i, name := range f.Remove {
		if check(path(field, "remove", i), name, "") {
			m.Remove = append(m.Remove, name)
		}
	}
	return m, issues
}

// pathModifier reads a path replacement. Replacing the matched prefix needs a
// prefix to have matched.
func pathModifier(k store.Key, field string, in *gateway.HTTPPathModifier, matches []ir.Match) (*ir.PathModifier, []issue) {
	switch in.Type {
	case gateway.FullPathHTTPPathModifier:
		if in.ReplaceFullPath == nil {
			return nil, []issue{routeFilterInvalid.at(k, field+".replaceFullPath", "set it", "the replacement is missing")}
		}
		return &ir.PathModifier{Full: in.ReplaceFullPath}, nil
	case gateway.PrefixMatchHTTPPathModifier:
		if in.ReplacePrefixMatch == nil {
			return nil, []issue{routeFilterInvalid.at(k, field+".replacePrefixMatch", "set it", "the replacement is missing")}
		}
		for _, m := range matches {
			if m.Kind != ir.PathPrefix {
				return nil, []issue{routeFilterInvalid.at(k, field+".replacePrefixMatch", "match by PathPrefix", "the rule has a match that is not by prefix, so there is no prefix to replace")}
			}
		}
		return &ir.PathModifier{Prefix: in.ReplacePrefixMatch}, nil
	default:
		return nil, []issue{routeFilterInvalid.at(k, field+".type", "use ReplaceFullPath or ReplacePrefixMatch", "path modifier %q is not supported", in.Type)}
	}
}

func resolveRedirect(k store.Key, field string, in *gateway.HTTPRequestRedirectFilter, matches []ir.Match) (*ir.Redirect, []issue) {
	r := &ir.Redirect{
		Scheme:   or(in.Scheme, ""),
		Hostname: string(or(in.Hostname, "")),
		Port:     uint32(or(in.Port, 0)),
		Code:     or(in.StatusCode, 302),
	}
	var issues []issue
	switch r.Code {
	case 301, 302, 303, 307, 308:
	default:
		issues = append(issues, routeFilterInvalid.at(k, field+".statusCode", "use 301, 302, 303, 307 or 308", "status %d is not a redirect", r.Code))
	}
	if r.Scheme != "" && r.Scheme != "http" && r.Scheme != "https" {
		issues = append(issues, routeFilterInvalid.at(k, field+".scheme", "use http or https", "scheme %q is not supported", r.Scheme))
	}
	if in.Path != nil {
		var more []issue
		r.Path, more = pathModifier(k, field+".path", in.Path, matches)
		issues = append(issues, more...)
	}
	return r, issues
}

func resolveMirror(c *incr.Context, k store.Key, field string, in *gateway.HTTPRequestMirrorFilter) (*ir.Mirror, []issue) {
	key, issues := resolveBackend(c, k, field+".backendRef", &in.BackendRef, "")
	if len(issues) > 0 {
		return nil, issues
	}
	m := &ir.Mirror{Source: ir.Source{Object: k, Path: field}, Cluster: key, Numerator: 100, Denominator: 100}
	switch {
	case in.Percent != nil && in.Fraction != nil:
		return nil, []issue{routeFilterInvalid.at(k, field, "keep one of them", "percent and fraction are both given")}
	case in.Percent != nil:
		m.Numerator = uint32(max(*in.Percent, 0))
	case in.Fraction != nil:
		m.Numerator, m.Denominator = uint32(max(in.Fraction.Numerator, 0)), uint32(max(or(in.Fraction.Denominator, 100), 0))
	}
	if m.Denominator == 0 || m.Numerator > m.Denominator {
		return nil, []issue{routeFilterInvalid.at(k, field, "", "%d/%d is not a share of requests", m.Numerator, m.Denominator)}
	}
	return m, nil
}

func resolveCORS(k store.Key, field string, in *gateway.HTTPCORSFilter) *ir.CORS {
	out := &ir.CORS{
		Source:      ir.Source{Object: k, Path: field},
		Credentials: or(in.AllowCredentials, false),
		MaxAge:      time.Duration(in.MaxAge) * time.Second,
	}
	for _, o := range in.AllowOrigins {
		out.Origins = append(out.Origins, string(o))
	}
	for _, m := range in.AllowMethods {
		out.Methods = append(out.Methods, string(m))
	}
	for _, h := range in.AllowHeaders {
		out.Headers = append(out.Headers, string(h))
	}
	for _, h := range in.ExposeHeaders {
		out.Exposed = append(out.Exposed, string(h))
	}
	return out
}

// resolveAuth reads an external authorisation filter (GEP-1494).
func resolveAuth(c *incr.Context, k store.Key, field string, in *gateway.HTTPExternalAuthFilter) (*ir.ExternalAuth, []issue) {
	a := &ir.ExternalAuth{Source: ir.Source{Object: k, Path: field}}
	proto := ir.Protocol("")
	switch in.ExternalAuthProtocol {
	case gateway.HTTPRouteExternalAuthGRPCProtocol:
		a.GRPC, proto = true, ir.HTTP2
		if in.GRPCAuthConfig != nil {
			a.RequestHeaders = in.GRPCAuthConfig.AllowedRequestHeaders
		}
	case gateway.HTTPRouteExternalAuthHTTPProtocol:
		if h := in.HTTPAuthConfig; h != nil {
			a.Path, a.RequestHeaders, a.ResponseHeaders = h.Path, h.AllowedRequestHeaders, h.AllowedResponseHeaders
		}
	default:
		return nil, []issue{routeFilterInvalid.at(k, field+".protocol", "use HTTP or GRPC", "protocol %q is not supported", in.ExternalAuthProtocol)}
	}
	if in.ForwardBody != nil && in.ForwardBody.MaxSize > 0 {
		a.MaxBody = uint32(in.ForwardBody.MaxSize)
	}
	for i, h := range a.RequestHeaders {
		if !validHeader(h) {
			return nil, []issue{routeFilterInvalid.at(k, path(field, strings.ToLower(string(in.ExternalAuthProtocol)), "allowedHeaders", i), "", "%q is not a header name", h)}
		}
	}
	key, issues := resolveBackend(c, k, field+".backendRef", &in.BackendRef, proto)
	if len(issues) > 0 {
		return nil, issues
	}
	a.Cluster = key
	return a, nil
}
