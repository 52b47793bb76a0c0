package xds

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/egctl/egctl/pkg/translate/ir"
)

// RouteEnv is what a rule's routes depend on besides the rule.
type RouteEnv struct {
	// Name begins the names of the routes: "httproute/default/web".
	Name string
	// Age is the creation time of the route object in Unix seconds.
	Age int64
	// Port and TLS are those of the listener; redirects need them.
	Port uint32
	TLS  bool
	// Cluster names the cluster under a key.
	Cluster func(ir.ClusterKey) string
}

// RouteEntry is one encoded Envoy route with what its precedence depends on.
type RouteEntry struct {
	// Hostname is the HostnameRank of the route's own hostname. Only routes that
	// meet in one virtual host by different names differ in it.
	Hostname       int
	kind           ir.PathKind
	length         int // of the path; "/" counts as none
	method         bool
	headers, query int
	age            int64
	name           string
	rule, match    int
	part           int // of the routes made from one match
	Body           []byte
}

// Equal says whether two entries are the same to Envoy and in precedence.
func (e RouteEntry) Equal(o RouteEntry) bool {
	return e.Compare(o) == 0 && bytes.Equal(e.Body, o.Body)
}

// Of says whether the entry is from the route object of that RouteEnv.Name.
func (e RouteEntry) Of(name string) bool { return e.name == name }

// HostnameRank orders hostnames: exact ones before wildcards, long ones before
// short ones.
func HostnameRank(h string) int {
	if strings.HasPrefix(h, "*") {
		return len(h)
	}
	const longest = 253
	return longest + len(h)
}

// Compare orders entries by precedence, first to be matched first: of the most
// specific hostname, then exact paths, then the longest, then those with a method, more header matches, more query
// matches, of the oldest route, of the first by name, of the first rule, of the
// first match (specification of HTTPRouteRule.matches).
func (e RouteEntry) Compare(o RouteEntry) int {
	return cmp.Or(
		cmp.Compare(o.Hostname, e.Hostname),
		cmp.Compare(e.kind, o.kind),
		cmp.Compare(o.length, e.length),
		boolFirst(e.method, o.method),
		cmp.Compare(o.headers, e.headers),
		cmp.Compare(o.query, e.query),
		cmp.Compare(e.age, o.age),
		cmp.Compare(e.name, o.name),
		cmp.Compare(e.rule, o.rule),
		cmp.Compare(e.match, o.match),
		cmp.Compare(e.part, o.part),
	)
}

// CompareOrder orders entries as the user wrote them: of the oldest route, of the
// first by name, of the first rule, of the first match. More specific hostnames
// are still first, for they belong to other routes.
func (e RouteEntry) CompareOrder(o RouteEntry) int {
	return cmp.Or(
		cmp.Compare(o.Hostname, e.Hostname),
		cmp.Compare(e.age, o.age),
		cmp.Compare(e.name, o.name),
		cmp.Compare(e.rule, o.rule),
		cmp.Compare(e.match, o.match),
		cmp.Compare(e.part, o.part),
	)
}

func boolFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	default:
		return 1
	}
}

// Routes makes the Envoy routes of a rule: at least one for each match.
func Routes(r *ir.Rule, env RouteEnv) []RouteEntry {
	var entries []RouteEntry
	for i := range r.Matches {
		m := &r.Matches[i]
		e := RouteEntry{
			kind: m.Kind, length: len(m.Path), method: m.Method != "", headers: len(m.Headers), query: len(m.Query),
			age: env.Age, name: env.Name, rule: r.Index, match: m.Index,
		}
		if m.Path == "/" {
			e.length = 0
		}
		if m.AnyService {
			e.kind, e.length = ir.PathPrefix, 1 // before what matches all, after any service
		}
		name := fmt.Sprintf("%s/rule/%d/match/%d", env.Name, r.Index, m.Index)
		for _, p := range parts(r, m, env) {
			p.route.Name = name + p.suffix
			p.route.Metadata = metadata(r.Source.Object.Object(), r.Section)
			body, err := marshal.Marshal(p.route)
			if err != nil {
				continue // only strings that are no UTF-8, which no API server lets pass
			}
			e.Body = body
			entries = append(entries, e)
			e.part++
		}
	}
	return entries
}

