package envoy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	overloadv3 "github.com/envoyproxy/go-control-plane/envoy/config/overload/v3"
	connlimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/downstream_connections/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"sigs.k8s.io/yaml"
)

// XDSCluster is the name of the bootstrap's cluster that leads to egctl.
const XDSCluster = "xds_cluster"

// DefaultMaxConnections is how many downstream connections a proxy accepts
// unless told otherwise: the figure that Envoy Gateway's users have.
const DefaultMaxConnections = 50000

// maxSocketPath is the longest path, in bytes, that a unix socket may have on
// every system egctl runs on (sun_path is 104 bytes on macOS, 108 on Linux).
const maxSocketPath = 103

// BootstrapOptions say who an Envoy is and where it finds egctl. Of XDSSocket
// and XDSAddress, and of AdminSocket and AdminAddress, exactly one must be set.
type BootstrapOptions struct {
	NodeID      string
	NodeCluster string
	// Zone is the node's locality zone; empty: none.
	Zone string

	// XDSSocket is the path of the unix socket on which egctl serves ADS.
	XDSSocket string
	// XDSAddress is a host name or IP address where egctl serves ADS.
	XDSAddress string
	XDSPort    uint32
	// XDSTransportSocket encrypts and authenticates the way to egctl; nil means
	// plain text, which is for a unix socket in a private folder.
	XDSTransportSocket *corev3.TransportSocket

	// AdminSocket is the path of a unix socket that Envoy makes, with access
	// for its own user alone.
	AdminSocket string
	// AdminAddress is the IP address on which Envoy serves its admin interface;
	// it should be a loopback address, as the interface knows no passwords.
	AdminAddress string
	AdminPort    uint32

	// MaxConnections limits active downstream connections; 0:
	// [DefaultMaxConnections].
	MaxConnections int64
}

// Bootstrap makes the configuration that an Envoy starts with: everything but
// the way to egctl, and the limits that protect the process, comes over ADS.
func Bootstrap(o BootstrapOptions) (*bootstrapv3.Bootstrap, error) {
	if o.NodeID == "" || o.NodeCluster == "" {
		return nil, errors.New("envoy bootstrap: node id and node cluster are needed")
	}
	admin, err := address("admin", o.AdminSocket, o.AdminAddress, o.AdminPort)
	if err != nil {
		return nil, err
	}
	xds, err := xdsCluster(o)
	if err != nil {
		return nil, err
	}
	overload, err := overloadManager(o.MaxConnections)
	if err != nil {
		return nil, err
	}
	if pipe := admin.GetPipe(); pipe != nil {
		pipe.Mode = 0o600
	}
	node := &corev3.Node{Id: o.NodeID, Cluster: o.NodeCluster}
	if o.Zone != "" {
		node.Locality = &corev3.Locality{Zone: o.Zone}
	}
	runtime, err := structpb.NewStruct(map[string]any{
		// A route's regular expression may be as complex as its author wants;
		// Envoy logs those above the warning level, and refuses none.
		"re2.max_program_size.error_level": 4294967295,
		"re2.max_program_size.warn_level":  1000,
	})
	if err != nil {
		return nil, fmt.Errorf("envoy bootstrap: %w", err)
	}
	return &bootstrapv3.Bootstrap{
		Node:  node,
		Admin: &bootstrapv3.Admin{Address: admin},
		DynamicResources: &bootstrapv3.Bootstrap_DynamicResources{
			AdsConfig: &corev3.ApiConfigSource{
				ApiType:                   corev3.ApiConfigSource_DELTA_GRPC,
				TransportApiVersion:       corev3.ApiVersion_V3,
				SetNodeOnFirstMessageOnly: true,
				GrpcServices: []*corev3.GrpcService{{
					TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: XDSCluster}},
				}},
			},
			LdsConfig: overADS(),
			CdsConfig: overADS(),
		},
		StaticResources: &bootstrapv3.Bootstrap_StaticResources{Clusters: []*clusterv3.Cluster{xds}},
		LayeredRuntime: &bootstrapv3.LayeredRuntime{Layers: []*bootstrapv3.RuntimeLayer{{
			Name:           "global_config",
			LayerSpecifier: &bootstrapv3.RuntimeLayer_StaticLayer{StaticLayer: runtime},
		}}},
		OverloadManager: overload,
		StatsConfig:     statsConfig(),
		// A cluster's traffic statistics exist from its first request on:
		// clusters that carry nothing cost little memory and no time series.
		DeferredStatOptions: &bootstrapv3.Bootstrap_DeferredStatOptions{EnableDeferredCreationStats: true},
	}, nil
}

// overADS never gives up waiting for the first answer: an Envoy without
// configuration must not report that it is ready.
func overADS() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		InitialFetchTimeout:   durationpb.New(0),
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
	}
}

// xdsConnectTimeout is short because of what happens when a controller is killed: for a
// second or two its Service still leads to it, and who asks then gets no answer at all. The
// next attempt goes to one that lives. Envoy Gateway has 10 s, for which such a proxy hears of
// no change.
const xdsConnectTimeout = 3 * time.Second

