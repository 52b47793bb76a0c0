package translate

import (
	"fmt"
	"strings"
	"time"

	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/ir"
)

// rules are the resolved rules of an HTTPRoute or GRPCRoute, independent of the
// listeners it is on.
type rules struct {
	Rules []ir.Rule
	// Dropped counts the rules that were left out or answer 500 because of what
	// the route itself says; references do not count.
	Dropped int
	Issues  []issue
}

// ruleInput is what HTTPRoute and GRPCRoute rules have in common.
type ruleInput struct {
	name     string
	matches  []ir.Match
	invalid  []issue // why the rule cannot be matched at all
	filters  []gateway.HTTPRouteFilter
	backends []gateway.HTTPBackendRef
	timeouts *gateway.HTTPRouteTimeouts
	retry    *gateway.HTTPRouteRetry
	session  *gateway.SessionPersistence
	grpc     bool
}

// routeRules resolves the rules of an HTTPRoute or GRPCRoute. Whatever goes
// wrong inside costs this route only.
var routeRules = incr.NewQuery("route rules", func(c *incr.Context, k store.Key) *rules {
	route, ok := store.Get[store.Object](c, k)
	if !ok {
		return &rules{}
	}
	if message, bad := rejected(c, route); bad {
		return &rules{Issues: []issue{envoyRejected.at(k, "", "", "%s", message)}}
	}
	r := &rules{}
	for i, in := range ruleInputs(k, route) {
		r.add(c, k, i, in)
	}
	return r
}, incr.Recover(func(k store.Key, reason any) *rules {
	return &rules{Issues: []issue{internalFault.at(k, "", "report this fault", "%v", reason)}}
}))

func ruleInputs(k store.Key, route store.Object) []ruleInput {
	switch r := route.(type) {
	case *gateway.HTTPRoute:
		return httpRuleInputs(k, r)
	case *gateway.GRPCRoute:
		return grpcRuleInputs(k, r)
	default:
		return nil
	}
}

// add resolves one rule.
func (r *rules) add(c *incr.Context, k store.Key, index int, in ruleInput) {
	field := path("spec", "rules", index)
	if len(in.invalid) > 0 {
		r.Issues = append(r.Issues, in.invalid...)
		r.Dropped++
		return
	}
	rule := ir.Rule{
		Source:  ir.Source{Object: k, Path: field, Section: in.name},
		Index:   index,
		Matches: in.matches,
		GRPC:    in.grpc,
	}
	treat, issues := resolveFilters(c, k, field, in.filters, in.matches)
	rule.Mutations, rule.Rewrite, rule.Redirect = treat.mutations, treat.rewrite, treat.redirect
	rule.Mirrors, rule.CORS, rule.Auth = treat.mirrors, treat.cors, treat.auth
	rule.Fault = treat.fault

	issues = append(issues, resolveTimeouts(k, field, in.timeouts, &rule)...)
	issues = append(issues, resolveRetry(k, field, in.retry, &rule)...)
	if rule.Redirect == nil {
		proto := ir.Protocol("")
		if in.grpc {
			proto = ir.HTTP2
		}
		for i := range in.backends {
			d, is := resolveDestination(c, k, path(field, "backendRefs", i), &in.backends[i], proto, in.matches)
			issues = append(issues, is...)
			rule.Destinations = append(rule.Destinations, d)
		}
	}
	issues = append(issues, resolveSession(k, field, in.session, &rule)...)
	for _, is := range issues {
		if is.condition == accepted {
			r.Dropped++
			break
		}
	}
	r.Rules = append(r.Rules, rule)
	r.Issues = append(r.Issues, issues...)
}

// resolveDestination follows one backendRef and reads its filters.
func resolveDestination(c *incr.Context, k store.Key, field string, b *gateway.HTTPBackendRef, proto ir.Protocol, matches []ir.Match) (ir.Destination, []issue) {
	d := ir.Destination{Source: ir.Source{Object: k, Path: field}, Weight: weight(b.Weight)}
	key, issues := resolveBackend(c, k, field, &b.BackendObjectReference, proto)
	if len(issues) == 0 {
		d.Cluster, d.Valid = key, true
		if problem := backendTLS.Get(c, backendPortKey{key.Backend, key.Port}).Problem; problem != "" {
			d.Valid = false
			issues = append(issues, backendTLSInvalid.at(k, field, "see the findings of the BackendTLSPolicy", "%s cannot be verified: %s", key.Backend, problem))
		}
	}
	treat, more := resolveFilters(c, k, field, b.Filters, matches)
	issues = append(issues, more...)
	d.Mutations, d.Rewrite, d.Redirect = treat.mutations, treat.rewrite, treat.redirect
	d.Mirrors, d.CORS, d.Auth = treat.mirrors, treat.cors, treat.auth
	if treat.fault {
		d.Valid = false
	}
	return d, issues
}

// weight applies the default of the specification.
func weight(w *int32) uint32 {
	if w == nil {
		return 1
	}
	return uint32(max(*w, 0))
}

// parseDuration reads a Gateway API duration (GEP-2257), a subset of Go's.
func parseDuration(d gateway.Duration) (time.Duration, error) {
	v, err := time.ParseDuration(string(d))
	if err != nil || v < 0 {
		return 0, fmt.Errorf("%q is not a duration such as 500ms or 1m30s", d)
	}
	return v, nil
}

