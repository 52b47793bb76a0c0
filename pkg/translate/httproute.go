package translate

import (
	"regexp"
	"slices"
	"strings"

	"k8s.io/utils/ptr"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/ir"
)

func httpRuleInputs(k store.Key, r *gateway.HTTPRoute) []ruleInput {
	inputs := make([]ruleInput, 0, len(r.Spec.Rules))
	for i := range r.Spec.Rules {
		rule := &r.Spec.Rules[i]
		in := ruleInput{
			name: string(ptr.Deref(rule.Name, "")), filters: rule.Filters, backends: rule.BackendRefs,
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
	m := ir.Match{Index: index, Kind: ir.PathPrefix, Path: "/", Method: string(ptr.Deref(in.Method, ""))}
	var issues []issue
	if in.Method != nil && !slices.Contains(methods, *in.Method) {
		issues = append(issues, routeMatchInvalid.at(k, field+".method", "use one of the methods of RFC 9110 in upper case", "method %q is not supported", *in.Method))
	}
	if in.Path != nil {
		m.Path = ptr.Deref(in.Path.Value, "/")
		switch t := ptr.Deref(in.Path.Type, gateway.PathMatchPathPrefix); t {
		case gateway.PathMatchExact:
			m.Kind = ir.PathExact
			issues = append(issues, checkPath(k, field+".path.value", m.Path)...)
		case gateway.PathMatchPathPrefix:
			m.Kind = ir.PathPrefix
			issues = append(issues, checkPath(k, field+".path.value", m.Path)...)
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
	}
	for i, h := range in.Headers {
		issues = append(issues, addMatch(k, path(field, "headers", i), &m.Headers, string(h.Name), h.Value, string(ptr.Deref(h.Type, gateway.HeaderMatchExact)), true)...)
	}
	for i, q := range in.QueryParams {
		issues = append(issues, addMatch(k, path(field, "queryParams", i), &m.Query, string(q.Name), q.Value, string(ptr.Deref(q.Type, gateway.QueryParamMatchExact)), false)...)
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
	if what := map[bool]string{true: "header", false: "query parameter"}[header]; !validHeader(name) {
		return []issue{routeMatchInvalid.at(k, field+".name", "use letters, digits and dashes", "%q is not the name of a %s", name, what)}
	}
	if !validHeaderValue(value) {
		return []issue{routeMatchInvalid.at(k, field+".value", "use up to 4096 printable characters", "the value to match %s with is too long or holds control characters", name)}
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

// methods are those that the API knows.
var methods = []gateway.HTTPMethod{
	gateway.HTTPMethodGet, gateway.HTTPMethodHead, gateway.HTTPMethodPost, gateway.HTTPMethodPut, gateway.HTTPMethodDelete,
	gateway.HTTPMethodConnect, gateway.HTTPMethodOptions, gateway.HTTPMethodTrace, gateway.HTTPMethodPatch,
}

// pathPattern is what the API lets pass as a path: the characters of RFC 3986.
var pathPattern = regexp.MustCompile(`^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+$`)

// checkPath refuses paths that no request can have once it is normalised, so
// that the match would never be true (rules of HTTPPathMatch).
func checkPath(k store.Key, field, p string) []issue {
	bad := func(hint, format string, args ...any) []issue {
		return []issue{routeMatchInvalid.at(k, field, hint, format, args...)}
	}
	switch {
	case !strings.HasPrefix(p, "/"):
		return bad("begin it with a slash", "path %q is not absolute", p)
	case len(p) > maxPath:
		return bad("", "the path is longer than %d bytes", maxPath)
	case strings.Contains(p, "//"):
		return bad("write one slash", "path %q has an empty element", p)
	case strings.Contains(p+"/", "/./") || strings.Contains(p+"/", "/../"):
		return bad("write the path without dots", "path %q has an element . or ..", p)
	case strings.Contains(strings.ToLower(p), "%2f"):
		return bad("write a slash", "path %q has an escaped slash", p)
	case !pathPattern.MatchString(p):
		return bad("escape it with a percent sign", "path %q holds a character that paths cannot hold", p)
	}
	return nil
}

// maxPath is the API's limit for paths and their replacements.
const maxPath = 1024

// checkRegex demands RE2 syntax, which Go and Envoy share.
func checkRegex(k store.Key, field, expression string) []issue {
	if expression == "" {
		return []issue{routeMatchInvalid.at(k, field, "write .* to match anything", "the regular expression is empty")}
	}
	if _, err := regexp.Compile(expression); err != nil {
		return []issue{routeMatchInvalid.at(k, field, "use RE2 syntax", "%v", err)}
	}
	return nil
}
