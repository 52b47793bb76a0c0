package xds

import (
	"regexp"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/egctl/egctl/pkg/translate/ir"
)

// routeMatch is a match of a rule as Envoy has it.
func routeMatch(m *ir.Match) *route.RouteMatch {
	rm := &route.RouteMatch{}
	switch m.Kind {
	case ir.PathExact:
		rm.PathSpecifier = &route.RouteMatch_Path{Path: m.Path}
	case ir.PathRegex:
		rm.PathSpecifier = &route.RouteMatch_SafeRegex{SafeRegex: regex(m.Path)}
	default:
		if m.Path == "/" {
			rm.PathSpecifier = &route.RouteMatch_Prefix{Prefix: "/"}
		} else {
			rm.PathSpecifier = &route.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: m.Path}
		}
	}
	if m.Method != "" {
		rm.Headers = append(rm.Headers, exactHeader(":method", m.Method))
	}
	for _, h := range m.Headers {
		hm := &route.HeaderMatcher{Name: h.Name, HeaderMatchSpecifier: &route.HeaderMatcher_StringMatch{StringMatch: stringMatch(h)}}
		rm.Headers = append(rm.Headers, hm)
	}
	for _, q := range m.Query {
		rm.QueryParameters = append(rm.QueryParameters, &route.QueryParameterMatcher{
			Name:                         q.Name,
			QueryParameterMatchSpecifier: &route.QueryParameterMatcher_StringMatch{StringMatch: stringMatch(q)},
		})
	}
	return rm
}

// preflightMatch matches the CORS preflight of requests that m matches. The
// browser sends it with another method and without the headers of the request,
// but names both.
func preflightMatch(m *ir.Match) *route.RouteMatch {
	pre := *m
	pre.Method, pre.Headers = "OPTIONS", nil
	rm := routeMatch(&pre)
	rm.Headers = append(rm.Headers, presentHeader("origin"))
	if m.Method != "" {
		rm.Headers = append(rm.Headers, exactHeader("access-control-request-method", m.Method))
	} else {
		rm.Headers = append(rm.Headers, presentHeader("access-control-request-method"))
	}
	for _, h := range m.Headers {
		named := ir.StringMatch{Value: `(?i)(.*,)?[ \t]*` + regexp.QuoteMeta(h.Name) + `[ \t]*(,.*)?`, Regex: true}
		rm.Headers = append(rm.Headers, &route.HeaderMatcher{
			Name:                 "access-control-request-headers",
			HeaderMatchSpecifier: &route.HeaderMatcher_StringMatch{StringMatch: stringMatch(named)},
		})
	}
	return rm
}

func presentHeader(name string) *route.HeaderMatcher {
	return &route.HeaderMatcher{Name: name, HeaderMatchSpecifier: &route.HeaderMatcher_PresentMatch{PresentMatch: true}}
}

func exactHeader(name, value string) *route.HeaderMatcher {
	return &route.HeaderMatcher{Name: name, HeaderMatchSpecifier: &route.HeaderMatcher_StringMatch{
		StringMatch: &matcher.StringMatcher{MatchPattern: &matcher.StringMatcher_Exact{Exact: value}},
	}}
}

func stringMatch(m ir.StringMatch) *matcher.StringMatcher {
	if m.Regex {
		return &matcher.StringMatcher{MatchPattern: &matcher.StringMatcher_SafeRegex{SafeRegex: regex(m.Value)}}
	}
	return &matcher.StringMatcher{MatchPattern: &matcher.StringMatcher_Exact{Exact: m.Value}}
}

func regex(expression string) *matcher.RegexMatcher { return &matcher.RegexMatcher{Regex: expression} }
