package translate_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// TestBadStringsCostTheirRule puts strings that no YAML can hold, and some that
// are too long, into every field of a rule. Each costs its own rule: it is
// reported, and the rule beside it is served.
func TestBadStringsCostTheirRule(t *testing.T) {
	for _, bad := range []string{"\xff\xfe", "a\x00b", "a\nb", "/\xc3", strings.Repeat("x", 70000)} {
		header := []gateway.HTTPHeader{{Name: "a", Value: bad}}
		for name, rule := range map[string]gateway.HTTPRouteRule{
			"exact path":  {Matches: []gateway.HTTPRouteMatch{{Path: &gateway.HTTPPathMatch{Type: new(gateway.PathMatchExact), Value: new("/" + bad)}}}},
			"prefix":      {Matches: []gateway.HTTPRouteMatch{{Path: &gateway.HTTPPathMatch{Value: new("/" + bad)}}}},
			"header":      {Matches: []gateway.HTTPRouteMatch{{Headers: []gateway.HTTPHeaderMatch{{Name: gateway.HTTPHeaderName(bad), Value: "a"}}}}},
			"value":       {Matches: []gateway.HTTPRouteMatch{{Headers: []gateway.HTTPHeaderMatch{{Name: "a", Value: bad}}}}},
			"query":       {Matches: []gateway.HTTPRouteMatch{{QueryParams: []gateway.HTTPQueryParamMatch{{Name: gateway.HTTPHeaderName(bad), Value: "a"}}}}},
			"query value": {Matches: []gateway.HTTPRouteMatch{{QueryParams: []gateway.HTTPQueryParamMatch{{Name: "a", Value: bad}}}}},
			"method":      {Matches: []gateway.HTTPRouteMatch{{Method: new(gateway.HTTPMethod(bad))}}},
			"set":         filtered(gateway.HTTPRouteFilter{Type: gateway.HTTPRouteFilterRequestHeaderModifier, RequestHeaderModifier: &gateway.HTTPHeaderFilter{Set: header}}),
			"remove":      filtered(gateway.HTTPRouteFilter{Type: gateway.HTTPRouteFilterResponseHeaderModifier, ResponseHeaderModifier: &gateway.HTTPHeaderFilter{Remove: []string{bad}}}),
			"rewrite":     filtered(gateway.HTTPRouteFilter{Type: gateway.HTTPRouteFilterURLRewrite, URLRewrite: &gateway.HTTPURLRewriteFilter{Path: &gateway.HTTPPathModifier{Type: gateway.FullPathHTTPPathModifier, ReplaceFullPath: &bad}}}),
			"prefix rewrite": filtered(gateway.HTTPRouteFilter{Type: gateway.HTTPRouteFilterURLRewrite, URLRewrite: &gateway.HTTPURLRewriteFilter{
				Path: &gateway.HTTPPathModifier{Type: gateway.PrefixMatchHTTPPathModifier, ReplacePrefixMatch: &bad}}}),
			"redirect": filtered(gateway.HTTPRouteFilter{Type: gateway.HTTPRouteFilterRequestRedirect, RequestRedirect: &gateway.HTTPRequestRedirectFilter{Hostname: new(gateway.PreciseHostname(bad))}}),
			"scheme":   filtered(gateway.HTTPRouteFilter{Type: gateway.HTTPRouteFilterRequestRedirect, RequestRedirect: &gateway.HTTPRequestRedirectFilter{Scheme: &bad}}),
			"origin":   filtered(gateway.HTTPRouteFilter{Type: gateway.HTTPRouteFilterCORS, CORS: &gateway.HTTPCORSFilter{AllowOrigins: []gateway.CORSOrigin{gateway.CORSOrigin(bad)}}}),
			"exposed":  filtered(gateway.HTTPRouteFilter{Type: gateway.HTTPRouteFilterCORS, CORS: &gateway.HTTPCORSFilter{ExposeHeaders: []gateway.HTTPHeaderName{gateway.HTTPHeaderName(bad)}}}),
			"filter":   filtered(gateway.HTTPRouteFilter{Type: gateway.HTTPRouteFilterType(bad)}),
			"auth":     filtered(gateway.HTTPRouteFilter{Type: gateway.HTTPRouteFilterExternalAuth, ExternalAuth: &gateway.HTTPExternalAuthFilter{ExternalAuthProtocol: "HTTP", HTTPAuthConfig: &gateway.HTTPAuthConfig{Path: bad}}}),
			"cookie":   {SessionPersistence: &gateway.SessionPersistence{Cookie: &gateway.CookieConfig{Name: new(gateway.CookieName(bad))}}},
			"cookie path": {SessionPersistence: &gateway.SessionPersistence{
				Cookie: &gateway.CookieConfig{Path: new("/" + bad)}}},
			"session header": {SessionPersistence: &gateway.SessionPersistence{Type: new(gateway.HeaderBasedSessionPersistence), Header: &gateway.HeaderConfig{Name: gateway.HeaderName(bad)}}},
			"timeout":        {Timeouts: &gateway.HTTPRouteTimeouts{Request: new(gateway.Duration(bad))}},
			"backend": {BackendRefs: []gateway.HTTPBackendRef{{BackendRef: gateway.BackendRef{
				BackendObjectReference: gateway.BackendObjectReference{Name: gateway.ObjectName(bad), Port: new(gateway.PortNumber(80))}}}}},
		} {
			t.Run(name, func(t *testing.T) {
				bad := rule
				bad.Name = new(gateway.SectionName("\xff")) // goes into the metadata
				tr := translate.New(settings())
				for _, o := range decode(t, []byte(class+"\n---\n"+strings.NewReplacer("TLSPORT", "443", "PORT", "80").Replace(listeners))) {
					tr.Store.Apply(store.Put(o))
				}
				tr.Store.Apply(store.Put(&gateway.HTTPRoute{
					ObjectMeta: metav1.ObjectMeta{Name: "r", Namespace: "default"},
					Spec: gateway.HTTPRouteSpec{
						CommonRouteSpec: gateway.CommonRouteSpec{ParentRefs: []gateway.ParentReference{{Name: "eg"}}},
						Rules:           []gateway.HTTPRouteRule{bad, {Matches: []gateway.HTTPRouteMatch{{Path: &gateway.HTTPPathMatch{Value: new("/neighbour")}}}}},
					},
				}))
				changes := tr.Update()
				if n := findingsAbout(changes, "spec.rules[0]"); n == 0 {
					t.Errorf("nothing is said about the rule")
				}
				if n := findingsAbout(changes, "spec.rules[1]"); n > 0 {
					t.Errorf("%d findings about the neighbour", n)
				}
				if !served(changes, "/neighbour") {
					t.Error("the neighbour is not served")
				}
			})
		}
	}
}

func filtered(f gateway.HTTPRouteFilter) gateway.HTTPRouteRule {
	return gateway.HTTPRouteRule{Filters: []gateway.HTTPRouteFilter{f}}
}

func findingsAbout(ch translate.Changes, field string) int {
	n := 0
	for _, r := range ch.Reports {
		for _, f := range r.Findings {
			if strings.HasPrefix(f.Path, field) {
				n++
			}
		}
	}
	return n
}

// served says whether a route table holds a path.
func served(ch translate.Changes, path string) bool {
	for _, s := range ch.Snapshots {
		for _, r := range s.Of(xds.RouteType) {
			if strings.Contains(string(r.Body), path) {
				return true
			}
		}
	}
	return false
}