func xdsCluster(o BootstrapOptions) (*clusterv3.Cluster, error) {
	addr, err := address("xDS", o.XDSSocket, o.XDSAddress, o.XDSPort)
	if err != nil {
		return nil, err
	}
	discovery := clusterv3.Cluster_STATIC
	if o.XDSAddress != "" {
		if _, err := netip.ParseAddr(o.XDSAddress); err != nil {
			discovery = clusterv3.Cluster_STRICT_DNS
		}
	}
	// Without it a proxy could wait for ever on a connection whose other end is
	// gone, and miss every change.
	http2, err := http2Options(&corev3.KeepaliveSettings{
		Interval: durationpb.New(30 * time.Second),
		Timeout:  durationpb.New(5 * time.Second),
	})
	if err != nil {
		return nil, err
	}
	return &clusterv3.Cluster{
		Name:                          XDSCluster,
		ConnectTimeout:                durationpb.New(xdsConnectTimeout),
		ClusterDiscoveryType:          &clusterv3.Cluster_Type{Type: discovery},
		TransportSocket:               o.XDSTransportSocket,
		TypedExtensionProtocolOptions: http2,
		LoadAssignment: &endpointv3.ClusterLoadAssignment{
			ClusterName: XDSCluster,
			Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{{
				HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: addr}},
			}}}},
		},
	}, nil
}

// http2Options make a cluster speak HTTP/2.
func http2Options(keepalive *corev3.KeepaliveSettings) (map[string]*anypb.Any, error) {
	options, err := pack(&httpv3.HttpProtocolOptions{
		UpstreamProtocolOptions: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
			ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
				Http2ProtocolOptions: &corev3.Http2ProtocolOptions{ConnectionKeepalive: keepalive},
			},
		}},
	})
	return map[string]*anypb.Any{httpOptionsKey: options}, err
}

func overloadManager(maxConnections int64) (*overloadv3.OverloadManager, error) {
	if maxConnections == 0 {
		maxConnections = DefaultMaxConnections
	}
	if maxConnections < 0 {
		return nil, fmt.Errorf("envoy bootstrap: %d is no limit for connections", maxConnections)
	}
	limit, err := anypb.New(&connlimitv3.DownstreamConnectionsConfig{MaxActiveDownstreamConnections: maxConnections})
	if err != nil {
		return nil, fmt.Errorf("envoy bootstrap: %w", err)
	}
	return &overloadv3.OverloadManager{
		RefreshInterval: durationpb.New(250 * time.Millisecond),
		ResourceMonitors: []*overloadv3.ResourceMonitor{{
			Name:       "envoy.resource_monitors.global_downstream_max_connections",
			ConfigType: &overloadv3.ResourceMonitor_TypedConfig{TypedConfig: limit},
		}},
	}, nil
}

// statsConfig drops what nobody looks at: requests to the admin interface are
// egctl's own.
func statsConfig() *metricsv3.StatsConfig {
	prefix := func(p string) *matcherv3.StringMatcher {
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: p}}
	}
	return &metricsv3.StatsConfig{
		UseAllDefaultTags: wrapperspb.Bool(true),
		StatsMatcher: &metricsv3.StatsMatcher{StatsMatcher: &metricsv3.StatsMatcher_ExclusionList{ExclusionList: &matcherv3.ListStringMatcher{
			Patterns: []*matcherv3.StringMatcher{prefix("http.admin."), prefix("listener.admin.")},
		}}},
	}
}

// address returns the one of socket and host that is set.
func address(what, socket, host string, port uint32) (*corev3.Address, error) {
	switch {
	case (socket == "") == (host == ""):
		return nil, fmt.Errorf("envoy bootstrap: the %s address is either a unix socket or a host with a port", what)
	case len(socket) > maxSocketPath:
		return nil, fmt.Errorf("envoy bootstrap: the path of the %s socket is longer than the %d bytes that systems allow: %s", what, maxSocketPath, socket)
	case socket != "":
		return &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: socket}}}, nil
	case port == 0 || port > 65535:
		return nil, fmt.Errorf("envoy bootstrap: %d is not a port for the %s address %s", port, what, host)
	}
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: host, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
	}}}, nil
}

// BootstrapJSON returns m as indented JSON with the field names of Envoy's
// documentation, the same bytes for the same message.
func BootstrapJSON(m proto.Message) ([]byte, error) {
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("envoy bootstrap: %w", err)
	}
	// protojson varies its white space on purpose.
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return nil, fmt.Errorf("envoy bootstrap: %w", err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// BootstrapYAML returns m as YAML with sorted keys.
func BootstrapYAML(m proto.Message) ([]byte, error) {
	raw, err := BootstrapJSON(m)
	if err != nil {
		return nil, err
	}
	text, err := yaml.JSONToYAML(raw)
	if err != nil {
		return nil, fmt.Errorf("envoy bootstrap: %w", err)
	}
	return text, nil
}
