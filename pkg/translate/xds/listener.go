package xds

import (
	"fmt"
	"net/netip"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	matching "github.com/cncf/xds/go/xds/type/matcher/v3"
	inspector "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	udp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/udp/udp_proxy/v3"

	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/translate/ir"
)

// connectionBuffer is how many bytes a connection may hold in each direction
// before it stops to read: 32 KiB, as Envoy recommends at the edge.
const connectionBuffer = 32768

// ListenerSpec describes an Envoy listener.
type ListenerSpec struct {
	Name    string
	Address string
	// IPv6Only keeps an unspecified IPv6 address from taking IPv4 connections.
	IPv6Only bool
	Port     uint32
	UDP      bool
	// Exclusive refuses a TCP port that another Envoy serves. Envoy takes UDP only
	// with ports that can be shared.
	Exclusive bool
	Chains    []Chain
	// Origins are the Gateways, and the owners of their listeners here.
	Origins []finding.Object
}

// Chain is what is done with some of the connections of a listener. One of
// HTTP, TCP and UDP is set.
type Chain struct {
	Name string
	// ServerNames are the SNI values the chain is for; empty: any.
	ServerNames []string
	// SNI says that the chain carries TLS that it does not terminate.
	SNI  bool
	TLS  *ServerTLS
	HTTP *HTTPChain
	TCP  *TCPChain
	UDP  *UDPChain
}

// HTTPChain serves a route table.
type HTTPChain struct {
	Table string
	Auths []ir.ExternalAuth
}

// TCPChain forwards connections.
type TCPChain struct {
	StatPrefix string
	Clusters   []WeightedCluster
}

// WeightedCluster is a share of connections; without a name it is refused.
type WeightedCluster struct {
	Name   string
	Weight uint32
}

// UDPChain forwards datagrams.
type UDPChain struct{ Cluster string }

// Listener encodes a listener.
func Listener(s ListenerSpec) *Resource {
	l := &listener.Listener{
		Name:     s.Name,
		Address:  bindAddress(s.Address, s.IPv6Only, s.Port, s.UDP),
		Metadata: sources("", s.Origins...),
	}
	if s.UDP {
		l.ListenerFilters = []*listener.ListenerFilter{udpFilter(s.Chains[0].UDP)}
		l.UdpListenerConfig = &listener.UdpListenerConfig{}
		return mustEncode(ListenerType, s.Name, l, s.Origins...)
	}
	if s.Exclusive {
		l.EnableReusePort = wrapperspb.Bool(false)
	}
	l.PerConnectionBufferLimitBytes = wrapperspb.UInt32(connectionBuffer)
	l.MaxConnectionsToAcceptPerSocketEvent = wrapperspb.UInt32(1)
	tls := false
	for i := range s.Chains {
		c := &s.Chains[i]
		fc := filterChain(c, s.Port)
		if c.TLS == nil && !c.SNI && len(s.Chains) == 1 {
			l.DefaultFilterChain = fc
			continue
		}
		fc.FilterChainMatch = &listener.FilterChainMatch{ServerNames: c.ServerNames}
		if len(c.ServerNames) == 0 {
			fc.FilterChainMatch.TransportProtocol = "tls"
		}
		tls = true
		l.FilterChains = append(l.FilterChains, fc)
	}
	if tls {
		l.ListenerFilters = []*listener.ListenerFilter{{
			Name:       "envoy.filters.listener.tls_inspector",
			ConfigType: &listener.ListenerFilter_TypedConfig{TypedConfig: mustAny(&inspector.TlsInspector{})},
		}}
	}
	return mustEncode(ListenerType, s.Name, l, s.Origins...)
}

// bindAddress is what a listener binds.
func bindAddress(address string, ipv6Only bool, port uint32, udp bool) *core.Address {
	bind := socketAddress(address, port, udp)
	if a, err := netip.ParseAddr(address); err == nil && a.Is6() && a.IsUnspecified() && !ipv6Only {
		bind.GetSocketAddress().Ipv4Compat = true
	}
	return bind
}

func filterChain(c *Chain, port uint32) *listener.FilterChain {
	fc := &listener.FilterChain{Name: c.Name}
	if c.TLS != nil {
		fc.TransportSocket = downstreamTLS(c.TLS)
	}
	if c.HTTP != nil {
		fc.Filters = []*listener.Filter{networkFilter("envoy.filters.network.http_connection_manager", connectionManager(c, port))}
	} else {
		fc.Filters = []*listener.Filter{networkFilter("envoy.filters.network.tcp_proxy", tcpProxy(c.TCP))}
	}
	return fc
}

