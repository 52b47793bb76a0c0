package translate

import (
	"regexp"
	"strings"
	"time"

	"k8s.io/utils/ptr"
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
func resolveFilters(c *incr.Context, k store.Key, field string, filters []gateway.HTTPRouteFilter, matches []ir.Match, proto ir.Protocol) (treatment, []issue) {
	var t treatment
	var issues []issue
	seen := map[gateway.HTTPRouteFilterType]bool{}
	for i := range filters {
		f := &filters[i]
		p := path(field, "filters", i)
		if seen[f.Type] && f.Type != gateway.HTTPRouteFilterRequestMirror && f.Type != gateway.HTTPRouteFilterExtensionRef {
			issues = append(issues, routeFilterIncompatible.at(k, p+".type", "merge the two", "filter %s is given twice", f.Type))
			t.fault = true
			continue
		}
		seen[f.Type] = true
		is, soft := t.apply(c, k, p, f, matches, proto)
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
func (t *treatment) apply(c *incr.Context, k store.Key, p string, f *gateway.HTTPRouteFilter, matches []ir.Match, proto ir.Protocol) (issues []issue, soft bool) {
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
		t.rewrite = &ir.Rewrite{Hostname: string(ptr.Deref(f.URLRewrite.Hostname, ""))}
		issues = checkHostname(k, p+".urlRewrite.hostname", t.rewrite.Hostname)
		if f.URLRewrite.Path != nil {
			var more []issue
			t.rewrite.Path, more = pathModifier(k, p+".urlRewrite.path", f.URLRewrite.Path, matches)
			issues = append(issues, more...)
		}
	case gateway.HTTPRouteFilterRequestMirror:
		if f.RequestMirror == nil {
			return missing("requestMirror"), false
		}
		m, is := resolveMirror(c, k, p+".requestMirror", f.RequestMirror, proto)
		if m != nil {
			t.mirrors = append(t.mirrors, *m)
		}
		return is, true // a copy that cannot be sent does not stop the request
	case gateway.HTTPRouteFilterCORS:
		if f.CORS == nil {
			return missing("cors"), false
		}
		t.cors, issues = resolveCORS(k, p+".cors", f.CORS)
	case gateway.HTTPRouteFilterExternalAuth:
		if f.ExternalAuth == nil {
			return missing("externalAuth"), false
		}
		t.auth, issues = resolveAuth(c, k, p+".externalAuth", f.ExternalAuth)
	case gateway.HTTPRouteFilterExtensionRef:
		ref := ptr.Deref(f.ExtensionRef, gateway.LocalObjectReference{})
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
			issues = append(issues, routeFilterInvalid.at(k, p, "use letters, digits and dashes", "%q is not a header name", name))
		case strings.EqualFold(name, "host"):
			issues = append(issues, routeFilterInvalid.at(k, p, "use a URLRewrite filter with a hostname", "header Host cannot be modified"))
		case !validHeaderValue(value):
			issues = append(issues, routeFilterInvalid.at(k, p, "use up to 4096 printable characters", "value of header %s is too long or holds control characters", name))
		default:
			return true
		}
		return false
	}
	actions := map[string]string{}
	// once says whether this is the first action for a name. Of equivalent names
	// in one list the first counts; different actions exclude each other.
	once := func(p, action, name string) bool {
		before, seen := actions[strings.ToLower(name)]
		if seen && before != action {
			issues = append(issues, routeFilterInvalid.at(k, p, "keep one of them", "header %s has both actions %s and %s", name, before, action))
		}
		actions[strings.ToLower(name)] = action
		return !seen
	}
	for i, h := range f.Set {
		if p := path(field, "set", i); check(p, string(h.Name), h.Value) && once(p, "set", string(h.Name)) {
			m.Set = append(m.Set, ir.Header{Name: string(h.Name), Value: h.Value})
		}
	}
	for i, h := range f.Add {
		if p := path(field, "add", i); check(p, string(h.Name), h.Value) && once(p, "add", string(h.Name)) {
			m.Add = append(m.Add, ir.Header{Name: string(h.Name), Value: h.Value})
		}
	}
	for i, name := range f.Remove {
		if p := path(field, "remove", i); check(p, name, "") && once(p, "remove", name) {
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
		full, issues := replacement(k, field+".replaceFullPath", *in.ReplaceFullPath)
		return &ir.PathModifier{Full: &full}, issues
	case gateway.PrefixMatchHTTPPathModifier:
		if in.ReplacePrefixMatch == nil {
			return nil, []issue{routeFilterInvalid.at(k, field+".replacePrefixMatch", "set it", "the replacement is missing")}
		}
		for _, m := range matches {
			if m.Kind != ir.PathPrefix {
				return nil, []issue{routeFilterInvalid.at(k, field+".replacePrefixMatch", "match by PathPrefix", "the rule has a match that is not by prefix, so there is no prefix to replace")}
			}
		}
		prefix, issues := replacement(k, field+".replacePrefixMatch", *in.ReplacePrefixMatch)
		return &ir.PathModifier{Prefix: &prefix}, issues
	default:
		return nil, []issue{routeFilterInvalid.at(k, field+".type", "use ReplaceFullPath or ReplacePrefixMatch", "path modifier %q is not supported", in.Type)}
	}
}

// replacement makes a path of what replaces one: it begins with a slash.
func replacement(k store.Key, field, p string) (string, []issue) {
	if len(p) > maxPath || !validHeaderValue(p) || strings.ContainsAny(p, " #") {
		return "", []issue{routeFilterInvalid.at(k, field, "escape it with percent signs", "the replacement is too long or holds a character that paths cannot hold")}
	}
	if !strings.HasPrefix(p, "/") {
		p = "/" + p
	}
	return p, nil
}

// checkHostname demands a name without wildcard.
func checkHostname(k store.Key, field, name string) []issue {
	if name == "" || len(name) <= 253 && hostnamePattern.MatchString(name) {
		return nil
	}
	return []issue{routeFilterInvalid.at(k, field, "use a lower case DNS name", "%q is not a hostname", name)}
}

// hostnamePattern is the API's for a PreciseHostname.
var hostnamePattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

func resolveRedirect(k store.Key, field string, in *gateway.HTTPRequestRedirectFilter, matches []ir.Match) (*ir.Redirect, []issue) {
	r := &ir.Redirect{
		Scheme:   ptr.Deref(in.Scheme, ""),
		Hostname: string(ptr.Deref(in.Hostname, "")),
		Port:     uint32(ptr.Deref(in.Port, 0)),
		Code:     ptr.Deref(in.StatusCode, 302),
	}
	issues := checkHostname(k, field+".hostname", r.Hostname)
	if in.Port != nil && (*in.Port < 1 || *in.Port > 65535) {
		issues = append(issues, routeFilterInvalid.at(k, field+".port", "use 1 to 65535", "%d is not a port", *in.Port))
	}
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

func resolveMirror(c *incr.Context, k store.Key, field string, in *gateway.HTTPRequestMirrorFilter, proto ir.Protocol) (*ir.Mirror, []issue) {
	key, issues := resolveBackend(c, k, field+".backendRef", &in.BackendRef, proto)
	if len(issues) > 0 {
		return nil, issues
	}
	m := &ir.Mirror{Source: ir.Source{Object: k, Path: field}, Cluster: key}
	n, of := int32(100), int32(100)
	switch {
	case in.Percent != nil && in.Fraction != nil:
		return nil, []issue{routeFilterInvalid.at(k, field, "keep one of them", "percent and fraction are both given")}
	case in.Percent != nil:
		n = *in.Percent
	case in.Fraction != nil:
		n, of = in.Fraction.Numerator, ptr.Deref(in.Fraction.Denominator, 100)
	}
	if n < 0 || of < 1 || n > of {
		return nil, []issue{routeFilterInvalid.at(k, field, "use a share between none and all", "%d/%d is not a share of requests", n, of)}
	}
	m.Numerator, m.Denominator = uint32(n), uint32(of)
	return m, nil
}

func resolveCORS(k store.Key, field string, in *gateway.HTTPCORSFilter) (*ir.CORS, []issue) {
	out := &ir.CORS{
		Source:      ir.Source{Object: k, Path: field},
		Credentials: ptr.Deref(in.AllowCredentials, false),
		MaxAge:      defaultCORSMaxAge,
	}
	if in.MaxAge > 0 {
		out.MaxAge = time.Duration(in.MaxAge) * time.Second
	}
	var issues []issue
	for i, o := range in.AllowOrigins {
		if !originPattern.MatchString(string(o)) {
			issues = append(issues, routeFilterInvalid.at(k, path(field, "allowOrigins", i), `write "*" or SCHEME://HOST, perhaps with a port`, "%q is not an origin", o))
			continue
		}
		out.Origins = append(out.Origins, string(o))
	}
	name := func(list *[]string, p, n string) {
		if !validHeader(n) {
			issues = append(issues, routeFilterInvalid.at(k, p, "", "%q is not a name that CORS headers can hold", n))
			return
		}
		*list = append(*list, n)
	}
	for i, m := range in.AllowMethods {
		name(&out.Methods, path(field, "allowMethods", i), string(m))
	}
	for i, h := range in.AllowHeaders {
		name(&out.Headers, path(field, "allowHeaders", i), string(h))
	}
	for i, h := range in.ExposeHeaders {
		if h == "*" && out.Credentials {
			continue // browsers take it for a header of that name (GEP-1767)
		}
		name(&out.Exposed, path(field, "exposeHeaders", i), string(h))
	}
	return out, issues
}

// defaultCORSMaxAge is the specification's.
const defaultCORSMaxAge = 5 * time.Second

// originPattern is the API's for origins.
var originPattern = regexp.MustCompile(`^(\*|https?://((\*\.)?([a-zA-Z0-9-]+\.)*[a-zA-Z0-9-]+|\*)(:[0-9]{1,5})?)$`)

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
	if a.Path != "" && (len(a.Path) > maxPath || !pathPattern.MatchString(a.Path)) {
		return nil, []issue{routeFilterInvalid.at(k, field+".http.path", "escape it with percent signs", "%q is not a path", a.Path)}
	}
	if a.Path != "" && !strings.HasPrefix(a.Path, "/") {
		a.Path = "/" + a.Path
	}
	if in.ForwardBody != nil && in.ForwardBody.MaxSize > 0 {
		a.MaxBody = uint32(in.ForwardBody.MaxSize)
	}
	settings := path(field, strings.ToLower(string(in.ExternalAuthProtocol)))
	for name, list := range map[string][]string{"allowedHeaders": a.RequestHeaders, "allowedResponseHeaders": a.ResponseHeaders} {
		for i, h := range list {
			if !validHeader(h) {
				return nil, []issue{routeFilterInvalid.at(k, path(settings, name, i), "use letters, digits and dashes", "%q is not a header name", h)}
			}
		}
	}
	key, issues := resolveBackend(c, k, field+".backendRef", &in.BackendRef, proto)
	if len(issues) > 0 {
		return nil, issues
	}
	a.Cluster = key
	return a, nil
}
