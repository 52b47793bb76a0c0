package envoy

import (
	"errors"
	"fmt"
	"strings"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	sinkv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/stat_sinks/open_telemetry/v3"
	detectorsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/tracers/opentelemetry/resource_detectors/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/egctl/egctl/api/v1alpha1"
)

// addSink has the statistics sent to a collector, by a cluster of that name.
func addSink(b *bootstrapv3.Bootstrap, s v1alpha1.ProxyMetricSink, o FleetBootstrapOptions, cluster string) error {
	if s.Type != v1alpha1.MetricSinkTypeOpenTelemetry || s.OpenTelemetry == nil {
		return fmt.Errorf("%q without its settings is no sink", s.Type)
	}
	otel := s.OpenTelemetry
	endpoints, err := collectors(otel, o)
	if err != nil {
		return err
	}
	service := &corev3.GrpcService{
		TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: cluster}},
	}
	for _, h := range otel.Headers {
		service.InitialMetadata = append(service.InitialMetadata, &corev3.HeaderValue{Key: h.Name, Value: h.Value})
	}
	config := &sinkv3.SinkConfig{
		ProtocolSpecifier:        &sinkv3.SinkConfig_GrpcService{GrpcService: service},
		ReportCountersAsDeltas:   otel.ReportCountersAsDeltas != nil && *otel.ReportCountersAsDeltas,
		ReportHistogramsAsDeltas: otel.ReportHistogramsAsDeltas != nil && *otel.ReportHistogramsAsDeltas,
	}
	if len(otel.ResourceAttributes) > 0 {
		attributes, err := pack(&detectorsv3.StaticConfigResourceDetectorConfig{Attributes: otel.ResourceAttributes})
		if err != nil {
			return err
		}
		config.ResourceDetectors = []*corev3.TypedExtensionConfig{{
			Name: "envoy.tracers.opentelemetry.resource_detectors.static_config", TypedConfig: attributes,
		}}
	}
	sink, err := pack(config)
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
	load := staticEndpoint(cluster, "", 0)
	load.Endpoints[0].LbEndpoints = nil
	for _, e := range endpoints {
		one := staticEndpoint(cluster, e.host, e.port).Endpoints[0].LbEndpoints[0]
		if e.weight > 0 {
			one.LoadBalancingWeight = wrapperspb.UInt32(e.weight)
		}
		load.Endpoints[0].LbEndpoints = append(load.Endpoints[0].LbEndpoints, one)
	}
	b.StaticResources.Clusters = append(b.StaticResources.Clusters, &clusterv3.Cluster{
		Name:                          cluster,
		ConnectTimeout:                durationpb.New(250 * time.Millisecond),
		ClusterDiscoveryType:          &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STRICT_DNS},
		LoadAssignment:                load,
		TypedExtensionProtocolOptions: http2,
	})
	return nil
}

type collector struct {
	host         string
	port, weight uint32
}

// collectors are where a sink sends to: the DNS names of Services, or a host.
func collectors(otel *v1alpha1.ProxyOpenTelemetrySink, o FleetBootstrapOptions) ([]collector, error) {
	if len(otel.BackendRefs) == 0 {
		if otel.Host == nil || *otel.Host == "" {
			return nil, errors.New("openTelemetry: it names neither backendRefs nor a host")
		}
		port := otel.Port
		byDefault(&port, 4317)
		return []collector{{host: *otel.Host, port: uint32(port)}}, nil
	}
	var all []collector
	for i, ref := range otel.BackendRefs {
		if ref.Kind != nil && *ref.Kind != "Service" {
			return nil, fmt.Errorf("openTelemetry.backendRefs[%d]: a %s is not supported here, a Service is", i, *ref.Kind)
		}
		if ref.Port == nil {
			return nil, fmt.Errorf("openTelemetry.backendRefs[%d]: a Service needs a port", i)
		}
		namespace := o.ParametersNamespace
		if ref.Namespace != nil {
			namespace = string(*ref.Namespace)
		}
		if namespace == "" {
			return nil, fmt.Errorf("openTelemetry.backendRefs[%d]: a namespace is needed", i)
		}
		if ref.Weight != nil && *ref.Weight == 0 {
			continue
		}
		c := collector{
			host: fmt.Sprintf("%s.%s.svc.%s.", ref.Name, namespace, strings.TrimSuffix(o.ClusterDomain, ".")),
			port: uint32(*ref.Port),
		}
		if ref.Weight != nil {
			c.weight = uint32(*ref.Weight)
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, errors.New("openTelemetry: every backend has the weight 0")
	}
	return all, nil
}
