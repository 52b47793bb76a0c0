package v1alpha1

// ProxyAccessLog sets the logs of requests and connections.
type ProxyAccessLog struct {
	// Disable turns access logs off.
	// +optional
	Disable bool `json:"disable,omitempty"`

	// Settings are the logs. Default: one line of JSON for each request or
	// connection, on standard output.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	Settings []ProxyAccessLogSetting `json:"settings,omitempty"`
}

// ProxyAccessLogSetting is one log.
type ProxyAccessLogSetting struct {
	// Type says what is logged: connections that no route was found for
	// (Listener), requests and connections of routes (Route), or each attempt to
	// reach a backend (Upstream). Default: Listener and Route.
	// +optional
	Type *ProxyAccessLogType `json:"type,omitempty"`

	// Format is the form of the lines.
	// +optional
	Format *ProxyAccessLogFormat `json:"format,omitempty"`

	// Matches are CEL expressions over Envoy's attributes, such as
	// "response.code >= 400". Only what fulfils all of them is logged.
	// +optional
	// +kubebuilder:validation:MaxItems=10
	Matches []string `json:"matches,omitempty"`

	// Sinks are where the lines go.
	// +required
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	Sinks []ProxyAccessLogSink `json:"sinks"`
}

// ProxyAccessLogType says what is logged.
//
// +kubebuilder:validation:Enum=Listener;Route;Upstream
type ProxyAccessLogType string

const (
	// ProxyAccessLogTypeListener logs connections that no route was found for.
	ProxyAccessLogTypeListener ProxyAccessLogType = "Listener"
	// ProxyAccessLogTypeRoute logs requests, and connections of TCP routes.
	ProxyAccessLogTypeRoute ProxyAccessLogType = "Route"
	// ProxyAccessLogTypeUpstream logs each attempt to reach a backend.
	ProxyAccessLogTypeUpstream ProxyAccessLogType = "Upstream"
)

// ProxyAccessLogFormat is the form of the lines of a log.
//
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type != 'Text' || (has(self.text) && !has(self.json))",message="type Text needs text, and no json"
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type != 'JSON' || (has(self.json) && !has(self.text))",message="type JSON needs json, and no text"
type ProxyAccessLogFormat struct {
	// Type is Text or JSON. Absent: what of text and json is set; with both, the
	// text becomes the body and json the attributes of OpenTelemetry records.
	// +optional
	Type *ProxyAccessLogFormatType `json:"type,omitempty"`

	// Text is a line with Envoy's command operators, such as
	// "%REQ(:METHOD)% %RESPONSE_CODE%\n". No line feed is added.
	// +optional
	Text *string `json:"text,omitempty"`

	// JSON maps names to texts with Envoy's command operators. Numbers and
	// booleans keep their type.
	// +optional
	JSON map[string]string `json:"json,omitempty"`
}

// ProxyAccessLogFormatType is a form of lines.
//
// +kubebuilder:validation:Enum=Text;JSON
type ProxyAccessLogFormatType string

const (
	// ProxyAccessLogFormatTypeText is a line of text.
	ProxyAccessLogFormatTypeText ProxyAccessLogFormatType = "Text"
	// ProxyAccessLogFormatTypeJSON is a JSON object.
	ProxyAccessLogFormatTypeJSON ProxyAccessLogFormatType = "JSON"
)

// ProxyAccessLogSink is where the lines of a log go.
//
// +union
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type != 'ALS' || has(self.als)",message="type ALS needs als"
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type != 'File' || has(self.file)",message="type File needs file"
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type != 'OpenTelemetry' || has(self.openTelemetry)",message="type OpenTelemetry needs openTelemetry"
type ProxyAccessLogSink struct {
	// Type is ALS, File or OpenTelemetry.
	// +unionDiscriminator
	// +optional
	Type ProxyAccessLogSinkType `json:"type,omitempty"`

	// ALS sends to a gRPC service of Envoy's access log protocol.
	// +optional
	ALS *ALSEnvoyProxyAccessLog `json:"als,omitempty"`

	// File writes to a file.
	// +optional
	File *FileEnvoyProxyAccessLog `json:"file,omitempty"`

	// OpenTelemetry sends to a collector by OTLP.
	// +optional
	OpenTelemetry *OpenTelemetryEnvoyProxyAccessLog `json:"openTelemetry,omitempty"`
}

// ProxyAccessLogSinkType tells sinks apart.
//
// +kubebuilder:validation:Enum=ALS;File;OpenTelemetry
type ProxyAccessLogSinkType string

const (
	// ProxyAccessLogSinkTypeALS is a gRPC service.
	ProxyAccessLogSinkTypeALS ProxyAccessLogSinkType = "ALS"
	// ProxyAccessLogSinkTypeFile is a file.
	ProxyAccessLogSinkTypeFile ProxyAccessLogSinkType = "File"
	// ProxyAccessLogSinkTypeOpenTelemetry is an OTLP collector.
	ProxyAccessLogSinkTypeOpenTelemetry ProxyAccessLogSinkType = "OpenTelemetry"
)

