package v1alpha1

// ProxyTracing sends spans to a collector.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.samplingRate) && has(self.samplingFraction))",message="only one of samplingRate and samplingFraction can be set"
type ProxyTracing struct {
	// SamplingRate is the percentage of requests that are traced when nothing
	// upstream has decided. Default: 100.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	SamplingRate *int32 `json:"samplingRate,omitempty"`

	// SamplingFraction is samplingRate in finer steps.
	// +optional
	SamplingFraction *Fraction `json:"samplingFraction,omitempty"`

	// ClientSamplingFraction is the part of the requests with the header
	// x-client-trace-id that are traced. Default: 0.
	// +optional
	ClientSamplingFraction *Fraction `json:"clientSamplingFraction,omitempty"`

	// OverallSamplingFraction bounds the part of requests that are traced,
	// whatever the reason. Default: 100 %.
	// +optional
	OverallSamplingFraction *Fraction `json:"overallSamplingFraction,omitempty"`

	// CustomTags are added to the spans.
	// +optional
	CustomTags map[string]CustomTag `json:"customTags,omitempty"`

	// Tags are added to the spans; their values may contain Envoy's command
	// operators. They win over custom tags of the same name.
	// +optional
	Tags map[string]string `json:"tags,omitempty"`

	// SpanName is the name of the spans.
	// +optional
	SpanName *TracingSpanName `json:"spanName,omitempty"`

	// Provider is the collector.
	// +required
	Provider TracingProvider `json:"provider"`
}

// TracingSpanName is the name of the spans. Values may contain Envoy's command
// operators.
type TracingSpanName struct {
	// Client is the name of the span for the call to the backend.
	// +required
	Client string `json:"client"`

	// Server is the name of the span for the request to the proxy.
	// +required
	Server string `json:"server"`
}

// CustomTag is a tag of spans.
//
// +union
// +kubebuilder:validation:XValidation:rule="self.type != 'Literal' || has(self.literal)",message="type Literal needs literal"
// +kubebuilder:validation:XValidation:rule="self.type != 'Environment' || has(self.environment)",message="type Environment needs environment"
// +kubebuilder:validation:XValidation:rule="self.type != 'RequestHeader' || has(self.requestHeader)",message="type RequestHeader needs requestHeader"
type CustomTag struct {
	// Type says where the value comes from.
	// +unionDiscriminator
	// +required
	// +kubebuilder:default=Literal
	Type CustomTagType `json:"type"`

	// Literal is a fixed value.
	// +optional
	Literal *LiteralCustomTag `json:"literal,omitempty"`

	// Environment takes a variable of the proxy's environment.
	// +optional
	Environment *EnvironmentCustomTag `json:"environment,omitempty"`

	// RequestHeader takes a header of the request.
	// +optional
	RequestHeader *RequestHeaderCustomTag `json:"requestHeader,omitempty"`
}

// CustomTagType says where the value of a tag comes from.
//
// +kubebuilder:validation:Enum=Literal;Environment;RequestHeader
type CustomTagType string

const (
	// CustomTagTypeLiteral is a fixed value.
	CustomTagTypeLiteral CustomTagType = "Literal"
	// CustomTagTypeEnvironment is an environment variable.
	CustomTagTypeEnvironment CustomTagType = "Environment"
	// CustomTagTypeRequestHeader is a request header.
	CustomTagTypeRequestHeader CustomTagType = "RequestHeader"
)

// LiteralCustomTag is a fixed value.
type LiteralCustomTag struct {
	// Value is the value of the tag.
	// +required
	Value string `json:"value"`
}

// EnvironmentCustomTag takes a variable of the proxy's environment.
type EnvironmentCustomTag struct {
	// Name is the name of the variable.
	// +required
	Name string `json:"name"`

	// DefaultValue is the value where the variable is not set.
	// +optional
	DefaultValue *string `json:"defaultValue,omitempty"`
}

// RequestHeaderCustomTag takes a header of the request.
type RequestHeaderCustomTag struct {
	// Name is the name of the header.
	// +required
	Name string `json:"name"`

	// DefaultValue is the value where the request lacks the header.
	// +optional
	DefaultValue *string `json:"defaultValue,omitempty"`
}

