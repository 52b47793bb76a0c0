package translate

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"k8s.io/utils/ptr"
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
		Source:  ir.Source{Object: k, Path: field, Section: strings.ToValidUTF8(in.name, "?")},
		Index:   index,
		Matches: in.matches,
		GRPC:    in.grpc,
	}
	treat, issues := resolveFilters(c, k, field, in.filters, in.matches, protocol(in.grpc))
	rule.Mutations, rule.Rewrite, rule.Redirect = treat.mutations, treat.rewrite, treat.redirect
	rule.Mirrors, rule.CORS, rule.Auth = treat.mirrors, treat.cors, treat.auth
	rule.Fault = treat.fault

	issues = append(issues, resolveTimeouts(k, field, in.timeouts, &rule)...)
	issues = append(issues, resolveRetry(k, field, in.retry, &rule)...)
	if rule.Redirect == nil {
		proto := protocol(in.grpc)
		for i := range in.backends {
			d, is := resolveDestination(c, k, path(field, "backendRefs", i), &in.backends[i], proto, in.matches)
			issues = append(issues, is...)
			rule.Destinations = append(rule.Destinations, d)
		}
	}
	issues = append(issues, resolveSession(c, k, field, in.session, &rule)...)
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
	if w := ptr.Deref(b.Weight, 1); w < 0 || w > maxWeight {
		d.Valid = false
		issues = append(issues, routeWeight.at(k, field+".weight", "use 0 to 1000000", "%d is not a weight", w))
	}
	treat, more := resolveFilters(c, k, field, b.Filters, matches, proto)
	issues = append(issues, more...)
	if d.Valid = d.Valid && !treat.fault; !d.Valid {
		return d, issues // its share is answered 500, whatever its filters say
	}
	d.Mutations, d.Rewrite, d.Redirect = treat.mutations, treat.rewrite, treat.redirect
	d.Mirrors, d.CORS, d.Auth = treat.mirrors, treat.cors, treat.auth
	return d, issues
}

// protocol is what a route needs its backends to speak.
func protocol(grpc bool) ir.Protocol {
	if grpc {
		return ir.HTTP2
	}
	return ""
}

// maxWeight is the API's limit. Envoy wants the sum of the weights of a rule to
// stay below 2^32.
const maxWeight = 1_000_000

// weight applies the default and the limits of the specification.
func weight(w *int32) uint32 {
	return uint32(min(max(ptr.Deref(w, 1), 0), maxWeight))
}

// durationPattern is the grammar of GEP-2257.
var durationPattern = regexp.MustCompile(`^([0-9]{1,5}(h|m|s|ms)){1,4}$`)

// parseDuration reads a Gateway API duration (GEP-2257), a subset of Go's.
func parseDuration(d gateway.Duration) (time.Duration, error) {
	v, err := time.ParseDuration(string(d))
	if err != nil || !durationPattern.MatchString(string(d)) {
		return 0, fmt.Errorf("%q is not a duration", d)
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
			issues = append(issues, routeTimeout.at(k, path(field, "timeouts", name), durationHint, "%v", err))
			rule.Fault = true
			return nil
		}
		return &v
	}
	rule.Timeout = read("request", t.Request)
	try := read("backendRequest", t.BackendRequest)
	if try != nil && *try > 0 {
		rule.TryTimeout = try
	}
	if try != nil && t.Request == nil {
		// Nothing bounds the whole request but its attempts, if even those.
		zero := time.Duration(0)
		rule.Timeout = &zero
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
		if *r.Attempts < 0 || *r.Attempts > math.MaxInt32 {
			rule.Fault = true
			return []issue{routeTimeout.at(k, path(field, "retry", "attempts"), "use 0 for no retries", "%d is not a number of attempts", *r.Attempts)}
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
			return []issue{routeTimeout.at(k, path(field, "retry", "backoff"), durationHint, "%v", err)}
		}
		retry.Backoff = v
	}
	rule.Retry = retry
	return nil
}

