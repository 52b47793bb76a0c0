package xds

import (
	"fmt"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	health "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/health_check/v3"
	router "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// ReadyPath is what probes ask of the readiness listener.
const ReadyPath = "/ready"

// ReadyListener encodes the listener that answers probes: 200 on ReadyPath, or
// 503 once the proxy was told to fail health checks, and 500 on anything else.
// It is sent with all other listeners, so that a proxy that answers has its first
// configuration. However busy the proxy is it answers: to take a busy proxy away
// would make the others busier.
func ReadyListener(address string, ipv6Only bool, port uint32) *Resource {
	name := fmt.Sprintf("envoy-gateway-proxy-ready-%s-%d", address, port)
	l := &listener.Listener{Name: name, Address: bindAddress(address, ipv6Only, port, false), BypassOverloadManager: true}
	l.DefaultFilterChain = &listener.FilterChain{Filters: []*listener.Filter{networkFilter("envoy.filters.network.http_connection_manager", &hcm.HttpConnectionManager{
		StatPrefix: "eg-ready-http",
		RouteSpecifier: &hcm.HttpConnectionManager_RouteConfig{RouteConfig: &route.RouteConfiguration{
			Name: "ready",
			VirtualHosts: []*route.VirtualHost{{Name: "ready", Domains: []string{"*"}, Routes: []*route.Route{{
				Match:  &route.RouteMatch{PathSpecifier: &route.RouteMatch_Prefix{Prefix: "/"}},
				Action: directResponse(500),
			}}}},
		}},
		HttpFilters: []*hcm.HttpFilter{
			httpFilter("envoy.filters.http.health_check", &health.HealthCheck{
				PassThroughMode: wrapperspb.Bool(false),
				Headers:         []*route.HeaderMatcher{exactHeader(":path", ReadyPath)},
			}, false),
			httpFilter(routerFilter, &router.Router{SuppressEnvoyHeaders: true}, false),
		},
	})}}
	return mustEncode(ListenerType, name, l)
}
