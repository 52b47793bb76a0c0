package envoy

import (
	"fmt"
	"strconv"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	brotliv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/brotli/compressor/v3"
	gzipv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/gzip/compressor/v3"
	zstdv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/zstd/compressor/v3"
	compressorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/compressor/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	sinkv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/stat_sinks/open_telemetry/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	statsPath    = "/stats/prometheus"
	statsCluster = "prometheus_stats"
)

// FleetMetrics are what a proxy tells about itself, and to whom.
type FleetMetrics struct {
	// NoPrometheus leaves out the listener that Prometheus asks.
	NoPrometheus bool
	// Compression is "gzip", "brotli" or "zstd" for the answers to Prometheus; empty:
	// none. Answers shorter than CompressionMinBytes stay as they are; 0: Envoy's
	// default of 30.
	Compression         string
	CompressionMinBytes uint32
	// Matches are the statistics to keep; empty: all.
	Matches []*matcherv3.StringMatcher
	// Sinks are OpenTelemetry collectors.
	Sinks []MetricSink
}

// MetricSink is an OpenTelemetry collector that takes OTLP over gRPC.
type MetricSink struct {
	// Host is a name or an IP address.
	Host string
	Port uint32
	// DeltaCounters and DeltaHistograms send what has been added since the last time,
	// instead of the sum.
	DeltaCounters, DeltaHistograms bool
}

func (m *FleetMetrics) apply(b *bootstrapv3.Bootstrap, o FleetBootstrapOptions, loopback string) error {
	if len(m.Matches) > 0 {
		b.StatsConfig.StatsMatcher = &metricsv3.StatsMatcher{StatsMatcher: &metricsv3.StatsMatcher_InclusionList{
			InclusionList: &matcherv3.ListStringMatcher{Patterns: m.Matches},
		}}
	}
	b.StatsConfig.StatsTags = statsTags()
	for i, s := range m.Sinks {
		if err := s.apply(b, "otel_metric_sink_"+strconv.Itoa(i)); err != nil {
			return err
		}
	}
	if m.NoPrometheus {
		return nil
	}
	listener, err := m.listener(o)
	if err != nil {
		return err
	}
	b.StaticResources.Listeners = append(b.StaticResources.Listeners, listener)
	b.StaticResources.Clusters = append(b.StaticResources.Clusters, &clusterv3.Cluster{
		Name:                 statsCluster,
		ConnectTimeout:       durationpb.New(250 * time.Millisecond),
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		LoadAssignment:       staticEndpoint(statsCluster, loopback, o.AdminPort),
	})
	return nil
}

// statsTags take parts of names that are labels in truth, which Envoy's own tags leave
// in. In each expression the first group is what leaves the name, the second the value.
func statsTags() []*metricsv3.TagSpecifier {
	tag := func(name, regex string) *metricsv3.TagSpecifier {
		return &metricsv3.TagSpecifier{TagName: name, TagValue: &metricsv3.TagSpecifier_Regex{Regex: regex}}
	}
	return []*metricsv3.TagSpecifier{
		// cluster.NAME.zone.FROM.TO.upstream_rq_…
		tag("from_zone", `\.zone\.(([^.]+)\.)[^.]+\.upstream_rq_`),
		tag("to_zone", `\.zone\.[^.]+\.(([^.]+)\.)upstream_rq_`),
		// cluster.NAME.transport_socket_match.MATCH.total_match_count
		tag("socket_match_name", `\.transport_socket_match\.((.+)\.)total_match_count$`),
		// cluster.NAME.circuit_breakers.PRIORITY.cx_open
		tag("priority", `\.circuit_breakers\.(([^.]+)\.)[^.]+$`),
	}
}

