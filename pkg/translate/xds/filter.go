package xds

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	mutation "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	cors "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	authz "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	grpcweb "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_web/v3"
	router "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	session "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/stateful_session/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	cookie "github.com/envoyproxy/go-control-plane/envoy/extensions/http/stateful_session/cookie/v3"
	header "github.com/envoyproxy/go-control-plane/envoy/extensions/http/stateful_session/header/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/type/http/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/egctl/egctl/pkg/translate/ir"
)

// The names of HTTP filters, which routes use to configure them.
const (
	corsFilter    = "envoy.filters.http.cors"
	authFilter    = "envoy.filters.http.ext_authz"
	sessionFilter = "envoy.filters.http.stateful_session"
	grpcWebFilter = "envoy.filters.http.grpc_web"
	routerFilter  = "envoy.filters.http.router"
)

// authTimeout is how long an authorisation service may take, as for the other
// services that policies call.
const authTimeout = 10 * time.Second

// httpFilters is the filter chain of a connection manager. Filters that routes
// switch on are always there and do nothing until then, so that a route's edit
// does not change the listener, whose connections would have to drain. Only
// authorisation services differ from chain to chain.
func httpFilters(auths []ir.ExternalAuth) []*hcm.HttpFilter {
	list := []*hcm.HttpFilter{httpFilter(corsFilter, &cors.Cors{}, false)}
	for i := range auths {
		list = append(list, httpFilter(AuthFilterName(&auths[i]), extAuthz(&auths[i]), true))
	}
	return append(list,
		httpFilter(sessionFilter, &session.StatefulSession{}, false),
		httpFilter(grpcWebFilter, &grpcweb.GrpcWeb{}, true),
		httpFilter(routerFilter, &router.Router{SuppressEnvoyHeaders: true}, false),
	)
}

func httpFilter(name string, config proto.Message, disabled bool) *hcm.HttpFilter {
	return &hcm.HttpFilter{Name: name, Disabled: disabled, ConfigType: &hcm.HttpFilter_TypedConfig{TypedConfig: mustAny(config)}}
}

// perRoute configures filters for the requests of a rule.
func perRoute(rt *route.Route, r *ir.Rule, env RouteEnv) {
	set := func(name string, m proto.Message) {
		if rt.TypedPerFilterConfig == nil {
			rt.TypedPerFilterConfig = map[string]*anypb.Any{}
		}
		rt.TypedPerFilterConfig[name] = mustAny(m)
	}
	if r.CORS != nil {
		set(corsFilter, corsPolicy(r.CORS))
	}
	if r.Auth != nil {
		set(authName(r.Auth, env), enabled())
	}
	for i := range r.Destinations {
		if a := r.Destinations[i].Auth; a != nil { // then it is the only one: see parts
			set(authName(a, env), enabled())
		}
	}
	if r.Session != nil {
		set(sessionFilter, sessionConfig(r.Session))
	}
	if r.GRPC {
		set(grpcWebFilter, enabled())
	}
}

// enabled switches a disabled filter on with the listener's configuration: an
// Any that holds nothing, not even an Empty, which filters would have to know.
func enabled() *route.FilterConfig { return &route.FilterConfig{Config: &anypb.Any{}} }

func corsPolicy(c *ir.CORS) *cors.CorsPolicy {
	p := &cors.CorsPolicy{
		AllowMethods:                 strings.Join(c.Methods, ", "),
		AllowHeaders:                 strings.Join(c.Headers, ", "),
		ExposeHeaders:                strings.Join(c.Exposed, ", "),
		AllowCredentials:             wrapperspb.Bool(c.Credentials),
		ForwardNotMatchingPreflights: wrapperspb.Bool(false),
	}
	if c.MaxAge > 0 {
		p.MaxAge = strconv.Itoa(int(c.MaxAge / time.Second))
	}
	for _, o := range c.Origins {
		p.AllowOriginStringMatch = append(p.AllowOriginStringMatch, originMatch(o))
	}
	return p
}

// originMatch matches "*", "https://*.example.com" or an exact origin. Browsers
// leave out a scheme's own port.
func originMatch(o string) *matcher.StringMatcher {
	if host, ok := strings.CutSuffix(o, ":443"); ok && strings.HasPrefix(o, "https:") {
		o = host
	} else if host, ok := strings.CutSuffix(o, ":80"); ok && strings.HasPrefix(o, "http:") {
		o = host
	}
	if o == "*" {
		return stringMatch(ir.StringMatch{Value: ".*", Regex: true})
	}
	if before, after, ok := strings.Cut(o, "*"); ok {
		return stringMatch(ir.StringMatch{Value: regexp.QuoteMeta(before) + "[^:/]*" + regexp.QuoteMeta(after), Regex: true})
	}
	return stringMatch(ir.StringMatch{Value: o})
}

