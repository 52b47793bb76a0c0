package translate

import (
	"regexp"

	"k8s.io/utils/ptr"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/ir"
)

// A gRPC call is an HTTP/2 request with the path /SERVICE/METHOD, so a
// GRPCRoute is an HTTPRoute with other words.
func grpcRuleInputs(k store.Key, r *gateway.GRPCRoute) []ruleInput {
	inputs := make([]ruleInput, 0, len(r.Spec.Rules))
	for i := range r.Spec.Rules {
		rule := &r.Spec.Rules[i]
		in := ruleInput{name: string(ptr.Deref(rule.Name, "")), filters: grpcFilters(rule.Filters), session: rule.SessionPersistence, grpc: true}
		for _, b := range rule.BackendRefs {
			in.backends = append(in.backends, gateway.HTTPBackendRef{BackendRef: b.BackendRef, Filters: grpcFilters(b.Filters)})
		}
		for j := range rule.Matches {
			m, issues := grpcMatch(k, path("spec", "rules", i, "matches", j), j, &rule.Matches[j])
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

func grpcMatch(k store.Key, field string, index int, in *gateway.GRPCRouteMatch) (ir.Match, []issue) {
	m := ir.Match{Index: index, Kind: ir.PathPrefix, Path: "/"}
	var issues []issue
	if in.Method != nil {
		issues = append(issues, grpcMethod(k, field+".method", in.Method, &m)...)
	}
	for i, h := range in.Headers {
		issues = append(issues, addMatch(k, path(field, "headers", i), &m.Headers, string(h.Name), h.Value, string(ptr.Deref(h.Type, gateway.GRPCHeaderMatchExact)), true)...)
	}
	return m, issues
}

// grpcMethod reads a service and a method as a path.
func grpcMethod(k store.Key, field string, in *gateway.GRPCMethodMatch, m *ir.Match) []issue {
	service, method := ptr.Deref(in.Service, ""), ptr.Deref(in.Method, "")
	if service == "" && method == "" {
		return []issue{routeMatchInvalid.at(k, field, "leave out the method match to match every call", "neither a service nor a method is named")}
	}
	m.AnyService = service == ""
	switch t := ptr.Deref(in.Type, gateway.GRPCMethodMatchExact); t {
	case gateway.GRPCMethodMatchExact:
		for _, n := range []struct{ field, name string }{{"service", service}, {"method", method}} {
			if n.name != "" && !grpcName.MatchString(n.name) {
				return []issue{routeMatchInvalid.at(k, path(field, n.field), "use letters, digits, underscores and, in a service, dots", "%q is not the name of a gRPC %s", n.name, n.field)}
			}
		}
		switch {
		case method == "":
			m.Path = "/" + service
		case service == "":
			m.Kind, m.Path = ir.PathRegex, "/[^/]+/"+regexp.QuoteMeta(method)
		default:
			m.Kind, m.Path = ir.PathExact, "/"+service+"/"+method
		}
	case gateway.GRPCMethodMatchRegularExpression:
		// Each is an expression of its own: "a|b" must not reach over the slash.
		group := func(name, expression string) (string, []issue) {
			if expression == "" {
				return "[^/]+", nil
			}
			return "(?:" + expression + ")", checkRegex(k, path(field, name), expression)
		}
		s, is := group("service", service)
		e, more := group("method", method)
		m.Kind, m.Path = ir.PathRegex, "/"+s+"/"+e
		return append(is, more...)
	default:
		return []issue{routeMatchInvalid.at(k, field+".type", "use Exact or RegularExpression", "method match type %q is not supported", t)}
	}
	return nil
}

// grpcName is a name of the protobuf language, perhaps with packages.
var grpcName = regexp.MustCompile(`^\.?[A-Za-z_][A-Za-z_0-9]*(\.[A-Za-z_][A-Za-z_0-9]*)*$`)

// grpcFilters are the same filters under other types.
func grpcFilters(fs []gateway.GRPCRouteFilter) []gateway.HTTPRouteFilter {
	out := make([]gateway.HTTPRouteFilter, 0, len(fs))
	for _, f := range fs {
		out = append(out, gateway.HTTPRouteFilter{
			Type:                   gateway.HTTPRouteFilterType(f.Type),
			RequestHeaderModifier:  f.RequestHeaderModifier,
			ResponseHeaderModifier: f.ResponseHeaderModifier,
			RequestMirror:          f.RequestMirror,
			ExtensionRef:           f.ExtensionRef,
		})
	}
	return out
}