// resolveSession reads session persistence (GEP-1619).
func resolveSession(c *incr.Context, k store.Key, field string, s *gateway.SessionPersistence, rule *ir.Rule) []issue {
	if s == nil {
		return nil
	}
	field = path(field, "sessionPersistence")
	var issues []issue
	session := &ir.Session{Cookie: ptr.Deref(s.Type, gateway.CookieBasedSessionPersistence) == gateway.CookieBasedSessionPersistence}
	if session.Cookie {
		session.Name, session.Path = "egctl-session-"+shortHash(k.Namespace+"/"+k.Name+"/"+rule.Path), "/"
		if s.Cookie != nil {
			if s.Cookie.Name != nil {
				session.Name = string(*s.Cookie.Name)
			}
			session.Path = ptr.Deref(s.Cookie.Path, session.Path)
		}
		if !validHeader(session.Name) {
			return []issue{routeSession.at(k, field+".cookie.name", "use letters, digits and dashes", "%q is not a cookie name", session.Name)}
		}
		if !strings.HasPrefix(session.Path, "/") || strings.Contains(session.Path, ";") || !validHeaderValue(session.Path) {
			return []issue{routeSession.at(k, field+".cookie.path", "begin it with a slash", "%q is not the path of a cookie", session.Path)}
		}
		permanent := s.Cookie != nil && ptr.Deref(s.Cookie.LifetimeType, gateway.SessionCookieLifetimeType) == gateway.PermanentCookieLifetimeType
		if permanent && s.AbsoluteTimeout == nil {
			return []issue{routeSession.at(k, field+".absoluteTimeout", "set absoluteTimeout", "a permanent cookie needs an absolute timeout")}
		}
		if permanent {
			ttl, err := parseDuration(*s.AbsoluteTimeout)
			if err != nil {
				return []issue{routeSession.at(k, field+".absoluteTimeout", durationHint, "%v", err)}
			}
			session.TTL = ttl
		} else if s.AbsoluteTimeout != nil {
			issues = append(issues, routeSessionTimeout.at(k, field+".absoluteTimeout", "use lifetimeType Permanent to bound the session",
				"absoluteTimeout has no effect on a session cookie"))
		}
	} else {
		if s.Header == nil || !validHeader(string(s.Header.Name)) {
			return []issue{routeSession.at(k, field+".header.name", "name a header", "header based persistence needs a header name")}
		}
		session.Name = string(s.Header.Name)
		if s.AbsoluteTimeout != nil {
			issues = append(issues, routeSessionTimeout.at(k, field+".absoluteTimeout", "use a permanent cookie to bound the session",
				"absoluteTimeout has no effect on a session that a header carries"))
		}
	}
	if message := unlike(c, rule); message != "" {
		return []issue{routeSession.at(k, field, "use one backend, or backends that are alike", "%s", message)}
	}
	rule.Session = session
	return issues
}

// unlike says why the backends of a rule cannot be in one cluster, which a
// session needs; empty if they can.
func unlike(c *incr.Context, rule *ir.Rule) string {
	var first *ir.Destination
	for i := range rule.Destinations {
		d := &rule.Destinations[i]
		if !d.Valid || d.Weight == 0 {
			continue
		}
		if len(rule.Destinations) > 1 && (d.Special() || !d.Mutations.Request.Empty() || !d.Mutations.Response.Empty()) {
			return "backends with filters of their own cannot share sessions"
		}
		if first == nil {
			first = d
			continue
		}
		a, b := backendPortKey{first.Cluster.Backend, first.Cluster.Port}, backendPortKey{d.Cluster.Backend, d.Cluster.Port}
		if first.Cluster.Protocol != d.Cluster.Protocol || servicePorts.Get(c, a).Protocol != servicePorts.Get(c, b).Protocol {
			return "backends that speak different protocols cannot share sessions"
		}
		if !reflect.DeepEqual(backendTLS.Get(c, a).TLS, backendTLS.Get(c, b).TLS) {
			return "backends with different TLS settings cannot share sessions"
		}
	}
	return ""
}

// validHeader says whether a name can be used for a header that is not a
// pseudo-header.
func validHeader(name string) bool { return len(name) <= maxHeaderName && validToken(name) }

// The API's limits in bytes. Envoy's are four times as high, so that there is
// room for escapes.
const (
	maxHeaderName  = 256
	maxHeaderValue = 4096
)

// durationHint shows what a duration looks like.
const durationHint = "write whole numbers with h, m, s or ms, such as 1m30s"

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

// validHeaderValue refuses control characters and what is no UTF-8, which
// Envoy refuses too.
func validHeaderValue(v string) bool {
	if len(v) > maxHeaderValue || !utf8.ValidString(v) {
		return false
	}
	for i := range len(v) {
		if c := v[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