// TracingProvider is a collector of spans.
//
// +kubebuilder:validation:XValidation:rule="has(self.host) || (has(self.backendRefs) && self.backendRefs.size() > 0)",message="host or backendRefs must be set"
// +kubebuilder:validation:XValidation:rule="!has(self.backendRef)",message="backendRef is not supported; use backendRefs"
// +kubebuilder:validation:XValidation:rule="!has(self.backendRefs) || self.backendRefs.all(f, f.kind == 'Service' || f.kind == 'Backend')",message="backendRefs can only be of kind Service or Backend"
// +kubebuilder:validation:XValidation:rule="!has(self.backendRefs) || self.backendRefs.all(f, f.kind == 'Backend' ? f.group == 'gateway.envoyproxy.io' : size(f.group) == 0)",message="the group of a backendRef of kind Service is empty, that of Backend gateway.envoyproxy.io"
// +kubebuilder:validation:XValidation:rule="self.type == 'OpenTelemetry' || !has(self.openTelemetry)",message="openTelemetry is only for type OpenTelemetry"
// +kubebuilder:validation:XValidation:rule="self.type == 'Zipkin' || !has(self.zipkin)",message="zipkin is only for type Zipkin"
type TracingProvider struct {
	BackendCluster `json:",inline"`

	// Type is the protocol of the collector.
	// +required
	// +kubebuilder:default=OpenTelemetry
	Type TracingProviderType `json:"type"`

	// Host is deprecated; use backendRefs.
	// +optional
	Host *string `json:"host,omitempty"`

	// Port is deprecated; use backendRefs.
	// +optional
	// +kubebuilder:default=4317
	// +kubebuilder:validation:Minimum=0
	Port int32 `json:"port,omitempty"`

	// ServiceName is what spans call the proxy. Default: <name>.<namespace> of the
	// Gateway, or the name of the GatewayClass with mergeGateways.
	// +optional
	ServiceName *string `json:"serviceName,omitempty"`

	// OpenTelemetry holds settings for type OpenTelemetry.
	// +optional
	OpenTelemetry *OpenTelemetryTracingProvider `json:"openTelemetry,omitempty"`

	// Zipkin holds settings for type Zipkin.
	// +optional
	Zipkin *ZipkinTracingProvider `json:"zipkin,omitempty"`
}

// TracingProviderType is the protocol of a collector.
//
// +kubebuilder:validation:Enum=OpenTelemetry;Zipkin;Datadog
type TracingProviderType string

const (
	// TracingProviderTypeOpenTelemetry is OTLP over gRPC.
	TracingProviderTypeOpenTelemetry TracingProviderType = "OpenTelemetry"
	// TracingProviderTypeZipkin is Zipkin's API, version 2.
	TracingProviderTypeZipkin TracingProviderType = "Zipkin"
	// TracingProviderTypeDatadog is Datadog's agent.
	TracingProviderTypeDatadog TracingProviderType = "Datadog"
)

// OpenTelemetryTracingProvider holds settings for type OpenTelemetry.
type OpenTelemetryTracingProvider struct {
	// Headers are sent with each call to the collector.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Headers []Header `json:"headers,omitempty"`

	// ResourceAttributes tell the proxy from others.
	// +optional
	ResourceAttributes map[string]string `json:"resourceAttributes,omitempty"`

	// Sampler decides on sampling in place of Envoy's own sampling.
	// +optional
	Sampler *OpenTelemetrySampler `json:"sampler,omitempty"`
}

// OpenTelemetrySampler decides which requests are traced.
//
// +kubebuilder:validation:XValidation:rule="!has(self.samplingPercentage) || self.type in ['TraceIdRatio', 'ParentBasedTraceIdRatio']",message="samplingPercentage is only for types TraceIdRatio and ParentBasedTraceIdRatio"
type OpenTelemetrySampler struct {
	// Type is the kind of sampler.
	// +required
	// +kubebuilder:default=AlwaysOn
	Type OpenTelemetrySamplerType `json:"type"`

	// SamplingPercentage is the part of traces that the TraceIdRatio samplers
	// take. Default: 100 %.
	// +optional
	SamplingPercentage *Fraction `json:"samplingPercentage,omitempty"`
}

// OpenTelemetrySamplerType is a kind of sampler.
//
// +kubebuilder:validation:Enum=AlwaysOn;AlwaysOff;TraceIdRatio;ParentBasedAlwaysOn;ParentBasedAlwaysOff;ParentBasedTraceIdRatio
type OpenTelemetrySamplerType string

// ZipkinTracingProvider holds settings for type Zipkin.
type ZipkinTracingProvider struct {
	// Enable128BitTraceID makes trace IDs of 128 bits instead of 64.
	// +optional
	Enable128BitTraceID *bool `json:"enable128BitTraceId,omitempty"`

	// DisableSharedSpanContext gives client and server spans an ID each. Default:
	// false, they share one.
	// +optional
	DisableSharedSpanContext *bool `json:"disableSharedSpanContext,omitempty"`
}
