package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// ProxyMetrics sets the metrics of proxies.
type ProxyMetrics struct {
	// Prometheus sets the endpoint /stats/prometheus.
	// +optional
	Prometheus *ProxyPrometheusProvider `json:"prometheus,omitempty"`

	// Sinks are collectors that proxies send metrics to.
	// +optional
	// +kubebuilder:validation:MaxItems=16
	Sinks []ProxyMetricSink `json:"sinks,omitempty"`

	// Matches restricts the metrics to those with a matching name. Default: all.
	// +optional
	Matches []StringMatch `json:"matches,omitempty"`

	// EnableVirtualHostStats adds metrics of each hostname.
	// +optional
	EnableVirtualHostStats *bool `json:"enableVirtualHostStats,omitempty"`

	// EnablePerEndpointStats adds metrics of each endpoint.
	// +optional
	EnablePerEndpointStats *bool `json:"enablePerEndpointStats,omitempty"`

	// EnableRequestResponseSizesStats adds histograms of the sizes of headers and
	// bodies.
	// +optional
	EnableRequestResponseSizesStats *bool `json:"enableRequestResponseSizesStats,omitempty"`

	// EnableGRPCStats adds metrics of gRPC methods.
	// +optional
	EnableGRPCStats *bool `json:"enableGRPCStats,omitempty"`

	// ClusterStatName is the name of a rule's cluster in metrics. It may contain
	// %ROUTE_NAME%, %ROUTE_NAMESPACE%, %ROUTE_KIND%, %ROUTE_RULE_NAME%,
	// %ROUTE_RULE_NUMBER% and %BACKEND_REFS%.
	// +optional
	ClusterStatName *string `json:"clusterStatName,omitempty"`
}

// ProxyPrometheusProvider sets the endpoint /stats/prometheus.
type ProxyPrometheusProvider struct {
	// Disable turns the endpoint off.
	// +optional
	Disable bool `json:"disable,omitempty"`

	// Compression compresses the answers.
	// +optional
	Compression *Compression `json:"compression,omitempty"`
}

// Compression says how responses are compressed.
type Compression struct {
	// Type is the algorithm.
	// +required
	Type CompressorType `json:"type"`

	// Gzip holds settings of gzip.
	// +optional
	Gzip *GzipCompressor `json:"gzip,omitempty"`

	// Brotli holds settings of Brotli.
	// +optional
	Brotli *BrotliCompressor `json:"brotli,omitempty"`

	// Zstd holds settings of Zstandard.
	// +optional
	Zstd *ZstdCompressor `json:"zstd,omitempty"`

	// MinContentLength is the size in bytes from which a response is compressed.
	// Default: Envoy's, 30 bytes.
	// +optional
	MinContentLength *resource.Quantity `json:"minContentLength,omitempty"`
}

// CompressorType is an algorithm of compression.
//
// +kubebuilder:validation:Enum=Gzip;Brotli;Zstd
type CompressorType string

const (
	// GzipCompressorType is gzip.
	GzipCompressorType CompressorType = "Gzip"
	// BrotliCompressorType is Brotli.
	BrotliCompressorType CompressorType = "Brotli"
	// ZstdCompressorType is Zstandard.
	ZstdCompressorType CompressorType = "Zstd"
)

// GzipCompressor holds settings of gzip; there are none yet.
type GzipCompressor struct{}

// BrotliCompressor holds settings of Brotli; there are none yet.
type BrotliCompressor struct{}

// ZstdCompressor holds settings of Zstandard; there are none yet.
type ZstdCompressor struct{}

// ProxyMetricSink is a collector that proxies send metrics to.
//
// +union
// +kubebuilder:validation:XValidation:rule="self.type != 'OpenTelemetry' || has(self.openTelemetry)",message="type OpenTelemetry needs openTelemetry"
type ProxyMetricSink struct {
	// Type is OpenTelemetry.
	// +unionDiscriminator
	// +required
	// +kubebuilder:default=OpenTelemetry
	Type MetricSinkType `json:"type"`

	// OpenTelemetry sends by OTLP over gRPC.
	// +optional
	OpenTelemetry *ProxyOpenTelemetrySink `json:"openTelemetry,omitempty"`
}

// MetricSinkType tells collectors of metrics apart.
//
// +kubebuilder:validation:Enum=OpenTelemetry
type MetricSinkType string

// MetricSinkTypeOpenTelemetry is an OTLP collector.
const MetricSinkTypeOpenTelemetry MetricSinkType = "OpenTelemetry"

// ProxyOpenTelemetrySink sends metrics by OTLP over gRPC.
//
// +kubebuilder:validation:XValidation:rule="has(self.host) || (has(self.backendRefs) && self.backendRefs.size() > 0)",message="host or backendRefs must be set"
// +kubebuilder:validation:XValidation:rule="!has(self.backendRef)",message="backendRef is not supported; use backendRefs"
// +kubebuilder:validation:XValidation:rule="!has(self.backendRefs) || self.backendRefs.all(f, f.kind == 'Service' || f.kind == 'Backend')",message="backendRefs can only be of kind Service or Backend"
// +kubebuilder:validation:XValidation:rule="!has(self.backendRefs) || self.backendRefs.all(f, f.kind == 'Backend' ? f.group == 'gateway.envoyproxy.io' : size(f.group) == 0)",message="the group of a backendRef of kind Service is empty, that of Backend gateway.envoyproxy.io"
type ProxyOpenTelemetrySink struct {
	BackendCluster `json:",inline"`

	// Host is deprecated; use backendRefs.
	// +optional
	Host *string `json:"host,omitempty"`

	// Port is deprecated; use backendRefs.
	// +optional
	// +kubebuilder:default=4317
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`

	// ReportCountersAsDeltas sends what counters rose by since the last report,
	// instead of their value. Default: false.
	// +optional
	ReportCountersAsDeltas *bool `json:"reportCountersAsDeltas,omitempty"`

	// ReportHistogramsAsDeltas sends what histograms rose by since the last
	// report. Default: false.
	// +optional
	ReportHistogramsAsDeltas *bool `json:"reportHistogramsAsDeltas,omitempty"`

	// Headers are sent with each call to the collector.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Headers []Header `json:"headers,omitempty"`

	// ResourceAttributes tell the proxy from others.
	// +optional
	ResourceAttributes map[string]string `json:"resourceAttributes,omitempty"`
}
