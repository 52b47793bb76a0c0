package xds

import (
	"regexp"
	"strings"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hosts "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/egctl/egctl/pkg/translate/ir"
)

// InvalidCluster stands for references that cannot be followed. It never
// exists, so that its share of the requests gets the response code of a cluster
// that is not found.
const InvalidCluster = "invalid-backend-cluster"

// forward gives the route the action that sends requests to backends.
func forward(rt *route.Route, r *ir.Rule, m *ir.Match, env RouteEnv) {
	a := &route.RouteAction{}
	if !r.GRPC { // gRPC clients see 503 as UNAVAILABLE
		a.ClusterNotFoundResponseCode = route.RouteAction_INTERNAL_SERVER_ERROR
	}
	if !choose(a, r, env) {
		rt.Action = unroutable(r)
		return
	}
	rt.Action = &route.Route_Route{Route: a}
	if r.Rewrite != nil {
		rewrite(a, r.Rewrite, m)
	}
	timeouts(a, r)
	for i := range r.Mirrors {
		mirror := &r.Mirrors[i]
		a.RequestMirrorPolicies = append(a.RequestMirrorPolicies, &route.RouteAction_RequestMirrorPolicy{
			Cluster:                       env.Cluster(mirror.Cluster),
			DisableShadowHostSuffixAppend: true,
			RuntimeFraction:               &core.RuntimeFractionalPercent{DefaultValue: fraction(mirror.Numerator, mirror.Denominator)},
		})
	}
}

func fraction(n, of uint32) *typev3.FractionalPercent {
	if of == 100 {
		return &typev3.FractionalPercent{Numerator: n}
	}
	return millionths(uint64(n), uint64(of))
}

// Combined is the key of the cluster that holds all backends of a rule, and
// whether the rule needs one: a session stays with its endpoint only if that is
// in the cluster that is chosen, so all endpoints must be in one.
func Combined(r *ir.Rule) (ir.ClusterKey, bool) {
	if r.Session == nil || r.Fault || r.Redirect != nil {
		return ir.ClusterKey{}, false
	}
	n := 0
	for i := range r.Destinations {
		if r.Destinations[i].Weight == 0 {
			continue
		}
		if !r.Destinations[i].Valid {
			return ir.ClusterKey{}, false // its share must get 500, so shares must be kept apart
		}
		n++
	}
	if n < 2 {
		return ir.ClusterKey{}, false
	}
	return ir.ClusterKey{Backend: r.Object, Rule: r.Index + 1}, true
}

// choose sets the cluster or clusters; false if there is nowhere to send to.
func choose(a *route.RouteAction, r *ir.Rule, env RouteEnv) bool {
	if k, ok := Combined(r); ok {
		a.ClusterSpecifier = &route.RouteAction_Cluster{Cluster: env.Cluster(k)}
		return true
	}
	var list []*ir.Destination
	valid := false
	for i := range r.Destinations {
		d := &r.Destinations[i]
		if d.Weight > 0 {
			list = append(list, d)
			valid = valid || d.Valid
		}
	}
	if !valid {
		return false
	}
	if len(list) == 1 && list[0].Mutations.Request.Empty() && list[0].Mutations.Response.Empty() {
		a.ClusterSpecifier = &route.RouteAction_Cluster{Cluster: env.Cluster(list[0].Cluster)}
		return true
	}
	w := &route.WeightedCluster{}
	for _, d := range list {
		c := &route.WeightedCluster_ClusterWeight{Name: InvalidCluster, Weight: wrapperspb.UInt32(d.Weight)}
		if d.Valid {
			c.Name = env.Cluster(d.Cluster)
		}
		c.RequestHeadersToAdd, c.RequestHeadersToRemove = headerOptions(d.Mutations.Request)
		c.ResponseHeadersToAdd, c.ResponseHeadersToRemove = headerOptions(d.Mutations.Response)
		w.Clusters = append(w.Clusters, c)
	}
	a.ClusterSpecifier = &route.RouteAction_WeightedClusters{WeightedClusters: w}
	return true
}