// part is one of the routes that a match needs.
type part struct {
	suffix string
	route  *route.Route
}

// parts makes the routes of one match. Two things need more than one: a
// preflight that must be matched though the match asks for another method, and
// backends with treatment that Envoy gives only to whole routes.
func parts(r *ir.Rule, m *ir.Match, env RouteEnv) []part {
	var out []part
	if r.CORS != nil && (m.Method != "" && m.Method != "OPTIONS" || len(m.Headers) > 0 || r.Redirect != nil) {
		pre := base(r, m, env)
		pre.Match = preflightMatch(m)
		// The CORS filter answers, but only on routes that forward.
		pre.Action = &route.Route_Route{Route: &route.RouteAction{ClusterSpecifier: &route.RouteAction_Cluster{Cluster: InvalidCluster}}}
		out = append(out, part{"/cors-preflight", pre})
	}
	if !special(r) {
		rt := base(r, m, env)
		act(rt, r, m, env)
		return append(out, part{"", rt})
	}
	total := uint64(0)
	for i := range r.Destinations {
		total += uint64(r.Destinations[i].Weight)
	}
	if total == 0 {
		rt := base(r, m, env)
		rt.Action = unroutable(r)
		return append(out, part{"", rt})
	}
	// Each backend becomes a rule of its own that takes its share. Envoy compares
	// one random number of the request with all of them, so the shares add up.
	sum := uint64(0)
	for i := range r.Destinations {
		d := r.Destinations[i]
		if d.Weight == 0 {
			continue
		}
		sum += uint64(d.Weight)
		one := only(r, d)
		rt := base(one, m, env)
		if sum < total {
			rt.Match.RuntimeFraction = &core.RuntimeFractionalPercent{DefaultValue: millionths(sum, total)}
		}
		act(rt, one, m, env)
		out = append(out, part{fmt.Sprintf("/backend/%d", i), rt})
	}
	return out
}

func special(r *ir.Rule) bool {
	for i := range r.Destinations {
		if r.Destinations[i].Special() {
			return !r.Fault && r.Redirect == nil
		}
	}
	return false
}

// only is the rule as if it had one backend, whose filters join the rule's.
func only(r *ir.Rule, d ir.Destination) *ir.Rule {
	one := *r
	if d.Rewrite != nil {
		one.Rewrite = d.Rewrite
	}
	if d.Redirect != nil {
		one.Redirect = d.Redirect
	}
	if d.CORS != nil {
		one.CORS = d.CORS
	}
	// d.Auth stays: it comes after the rule's, and both must let the request pass.
	one.Mirrors = append(append([]ir.Mirror(nil), r.Mirrors...), d.Mirrors...)
	d.Weight = 1
	d.Rewrite, d.Redirect, d.CORS, d.Mirrors = nil, nil, nil, nil
	one.Destinations = []ir.Destination{d}
	return &one
}

func millionths(n, of uint64) *typev3.FractionalPercent {
	return &typev3.FractionalPercent{Numerator: uint32(n * 1_000_000 / of), Denominator: typev3.FractionalPercent_MILLION}
}

// base has what does not depend on where the request goes.
func base(r *ir.Rule, m *ir.Match, env RouteEnv) *route.Route {
	rt := &route.Route{Match: routeMatch(m)}
	rt.RequestHeadersToAdd, rt.RequestHeadersToRemove = headerOptions(r.Mutations.Request)
	rt.ResponseHeadersToAdd, rt.ResponseHeadersToRemove = headerOptions(r.Mutations.Response)
	perRoute(rt, r, env)
	return rt
}

