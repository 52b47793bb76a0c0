package v1alpha1

// ProxyTelemetry sets what proxies tell about their work.
type ProxyTelemetry struct {
	// AccessLog sets the logs of requests and connections. Default: one line of
	// JSON for each, on standard output.
	// +optional
	AccessLog *ProxyAccessLog `json:"accessLog,omitempty"`

	// Tracing sends spans to a collector. Default: none.
	// +optional
	Tracing *ProxyTracing `json:"tracing,omitempty"`

	// Metrics sets the metrics of proxies. Default: Prometheus' format at
	// /stats/prometheus on port 19001.
	// +optional
	Metrics *ProxyMetrics `json:"metrics,omitempty"`

	// RequestID sets how the header x-request-id goes with tracing.
	// +optional
	RequestID *RequestIDSettings `json:"requestID,omitempty"`

	// HealthCheckLog logs the active health checks of backends, unless a
	// BackendTrafficPolicy says otherwise.
	// +optional
	HealthCheckLog *HealthCheckLog `json:"healthCheckLog,omitempty"`
}

// RequestIDSettings sets how the header x-request-id goes with tracing.
type RequestIDSettings struct {
	// Tracing says whether the sampling decision is packed into the request ID
	// (Pack), taken from it (Sample), both (PackAndSample, the default) or neither
	// (Disable).
	// +optional
	Tracing *RequestIDTracing `json:"tracing,omitempty"`
}

// RequestIDTracing says how request IDs go with tracing.
//
// +kubebuilder:validation:Enum=PackAndSample;Sample;Pack;Disable
type RequestIDTracing string

const (
	// RequestIDPackAndSample packs the decision into the ID and takes it from there.
	RequestIDPackAndSample RequestIDTracing = "PackAndSample"
	// RequestIDSample takes the decision from the ID.
	RequestIDSample RequestIDTracing = "Sample"
	// RequestIDPack packs the decision into the ID.
	RequestIDPack RequestIDTracing = "Pack"
	// RequestIDDisable does neither.
	RequestIDDisable RequestIDTracing = "Disable"
)

// Header is a header with its value.
type Header struct {
	// Name is the name of the header.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$`
	Name string `json:"name"`

	// Value is the value of the header.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Value string `json:"value"`
}

// Fraction is a part of a whole: numerator in denominator.
//
// +kubebuilder:validation:XValidation:rule="self.numerator <= (has(self.denominator) ? self.denominator : 100)",message="numerator must not exceed denominator"
type Fraction struct {
	// Numerator is the part.
	// +required
	// +kubebuilder:validation:Minimum=0
	Numerator int32 `json:"numerator"`

	// Denominator is the whole.
	// +optional
	// +kubebuilder:default=100
	// +kubebuilder:validation:Minimum=1
	Denominator *int32 `json:"denominator,omitempty"`
}

// StringMatch compares a text with a value.
type StringMatch struct {
	// Type says how to compare.
	// +optional
	// +kubebuilder:default=Exact
	Type *StringMatchType `json:"type,omitempty"`

	// Value is what to compare with.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Value string `json:"value"`
}

// StringMatchType is a way to compare texts. RegularExpression is RE2's syntax
// and matches the whole text.
//
// +kubebuilder:validation:Enum=Exact;Prefix;Suffix;RegularExpression
type StringMatchType string

const (
	// StringMatchExact matches the same text.
	StringMatchExact StringMatchType = "Exact"
	// StringMatchPrefix matches what begins so.
	StringMatchPrefix StringMatchType = "Prefix"
	// StringMatchSuffix matches what ends so.
	StringMatchSuffix StringMatchType = "Suffix"
	// StringMatchRegularExpression matches by an expression.
	StringMatchRegularExpression StringMatchType = "RegularExpression"
)
