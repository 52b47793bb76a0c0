package translate

import (
	"regexp"
	"strings"

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
		in := ruleInput{name: string(or(rule.Name, "")), filters: grpcFilters(rule.Filters), session: rule.SessionPersistence, grpc: true}
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
		service, method := or(in.Method.Service, ""), or(in.Method.Method, "")
		switch t := or(in.Method.Type, gateway.GRPCMethodMatchExact); t {
		case gateway.GRPCMethodMatchExact:
			switch {
			case service != "" && method != "":
				m.Kind, m.Path = ir.PathExact, "/"+service+"/"+method
			case service != "":
				m.Path = "/" + service
			case method != "":
				m.Kind, m.Path = ir.PathRegex, "/[^/]+/"+regexp.QuoteMeta(method)
			}
		case gateway.GRPCMethodMatchRegularExpression:
			if service == "" {
				service = "[^/]+"
			}
			if method == "" {
				method = "[^/]+"
			}
			m.Kind, m.Path = ir.PathRegex, "/"+service+"/"+method
			issues = append(issues, checkRegex(k, field+".method", m.Path)...)
		default:
			issues = append(issues, routeMatchInvalid.at(k, field+".method.type", "use Exact or RegularExpression", "method match type %q is not supported", t))
		}
		if strings.ContainsAny(service+method, " ") {
			issues = append(issues, routeMatchInvalid.at(k, field+".method", "", "a method name cannot hold spaces"))
		}
	}
	for i, h := range in.Headers {
		issues = append(issues, addMatch(k, path(field, "headers", i), &m.Headers, string(h.Name), h.Value, string(or(h.Type, gateway.GRPCHeaderMatchExact)), true)...)
	}
	return m, issues
}

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