// listener lets Prometheus read the statistics, and nothing else of the admin interface.
func (m *FleetMetrics) listener(o FleetBootstrapOptions) (*listenerv3.Listener, error) {
	filters, err := m.filters()
	if err != nil {
		return nil, err
	}
	manager, err := pack(&hcmv3.HttpConnectionManager{
		StatPrefix: "eg-stats-http",
		RouteSpecifier: &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: &routev3.RouteConfiguration{
			Name: "local_route",
			VirtualHosts: []*routev3.VirtualHost{{
				Name: statsCluster, Domains: []string{"*"},
				Routes: []*routev3.Route{{
					Match: &routev3.RouteMatch{
						PathSpecifier: &routev3.RouteMatch_Path{Path: statsPath},
						Headers: []*routev3.HeaderMatcher{{Name: ":method", HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{
							StringMatch: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: "GET"}},
						}}},
					},
					Action: &routev3.Route_Route{Route: &routev3.RouteAction{
						ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: statsCluster},
						// Tens of thousands of clusters take their time.
						Timeout: durationpb.New(time.Minute),
					}},
				}},
			}},
		}},
		HttpFilters: filters,
	})
	if err != nil {
		return nil, err
	}
	address := o.anywhere(o.StatsPort)
	return &listenerv3.Listener{
		Name:    fmt.Sprintf("envoy-gateway-proxy-stats-%s-%d", address.GetSocketAddress().Address, o.StatsPort),
		Address: address,
		// Just when the proxy is at its limit, its figures are wanted.
		BypassOverloadManager: true,
		FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{{
			Name:       "envoy.filters.network.http_connection_manager",
			ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: manager},
		}}}},
	}, nil
}

func (m *FleetMetrics) filters() ([]*hcmv3.HttpFilter, error) {
	filter := func(name string, config proto.Message) (*hcmv3.HttpFilter, error) {
		packed, err := pack(config)
		return &hcmv3.HttpFilter{Name: name, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: packed}}, err
	}
	router, err := filter("envoy.filters.http.router", &routerv3.Router{})
	if err != nil || m.Compression == "" {
		return []*hcmv3.HttpFilter{router}, err
	}
	library := map[string]proto.Message{"gzip": &gzipv3.Gzip{}, "brotli": &brotliv3.Brotli{}, "zstd": &zstdv3.Zstd{}}[m.Compression]
	if library == nil {
		return nil, fmt.Errorf("envoy bootstrap: %q is no compression of metrics", m.Compression)
	}
	packed, err := pack(library)
	if err != nil {
		return nil, err
	}
	config := &compressorv3.Compressor{CompressorLibrary: &corev3.TypedExtensionConfig{
		Name: "envoy.compression." + m.Compression + ".compressor", TypedConfig: packed,
	}}
	if m.CompressionMinBytes > 0 {
		config.ResponseDirectionConfig = &compressorv3.Compressor_ResponseDirectionConfig{
			CommonConfig: &compressorv3.Compressor_CommonDirectionConfig{MinContentLength: wrapperspb.UInt32(m.CompressionMinBytes)},
		}
	}
	compressor, err := filter("envoy.filters.http.compressor."+m.Compression, config)
	return []*hcmv3.HttpFilter{compressor, router}, err
}

// apply has the statistics sent to the collector, by a cluster of that name.
func (s MetricSink) apply(b *bootstrapv3.Bootstrap, cluster string) error {
	if s.Host == "" || s.Port == 0 || s.Port > 65535 {
		return fmt.Errorf("envoy bootstrap: %s:%d is no collector of metrics", s.Host, s.Port)
	}
	sink, err := pack(&sinkv3.SinkConfig{
		ProtocolSpecifier: &sinkv3.SinkConfig_GrpcService{GrpcService: &corev3.GrpcService{
			TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: cluster}},
		}},
		ReportCountersAsDeltas:   s.DeltaCounters,
		ReportHistogramsAsDeltas: s.DeltaHistograms,
	})
	if err != nil {
		return err
	}
	b.StatsSinks = append(b.StatsSinks, &metricsv3.StatsSink{
		Name: "envoy.stat_sinks.open_telemetry", ConfigType: &metricsv3.StatsSink_TypedConfig{TypedConfig: sink},
	})
	http2, err := http2Options(nil)
	if err != nil {
		return err
	}
	b.StaticResources.Clusters = append(b.StaticResources.Clusters, &clusterv3.Cluster{
		Name:                          cluster,
		ConnectTimeout:                durationpb.New(250 * time.Millisecond),
		ClusterDiscoveryType:          &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STRICT_DNS},
		LoadAssignment:                staticEndpoint(cluster, s.Host, s.Port),
		TypedExtensionProtocolOptions: http2,
	})
	return nil
}