// resolveTimeouts reads timeouts.request and timeouts.backendRequest.
func resolveTimeouts(k store.Key, field string, t *gateway.HTTPRouteTimeouts, rule *ir.Rule) []issue {
	if t == nil {
		return nil
	}
	var issues []issue
	read := func(name string, d *gateway.Duration) *time.Duration {
		if d == nil {
			return nil
		}
		v, err := parseDuration(*d)
		if err != nil {
			issues = append(issues, routeTimeout.at(k, path(field, "timeouts", name), "", "%v", err))
			rule.Fault = true
			return nil
		}
		return &v
	}
	rule.Timeout = read("request", t.Request)
	try := read("backendRequest", t.BackendRequest)
	if try != nil && *try > 0 {
		rule.TryTimeout = try
		if rule.Timeout == nil {
			// Nothing bounds the whole request but its attempts.
			zero := time.Duration(0)
			rule.Timeout = &zero
		}
	}
	if rule.Timeout != nil && *rule.Timeout > 0 && rule.TryTimeout != nil && *rule.TryTimeout > *rule.Timeout {
		issues = append(issues, routeTimeout.at(k, path(field, "timeouts", "backendRequest"), "make it shorter than timeouts.request",
			"%v exceeds timeouts.request of %v", *rule.TryTimeout, *rule.Timeout))
		rule.Fault = true
	}
	return issues
}

// resolveRetry reads the retry settings (GEP-1731).
func resolveRetry(k store.Key, field string, r *gateway.HTTPRouteRetry, rule *ir.Rule) []issue {
	if r == nil {
		return nil
	}
	retry := &ir.Retry{Attempts: 1}
	if r.Attempts != nil {
		if *r.Attempts < 0 {
			rule.Fault = true
			return []issue{routeTimeout.at(k, path(field, "retry", "attempts"), "", "%d is not a number of attempts", *r.Attempts)}
		}
		retry.Attempts = uint32(*r.Attempts)
	}
	for i, code := range r.Codes {
		if code < 400 || code > 599 {
			rule.Fault = true
			return []issue{routeTimeout.at(k, path(field, "retry", "codes", i), "use codes between 400 and 599", "%d is not an error status", code)}
		}
		retry.Codes = append(retry.Codes, uint32(code))
	}
	if r.Backoff != nil {
		v, err := parseDuration(*r.Backoff)
		if err != nil {
			rule.Fault = true
			return []issue{routeTimeout.at(k, path(field, "retry", "backoff"), "", "%v", err)}
		}
		retry.Backoff = v
	}
	rule.Retry = retry
	return nil
}

// resolveSession reads session persistence (GEP-1619).
func resolveSession(k store.Key, field string, s *gateway.SessionPersistence, rule *ir.Rule) []issue {
	if s == nil {
		return nil
	}
	field = path(field, "sessionPersistence")
	session := &ir.Session{Cookie: or(s.Type, gateway.CookieBasedSessionPersistence) == gateway.CookieBasedSessionPersistence}
	if session.Cookie {
		session.Name, session.Path = "egctl-session-"+shortHash(k.Namespace+"/"+k.Name+"/"+rule.Path), "/"
		if s.Cookie != nil {
			if s.Cookie.Name != nil {
				session.Name = string(*s.Cookie.Name)
			}
			session.Path = or(s.Cookie.Path, session.Path)
		} else if len(rule.Matches) == 1 && rule.Matches[0].Kind == ir.PathPrefix {
			session.Path = rule.Matches[0].Path
		}
		if !validToken(session.Name) {
			return []issue{routeSession.at(k, field+".cookie.name", "", "%q is not a cookie name", session.Name)}
		}
		permanent := s.Cookie != nil && or(s.Cookie.LifetimeType, gateway.SessionCookieLifetimeType) == gateway.PermanentCookieLifetimeType
		if permanent && s.AbsoluteTimeout == nil {
			return []issue{routeSession.at(k, field+".absoluteTimeout", "set absoluteTimeout", "a permanent cookie needs an absolute timeout")}
		}
		if permanent {
			ttl, err := parseDuration(*s.AbsoluteTimeout)
			if err != nil {
				return []issue{routeSession.at(k, field+".absoluteTimeout", "", "%v", err)}
			}
			session.TTL = ttl
		}
	} else {
		if s.Header == nil || !validHeader(string(s.Header.Name)) {
			return []issue{routeSession.at(k, field+".header.name", "name a header", "header based persistence needs a header name")}
		}
		session.Name = string(s.Header.Name)
	}
	var protocol *ir.Protocol
	for i := range rule.Destinations {
		d := &rule.Destinations[i]
		if d.Special() || !d.Mutations.Request.Empty() || !d.Mutations.Response.Empty() {
			return []issue{routeSession.at(k, field, "move the filters to the rule", "backends with filters of their own cannot share sessions")}
		}
		if d.Valid && protocol != nil && *protocol != d.Cluster.Protocol {
			return []issue{routeSession.at(k, field, "", "backends that speak different protocols cannot share sessions")}
		}
		if d.Valid {
			protocol = &d.Cluster.Protocol
		}
	}
	rule.Session = session
	return nil
}

// validHeader says whether a name can be used for a header that is not a
// pseudo-header.
func validHeader(name string) bool { return validToken(name) }

// validToken checks for an RFC 9110 token.
func validToken(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return true
}

// validHeaderValue refuses control characters, which Envoy refuses too.
func validHeaderValue(v string) bool {
	for i := range len(v) {
		if c := v[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