func rewrite(a *route.RouteAction, r *ir.Rewrite, m *ir.Match) {
	if r.Hostname != "" {
		a.HostRewriteSpecifier = &route.RouteAction_HostRewriteLiteral{HostRewriteLiteral: r.Hostname}
		a.AppendXForwardedHost = true
	}
	switch {
	case r.Path == nil:
	case r.Path.Full != nil:
		a.RegexRewrite = substitute(`^/.*$`, literal(*r.Path.Full))
	case r.Path.Prefix != nil:
		if prefix, rx := replacePrefix(m.Path, *r.Path.Prefix); rx != nil {
			a.RegexRewrite = rx
		} else {
			a.PrefixRewrite = prefix
		}
	}
}

// replacePrefix makes "/foo/bar" with prefix "/foo" and replacement "/xyz" into
// "/xyz/bar", minding the slashes as the specification of ReplacePrefixMatch
// says. Where plain replacement of the prefix cannot, a regular expression does.
func replacePrefix(prefix, replacement string) (string, *matcher.RegexMatchAndSubstitute) {
	replacement = strings.TrimRight(replacement, "/")
	switch {
	case prefix == "/":
		return replacement + "/", nil
	case replacement == "":
		return "", substitute("^"+regexp.QuoteMeta(prefix)+"/*(.*)$", `/\1`)
	default:
		return replacement, nil
	}
}

func substitute(pattern, substitution string) *matcher.RegexMatchAndSubstitute {
	return &matcher.RegexMatchAndSubstitute{Pattern: regex(pattern), Substitution: substitution}
}

// literal escapes a string for use as a substitution.
func literal(s string) string { return strings.ReplaceAll(s, `\`, `\\`) }

// timeouts sets the timeouts and retries. Envoy bounds single attempts only as
// part of a retry policy; without retries there is one attempt, and the shorter
// of the two bounds is the one that counts.
func timeouts(a *route.RouteAction, r *ir.Rule) {
	timeout := r.Timeout
	if (r.Retry == nil || r.Retry.Attempts == 0) && r.TryTimeout != nil && (timeout == nil || *timeout == 0 || *r.TryTimeout < *timeout) {
		timeout = r.TryTimeout
	}
	if timeout != nil {
		a.Timeout = durationpb.New(*timeout)
		// A stream may be silent for as long as the whole request may last.
		if *timeout == 0 || *timeout > 5*time.Minute {
			a.IdleTimeout = durationpb.New(*timeout)
		}
	}
	if r.Retry == nil || r.Retry.Attempts == 0 {
		return
	}
	p := &route.RetryPolicy{
		RetryOn:    "connect-failure,refused-stream,reset-before-request,unavailable",
		NumRetries: wrapperspb.UInt32(r.Retry.Attempts),
		RetryHostPredicate: []*route.RetryPolicy_RetryHostPredicate{{
			Name:       "envoy.retry_host_predicates.previous_hosts",
			ConfigType: &route.RetryPolicy_RetryHostPredicate_TypedConfig{TypedConfig: mustAny(&hosts.PreviousHostsPredicate{})},
		}},
		HostSelectionRetryMaxAttempts: 5,
	}
	if len(r.Retry.Codes) > 0 {
		p.RetryOn += ",retriable-status-codes"
		p.RetriableStatusCodes = r.Retry.Codes
	}
	if r.TryTimeout != nil {
		// Envoy retries attempts that time out only together with those that are
		// cut off later; who bounds attempts expects some to be made twice.
		p.RetryOn += ",reset"
		p.PerTryTimeout = durationpb.New(*r.TryTimeout)
	}
	if r.Retry.Backoff > 0 {
		p.RetryBackOff = &route.RetryPolicy_RetryBackOff{
			BaseInterval: durationpb.New(max(min(r.Retry.Backoff, maxBackoff), time.Millisecond)),
			MaxInterval:  durationpb.New(10 * max(min(r.Retry.Backoff, maxBackoff), time.Millisecond)),
		}
	}
	a.RetryPolicy = p
}

// maxBackoff keeps ten times a backoff within what a duration can hold.
const maxBackoff = 24 * time.Hour

// mustAny packs a message built from constants and checked strings.
func mustAny(m proto.Message) *anypb.Any {
	body, err := marshal.Marshal(m)
	if err != nil {
		body = nil // strings that are no UTF-8; Envoy sees the message's defaults
	}
	return &anypb.Any{TypeUrl: "type.googleapis.com/" + string(m.ProtoReflect().Descriptor().FullName()), Value: body}
}