// FileEnvoyProxyAccessLog writes to a file.
type FileEnvoyProxyAccessLog struct {
	// Path is the path of the file in the container. /dev/stdout is the pod's log.
	// +optional
	// +kubebuilder:validation:MinLength=1
	Path string `json:"path,omitempty"`
}

// ALSEnvoyProxyAccessLog sends to a gRPC service of Envoy's access log protocol.
//
// +kubebuilder:validation:XValidation:rule="self.type == 'HTTP' || !has(self.http)",message="http is only for type HTTP"
// +kubebuilder:validation:XValidation:rule="has(self.backendRefs) && !has(self.backendRef)",message="backendRefs must be set, and backendRef is not supported"
// +kubebuilder:validation:XValidation:rule="!has(self.backendRefs) || self.backendRefs.all(f, f.kind == 'Service' || f.kind == 'Backend')",message="backendRefs can only be of kind Service or Backend"
// +kubebuilder:validation:XValidation:rule="!has(self.backendRefs) || self.backendRefs.all(f, f.kind == 'Backend' ? f.group == 'gateway.envoyproxy.io' : size(f.group) == 0)",message="the group of a backendRef of kind Service is empty, that of Backend gateway.envoyproxy.io"
type ALSEnvoyProxyAccessLog struct {
	BackendCluster `json:",inline"`

	// LogName is what the service knows the log by. Default: namespace and name of
	// the Gateway.
	// +optional
	// +kubebuilder:validation:MinLength=1
	LogName *string `json:"logName,omitempty"`

	// Type is the protocol that entries are of: HTTP or TCP.
	// +required
	Type ALSEnvoyProxyAccessLogType `json:"type"`

	// HTTP adds headers to the entries of type HTTP.
	// +optional
	HTTP *ALSEnvoyProxyHTTPAccessLogConfig `json:"http,omitempty"`
}

// ALSEnvoyProxyAccessLogType is the protocol that entries are of.
//
// +kubebuilder:validation:Enum=HTTP;TCP
type ALSEnvoyProxyAccessLogType string

const (
	// ALSEnvoyProxyAccessLogTypeHTTP logs requests.
	ALSEnvoyProxyAccessLogTypeHTTP ALSEnvoyProxyAccessLogType = "HTTP"
	// ALSEnvoyProxyAccessLogTypeTCP logs connections.
	ALSEnvoyProxyAccessLogTypeTCP ALSEnvoyProxyAccessLogType = "TCP"
)

// ALSEnvoyProxyHTTPAccessLogConfig adds headers to entries.
type ALSEnvoyProxyHTTPAccessLogConfig struct {
	// RequestHeaders are names of request headers.
	// +optional
	RequestHeaders []string `json:"requestHeaders,omitempty"`
	// ResponseHeaders are names of response headers.
	// +optional
	ResponseHeaders []string `json:"responseHeaders,omitempty"`
	// ResponseTrailers are names of response trailers.
	// +optional
	ResponseTrailers []string `json:"responseTrailers,omitempty"`
}

// OpenTelemetryEnvoyProxyAccessLog sends to a collector by OTLP over gRPC.
//
// +kubebuilder:validation:XValidation:rule="has(self.host) || (has(self.backendRefs) && self.backendRefs.size() > 0)",message="host or backendRefs must be set"
// +kubebuilder:validation:XValidation:rule="!has(self.backendRef)",message="backendRef is not supported; use backendRefs"
// +kubebuilder:validation:XValidation:rule="!has(self.backendRefs) || self.backendRefs.all(f, f.kind == 'Service' || f.kind == 'Backend')",message="backendRefs can only be of kind Service or Backend"
// +kubebuilder:validation:XValidation:rule="!has(self.backendRefs) || self.backendRefs.all(f, f.kind == 'Backend' ? f.group == 'gateway.envoyproxy.io' : size(f.group) == 0)",message="the group of a backendRef of kind Service is empty, that of Backend gateway.envoyproxy.io"
// +kubebuilder:validation:XValidation:rule="!(has(self.resources) && has(self.resourceAttributes))",message="resources cannot be used together with resourceAttributes"
type OpenTelemetryEnvoyProxyAccessLog struct {
	BackendCluster `json:",inline"`

	// Host is deprecated; use backendRefs.
	// +optional
	Host *string `json:"host,omitempty"`

	// Port is deprecated; use backendRefs.
	// +optional
	// +kubebuilder:default=4317
	// +kubebuilder:validation:Minimum=0
	Port int32 `json:"port,omitempty"`

	// Resources is deprecated; use resourceAttributes.
	// +optional
	Resources map[string]string `json:"resources,omitempty"`

	// ResourceAttributes tell the proxy from others. k8s.namespace.name and
	// k8s.pod.name are added.
	// +optional
	ResourceAttributes map[string]string `json:"resourceAttributes,omitempty"`

	// Headers are sent with each call to the collector.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Headers []Header `json:"headers,omitempty"`
}
