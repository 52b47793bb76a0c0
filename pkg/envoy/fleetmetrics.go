package envoy

import (
	"fmt"
	"math"
	"regexp"
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
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/egctl/egctl/api/v1alpha1"
)

const (
	statsPath    = "/stats/prometheus"
	statsCluster = "prometheus_stats"
)

// addMetrics has the proxy tell about itself, and to whom.
func addMetrics(b *bootstrapv3.Bootstrap, o FleetBootstrapOptions, loopback string) error {
	m := &v1alpha1.ProxyMetrics{}
	if t := o.Parameters.Telemetry; t != nil && t.Metrics != nil {
		m = t.Metrics
	}
	if len(m.Matches) > 0 {
		keep := &matcherv3.ListStringMatcher{}
		for i, match := range m.Matches {
			pattern, err := stringMatcher(match)
			if err != nil {
				return fmt.Errorf("spec.telemetry.metrics.matches[%d]: %w", i, err)
			}
			keep.Patterns = append(keep.Patterns, pattern)
		}
		b.StatsConfig.StatsMatcher = &metricsv3.StatsMatcher{StatsMatcher: &metricsv3.StatsMatcher_InclusionList{InclusionList: keep}}
	}
	b.StatsConfig.StatsTags = statsTags()
	for i, sink := range m.Sinks {
		if err := addSink(b, sink, o, "otel_metric_sink_"+strconv.Itoa(i)); err != nil {
			return fmt.Errorf("spec.telemetry.metrics.sinks[%d]: %w", i, err)
		}
	}
	var compression *v1alpha1.Compression
	if p := m.Prometheus; p != nil {
		if p.Disable {
			return nil
		}
		compression = p.Compression
	}
	listener, err := statsListener(o, compression)
	if err != nil {
		return fmt.Errorf("spec.telemetry.metrics.prometheus: %w", err)
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

func stringMatcher(m v1alpha1.StringMatch) (*matcherv3.StringMatcher, error) {
	kind := v1alpha1.StringMatchExact
	if m.Type != nil {
		kind = *m.Type
	}
	switch kind {
	case v1alpha1.StringMatchExact:
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: m.Value}}, nil
	case v1alpha1.StringMatchPrefix:
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: m.Value}}, nil
	case v1alpha1.StringMatchSuffix:
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Suffix{Suffix: m.Value}}, nil
	case v1alpha1.StringMatchRegularExpression:
		// Envoy would refuse to start.
		if _, err := regexp.Compile(m.Value); err != nil {
			return nil, fmt.Errorf("%q is no regular expression: %w", m.Value, err)
		}
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: m.Value}}}, nil
	}
	return nil, fmt.Errorf("%q is no way to compare", kind)
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

// statsListener lets Prometheus read the statistics, and nothing else of the admin
// interface.
func statsListener(o FleetBootstrapOptions, compression *v1alpha1.Compression) (*listenerv3.Listener, error) {
	filters, err := statsFilters(compression)
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

func statsFilters(c *v1alpha1.Compression) ([]*hcmv3.HttpFilter, error) {
	filter := func(name string, config proto.Message) (*hcmv3.HttpFilter, error) {
		packed, err := pack(config)
		return &hcmv3.HttpFilter{Name: name, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: packed}}, err
	}
	router, err := filter("envoy.filters.http.router", &routerv3.Router{})
	if err != nil || c == nil {
		return []*hcmv3.HttpFilter{router}, err
	}
	var name string
	var library proto.Message
	switch c.Type {
	case v1alpha1.GzipCompressorType:
		name, library = "gzip", &gzipv3.Gzip{}
	case v1alpha1.BrotliCompressorType:
		name, library = "brotli", &brotliv3.Brotli{}
	case v1alpha1.ZstdCompressorType:
		name, library = "zstd", &zstdv3.Zstd{}
	default:
		return nil, fmt.Errorf("compression: %q is no type of it", c.Type)
	}
	packed, err := pack(library)
	if err != nil {
		return nil, err
	}
	config := &compressorv3.Compressor{CompressorLibrary: &corev3.TypedExtensionConfig{
		Name: "envoy.compression." + name + ".compressor", TypedConfig: packed,
	}}
	if c.MinContentLength != nil {
		length := c.MinContentLength.Value()
		if length < 0 || length > math.MaxUint32 {
			return nil, fmt.Errorf("compression: minContentLength %s is not between 0 and 4Gi", c.MinContentLength)
		}
		config.ResponseDirectionConfig = &compressorv3.Compressor_ResponseDirectionConfig{
			CommonConfig: &compressorv3.Compressor_CommonDirectionConfig{MinContentLength: wrapperspb.UInt32(uint32(length))},
		}
	}
	compressor, err := filter("envoy.filters.http.compressor."+name, config)
	return []*hcmv3.HttpFilter{compressor, router}, err
}