// act gives the route its action.
func act(rt *route.Route, r *ir.Rule, m *ir.Match, env RouteEnv) {
	switch {
	case r.Fault:
		rt.Action = unroutable(r)
	case r.Redirect != nil:
		rt.Action = &route.Route_Redirect{Redirect: redirect(r.Redirect, m, env)}
	default:
		forward(rt, r, m, env)
	}
}

func directResponse(status uint32) *route.Route_DirectResponse {
	return &route.Route_DirectResponse{DirectResponse: &route.DirectResponseAction{Status: status}}
}

// unroutable answers requests that cannot go anywhere: 500, and for gRPC what
// its clients see as UNAVAILABLE (GRPCRouteRule.backendRefs).
func unroutable(r *ir.Rule) *route.Route_DirectResponse {
	if r.GRPC {
		return directResponse(503)
	}
	return directResponse(500)
}

// headerOptions turns mutations into what Envoy wants. Values are taken
// literally: a percent sign would begin a substitution.
func headerOptions(m ir.HeaderMutations) (add []*core.HeaderValueOption, remove []string) {
	option := func(h ir.Header, action core.HeaderValueOption_HeaderAppendAction) {
		add = append(add, &core.HeaderValueOption{
			Header:         &core.HeaderValue{Key: h.Name, Value: strings.ReplaceAll(h.Value, "%", "%%")},
			AppendAction:   action,
			KeepEmptyValue: true,
		})
	}
	for _, h := range m.Set {
		option(h, core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD)
	}
	for _, h := range m.Add {
		option(h, core.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD)
	}
	return add, m.Remove
}

func redirect(r *ir.Redirect, m *ir.Match, env RouteEnv) *route.RedirectAction {
	a := &route.RedirectAction{HostRedirect: r.Hostname}
	if r.Scheme != "" {
		a.SchemeRewriteSpecifier = &route.RedirectAction_SchemeRedirect{SchemeRedirect: r.Scheme}
	}
	a.PortRedirect = redirectPort(r, env)
	switch r.Code {
	case 301:
		a.ResponseCode = route.RedirectAction_MOVED_PERMANENTLY
	case 303:
		a.ResponseCode = route.RedirectAction_SEE_OTHER
	case 307:
		a.ResponseCode = route.RedirectAction_TEMPORARY_REDIRECT
	case 308:
		a.ResponseCode = route.RedirectAction_PERMANENT_REDIRECT
	default:
		a.ResponseCode = route.RedirectAction_FOUND
	}
	if r.Path != nil {
		switch {
		case r.Path.Full != nil:
			a.PathRewriteSpecifier = &route.RedirectAction_PathRedirect{PathRedirect: *r.Path.Full}
		case r.Path.Prefix != nil:
			prefix, rx := replacePrefix(m.Path, *r.Path.Prefix)
			if rx != nil {
				a.PathRewriteSpecifier = &route.RedirectAction_RegexRewrite{RegexRewrite: rx}
			} else {
				a.PathRewriteSpecifier = &route.RedirectAction_PrefixRewrite{PrefixRewrite: prefix}
			}
		}
	}
	return a
}

// redirectPort is the port of the Location: the given one; else the well-known
// one of a given scheme; else the listener's. A port that is the scheme's own is
// left out, which Envoy does for 0.
func redirectPort(r *ir.Redirect, env RouteEnv) uint32 {
	scheme := r.Scheme
	if scheme == "" {
		scheme = "http"
		if env.TLS {
			scheme = "https"
		}
	}
	wellKnown := map[string]uint32{"http": 80, "https": 443}[scheme]
	port := r.Port
	if port == 0 && r.Scheme == "" {
		port = env.Port
	}
	listener := uint32(80)
	if env.TLS {
		listener = 443
	}
	if r.Hostname == "" && env.Port != listener {
		// The Host header names the listener's port, which Envoy would keep.
		return cmp.Or(port, wellKnown)
	}
	if port == wellKnown {
		return 0
	}
	return port
}