func networkFilter(name string, config proto.Message) *listener.Filter {
	return &listener.Filter{Name: name, ConfigType: &listener.Filter_TypedConfig{TypedConfig: mustAny(config)}}
}

// connectionManager has the defaults that Envoy recommends for an edge proxy,
// and those that users of Envoy Gateway rely on.
func connectionManager(c *Chain, port uint32) *hcm.HttpConnectionManager {
	scheme := "http"
	if c.TLS != nil {
		scheme = "https"
	}
	return &hcm.HttpConnectionManager{
		StatPrefix: fmt.Sprintf("%s-%d", scheme, port),
		RouteSpecifier: &hcm.HttpConnectionManager_Rds{Rds: &hcm.Rds{
			RouteConfigName: c.HTTP.Table,
			ConfigSource:    ads(),
		}},
		HttpFilters:                  httpFilters(c.HTTP.Auths),
		ServerHeaderTransformation:   hcm.HttpConnectionManager_PASS_THROUGH,
		UseRemoteAddress:             wrapperspb.Bool(true),
		NormalizePath:                wrapperspb.Bool(true),
		MergeSlashes:                 true,
		PathWithEscapedSlashesAction: hcm.HttpConnectionManager_UNESCAPE_AND_REDIRECT,
		CommonHttpProtocolOptions:    &core.HttpProtocolOptions{HeadersWithUnderscoresAction: core.HttpProtocolOptions_REJECT_REQUEST},
		Http2ProtocolOptions:         http2Options(),
		UpgradeConfigs:               []*hcm.HttpConnectionManager_UpgradeConfig{{UpgradeType: "websocket"}},
	}
}

// http2Options bound what one connection can make the proxy hold.
func http2Options() *core.Http2ProtocolOptions {
	return &core.Http2ProtocolOptions{
		MaxConcurrentStreams:        wrapperspb.UInt32(100),
		InitialStreamWindowSize:     wrapperspb.UInt32(65536),
		InitialConnectionWindowSize: wrapperspb.UInt32(1048576),
	}
}

// ads is the stream that everything else arrives by.
func ads() *core.ConfigSource {
	return &core.ConfigSource{
		ConfigSourceSpecifier: &core.ConfigSource_Ads{Ads: &core.AggregatedConfigSource{}},
		ResourceApiVersion:    core.ApiVersion_V3,
		InitialFetchTimeout:   durationpb.New(0),
	}
}

func tcpProxy(t *TCPChain) *tcp.TcpProxy {
	p := &tcp.TcpProxy{StatPrefix: t.StatPrefix}
	name := func(c WeightedCluster) string {
		if c.Name == "" {
			return InvalidCluster
		}
		return c.Name
	}
	switch len(t.Clusters) {
	case 0:
		p.ClusterSpecifier = &tcp.TcpProxy_Cluster{Cluster: InvalidCluster}
	case 1:
		p.ClusterSpecifier = &tcp.TcpProxy_Cluster{Cluster: name(t.Clusters[0])}
	default:
		w := &tcp.TcpProxy_WeightedCluster{}
		for _, c := range t.Clusters {
			w.Clusters = append(w.Clusters, &tcp.TcpProxy_WeightedCluster_ClusterWeight{Name: name(c), Weight: c.Weight})
		}
		p.ClusterSpecifier = &tcp.TcpProxy_WeightedClusters{WeightedClusters: w}
	}
	return p
}

// udpIdle is how long a UDP session without datagrams is remembered.
const udpIdle = time.Minute

func udpFilter(u *UDPChain) *listener.ListenerFilter {
	action := &matching.Matcher_OnMatch{OnMatch: &matching.Matcher_OnMatch_Action{Action: typedAction("route", &udp.Route{Cluster: u.Cluster})}}
	return &listener.ListenerFilter{
		Name: "envoy.filters.udp_listener.udp_proxy",
		ConfigType: &listener.ListenerFilter_TypedConfig{TypedConfig: mustAny(&udp.UdpProxyConfig{
			StatPrefix:     "service",
			RouteSpecifier: &udp.UdpProxyConfig_Matcher{Matcher: &matching.Matcher{OnNoMatch: action}},
			IdleTimeout:    durationpb.New(udpIdle),
		})},
	}
}