func sessionConfig(s *ir.Session) *session.StatefulSessionPerRoute {
	var name string
	var state proto.Message
	if s.Cookie {
		c := &httpv3.Cookie{Name: s.Name, Path: s.Path}
		if s.TTL > 0 {
			c.Ttl = durationpb.New(s.TTL)
		}
		name, state = "envoy.http.stateful_session.cookie", &cookie.CookieBasedSessionState{Cookie: c}
	} else {
		name, state = "envoy.http.stateful_session.header", &header.HeaderBasedSessionState{Name: s.Name}
	}
	return &session.StatefulSessionPerRoute{Override: &session.StatefulSessionPerRoute_StatefulSession{
		StatefulSession: &session.StatefulSession{SessionState: &core.TypedExtensionConfig{Name: name, TypedConfig: mustAny(state)}},
	}}
}

// AuthFilterName names the filter of an authorisation service after all its
// settings, so that rules with equal settings share one.
func AuthFilterName(a *ir.ExternalAuth) string {
	return authFilterName(a, a.Cluster.Name())
}

func authName(a *ir.ExternalAuth, env RouteEnv) string {
	return authFilterName(a, env.Cluster(a.Cluster))
}

func authFilterName(a *ir.ExternalAuth, cluster string) string {
	h := xxhash.New()
	fmt.Fprintf(h, "%v %q %q %q %q %d", a.GRPC, cluster, a.Path, a.RequestHeaders, a.ResponseHeaders, a.MaxBody)
	return fmt.Sprintf("%s/%s/%016x", authFilter, cluster, h.Sum64())
}

func extAuthz(a *ir.ExternalAuth) *authz.ExtAuthz {
	cluster := a.Cluster.Name()
	f := &authz.ExtAuthz{
		TransportApiVersion: core.ApiVersion_V3,
		// What the service adds may decide which route matches.
		ClearRouteCache: true,
	}
	if len(a.RequestHeaders) > 0 {
		// To an HTTP service Envoy sends those that the specification asks for
		// besides: Host, Method, Path, Content-Length and Authorization.
		f.AllowedHeaders = exactList(a.RequestHeaders)
	}
	if a.MaxBody > 0 {
		// A longer body is answered 413: what the service has not seen must not pass.
		f.WithRequestBody = &authz.BufferSettings{MaxRequestBytes: a.MaxBody}
	}
	if a.GRPC {
		f.Services = &authz.ExtAuthz_GrpcService{GrpcService: &core.GrpcService{
			Timeout:         durationpb.New(authTimeout),
			TargetSpecifier: &core.GrpcService_EnvoyGrpc_{EnvoyGrpc: &core.GrpcService_EnvoyGrpc{ClusterName: cluster}},
		}}
		return f
	}
	s := &authz.HttpService{
		ServerUri: &core.HttpUri{
			Uri:              "http://" + cluster,
			HttpUpstreamType: &core.HttpUri_Cluster{Cluster: cluster},
			Timeout:          durationpb.New(authTimeout),
		},
		PathPrefix: a.Path,
	}
	allowed := exactList(a.ResponseHeaders)
	if len(a.ResponseHeaders) == 0 {
		// All are taken over, except those that say where the request goes, which
		// Envoy protects, and those that describe the answer and its connection.
		allowed.Patterns = []*matcher.StringMatcher{stringMatch(ir.StringMatch{Value: "[^:].*", Regex: true})}
		f.DecoderHeaderMutationRules = &mutation.HeaderMutationRules{DisallowExpression: regex(ownHeaders)}
	}
	s.AuthorizationResponse = &authz.AuthorizationResponse{AllowedUpstreamHeaders: allowed}
	f.Services = &authz.ExtAuthz_HttpService{HttpService: s}
	return f
}

// ownHeaders are those of an authorisation service's answer that would harm the
// request if they replaced its own.
const ownHeaders = `(?i)content-.*|transfer-encoding|connection|keep-alive|te|trailer|upgrade|date|server|x-envoy-.*`

func exactList(names []string) *matcher.ListStringMatcher {
	l := &matcher.ListStringMatcher{}
	for _, n := range names {
		l.Patterns = append(l.Patterns, &matcher.StringMatcher{MatchPattern: &matcher.StringMatcher_Exact{Exact: n}, IgnoreCase: true})
	}
	return l
}
