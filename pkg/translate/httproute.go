package translate

import (
	"regexp"
	"strings"

	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/ir"
)

func httpRuleInputs(k store.Key, r *gateway.HTTPRoute) []ruleInput {
	inputs := make([]ruleInput, 0, len(r.Spec.Rules))
	for i := range r.Spec.Rules {
		rule := &r.Spec.Rules[i]
		in := ruleInput{
			name: string(or(rule.Name, "")), filters: rule.Filters, backends: rule.BackendRefs,
			timeouts: rule.Timeouts, retry: rule.Retry, session: rule.SessionPersistence,
		}
		for j := range rule.Matches {
			m, issues := httpMatch(k, path("spec", "rules", i, "matches", j), j, &rule.Matches[j])
			in.matches = append(in.matches, m)
			in.invalid = append(in.invalid, issues...)
		}
		if len(rule.Matches) == 0 {
			in.matches = []ir.Match{{Index: -1, Kind: ir.PathPrefix, Path: "/"}}
		}
		inputs = append(inputs, in)
	}
	return inputs
}

func httpMatch(k store.Key, field string, index int, in *gateway.HTTPRouteMatch) (ir.Match, []issue) {
	m := ir.Match{Index: index, Kind: ir.PathPrefix, Path: "/", Method: string(or(in.Method, ""))}
	var issues []issue
	if in.Path != nil {
		m.Path = or(in.Path.Value, "/")
		switch t := or(in.Path.Type, gateway.PathMatchPathPrefix); t {
		case gateway.PathMatchExact:
			m.Kind = ir.PathExact
		case gateway.PathMatchPathPrefix:
			m.Kind = ir.PathPrefix
			if m.Path != "/" {
				m.Path = strings.TrimRight(m.Path, "/") // "/foo/" and "/foo" match alike
			}
			if m.Path == "" {
				m.Path = "/"
			}
		case gateway.PathMatchRegularExpression:
			m.Kind = ir.PathRegex
			issues = append(issues, checkRegex(k, field+".path.value", m.Path)...)
		default:
			issues = append(issues, routeMatchInvalid.at(k, field+".path.type", "use Exact, PathPrefix or RegularExpression", "path match type %q is not supported", t))
		}
		if m.Kind != ir.PathRegex && !strings.HasPrefix(m.Path, "/") {
			issues = append(issues, routeMatchInvalid.at(k, field+".path.value", "begin it with a slash", "path %q is not absolute", m.Path))
		}
	}
	for i, h := range in.Headers {
		issues = append(issues, addMatch(k, path(field, "headers", i), &m.Headers, string(h.Name), h.Value, string(or(h.Type, gateway.HeaderMatchExact)), true)...)
	}
	for i, q := range in.QueryParams {
		issues = append(issues, addMatch(k, path(field, "queryParams", i), &m.Query, string(q.Name), q.Value, string(or(q.Type, gateway.QueryParamMatchExact)), false)...)
	}
	return m, issues
}

// addMatch appends a header or query match. Of entries with equivalent names
// only the first counts, as the specification says.
func addMatch(k store.Key, field string, list *[]ir.StringMatch, name, value, kind string, header bool) []issue {
	for _, have := range *list {
		if have.Name == name || header && strings.EqualFold(have.Name, name) {
			return nil
		}
	}
	if header && !validHeader(name) {
		return []issue{routeMatchInvalid.at(k, field+".name", "", "%q is not a header name", name)}
	}
	m := ir.StringMatch{Name: name, Value: value}
	switch kind {
	case "Exact":
	case "RegularExpression":
		m.Regex = true
		if issues := checkRegex(k, field+".value", value); issues != nil {
			return issues
		}
	default:
		return []issue{routeMatchInvalid.at(k, field+".type", "use Exact or RegularExpression", "match type %q is not supported", kind)}
	}
	*list = append(*list, m)
	return nil
}

// checkRegex demands RE2 syntax, which Go and Envoy share.
func checkRegex(k store.Key, field, expression string) []issue {
	if _, err := regexp.Compile(expression); err != nil {
		return []issue{routeMatchInvalid.at(k, field, "use RE2 syntax", "%v", err)}
	}
	return nil
}
