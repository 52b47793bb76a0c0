package xds

import (
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	upstream "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/translate/ir"
)

// connectTimeout is how long a connection to a backend may take to open.
const connectTimeout = 10 * time.Second

// ClusterSpec describes an upstream cluster whose endpoints come by EDS.
type ClusterSpec struct {
	Name string
	// Assignment is the EDS resource, which clusters of one backend share.
	Assignment string
	Protocol   ir.Protocol
	// Detect lets ALPN choose the HTTP version where there is TLS.
	Detect bool
	// Combined clusters hold several backends as weighted localities.
	Combined bool
	TLS      *ir.TLSUpstream
	// SystemTrust is the file with the CA certificates that the proxy's system
	// trusts.
	SystemTrust string
	Origin      finding.Object
}

// Cluster encodes a cluster.
func Cluster(s ClusterSpec) *Resource {
	c := &cluster.Cluster{
		Name:                          s.Name,
		ClusterDiscoveryType:          &cluster.Cluster_Type{Type: cluster.Cluster_EDS},
		EdsClusterConfig:              &cluster.Cluster_EdsClusterConfig{EdsConfig: ads(), ServiceName: s.Assignment},
		ConnectTimeout:                durationpb.New(connectTimeout),
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(connectionBuffer),
		LbPolicy:                      cluster.Cluster_LEAST_REQUEST,
		CommonLbConfig: &cluster.Cluster_CommonLbConfig{
			// A session stays with its endpoint while that finishes (GEP-1619).
			OverrideHostStatus: &core.HealthStatusSet{Statuses: []core.HealthStatus{
				core.HealthStatus_UNKNOWN, core.HealthStatus_HEALTHY, core.HealthStatus_DEGRADED, core.HealthStatus_DRAINING,
			}},
		},
		// An endpoint that left its Service must not get another request because
		// it still looks healthy.
		IgnoreHealthOnHostRemoval: true,
		// Only retries are raised: a budget of 3 would starve them in an outage.
		CircuitBreakers: &cluster.CircuitBreakers{Thresholds: []*cluster.CircuitBreakers_Thresholds{{MaxRetries: wrapperspb.UInt32(1024)}}},
		Metadata:        metadata(s.Origin, ""),
	}
	if s.Combined {
		c.CommonLbConfig.LocalityConfigSpecifier = &cluster.Cluster_CommonLbConfig_LocalityWeightedLbConfig_{
			LocalityWeightedLbConfig: &cluster.Cluster_CommonLbConfig_LocalityWeightedLbConfig{},
		}
	}
	var alpn []string
	if options := httpOptions(&s); options != nil {
		c.TypedExtensionProtocolOptions = map[string]*anypb.Any{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": mustAny(options)}
	}
	if s.TLS != nil {
		switch {
		case s.Protocol == ir.HTTP2 && !s.Detect:
			alpn = []string{"h2"}
		case s.Protocol == ir.HTTP1 && !s.Detect:
			alpn = []string{"http/1.1"}
		}
		c.TransportSocket = upstreamTLS(s.TLS, alpn, s.SystemTrust)
	}
	return mustEncode(ClusterType, s.Name, c, s.Origin)
}

// httpOptions choose the HTTP version; nil for clusters that carry no HTTP.
func httpOptions(s *ClusterSpec) *upstream.HttpProtocolOptions {
	o := &upstream.HttpProtocolOptions{}
	switch {
	case s.Protocol == ir.TCP || s.Protocol == ir.Raw || s.Protocol == ir.UDP:
		return nil
	case s.Detect && s.TLS != nil:
		o.UpstreamProtocolOptions = &upstream.HttpProtocolOptions_AutoConfig{AutoConfig: &upstream.HttpProtocolOptions_AutoHttpConfig{
			HttpProtocolOptions: &core.Http1ProtocolOptions{}, Http2ProtocolOptions: http2Options(),
		}}
	case s.Protocol == ir.HTTP2:
		o.UpstreamProtocolOptions = &upstream.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: &upstream.HttpProtocolOptions_ExplicitHttpConfig{
			ProtocolConfig: &upstream.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: http2Options()},
		}}
	default:
		return nil // HTTP/1.1 is what Envoy speaks unless told otherwise
	}
	return o
}
