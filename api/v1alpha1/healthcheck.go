package v1alpha1

import (
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// HealthCheck finds endpoints that do not work.
type HealthCheck struct {
	// Active asks the endpoints.
	// +optional
	Active *ActiveHealthCheck `json:"active,omitempty"`

	// Passive watches the responses of endpoints.
	// +optional
	Passive *PassiveHealthCheck `json:"passive,omitempty"`

	// PanicThreshold is the percentage of healthy endpoints below which all get
	// traffic. 0 turns this off. Default: 50.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	PanicThreshold *int32 `json:"panicThreshold,omitempty"`
}

// ActiveHealthCheck asks the endpoints.
//
// +union
// +kubebuilder:validation:XValidation:rule="(self.type == 'HTTP') == has(self.http)",message="http must be set if and only if type is HTTP"
// +kubebuilder:validation:XValidation:rule="(self.type == 'TCP') == has(self.tcp)",message="tcp must be set if and only if type is TCP"
// +kubebuilder:validation:XValidation:rule="self.type == 'GRPC' || !has(self.grpc)",message="grpc is only for type GRPC"
// +kubebuilder:validation:XValidation:rule="duration(has(self.timeout) ? self.timeout : '1s') < duration(has(self.interval) ? self.interval : '3s')",message="timeout must be shorter than interval"
type ActiveHealthCheck struct {
	// Type is HTTP, TCP or GRPC.
	// +unionDiscriminator
	// +required
	Type ActiveHealthCheckerType `json:"type"`

	// Timeout is how long to wait for the answer.
	// +optional
	// +kubebuilder:default="1s"
	Timeout *gwapiv1.Duration `json:"timeout,omitempty"`

	// Interval is the time between checks.
	// +optional
	// +kubebuilder:default="3s"
	Interval *gwapiv1.Duration `json:"interval,omitempty"`

	// InitialJitter is the longest random pause before the first check.
	// +optional
	InitialJitter *gwapiv1.Duration `json:"initialJitter,omitempty"`

	// UnhealthyThreshold is the number of failures in a row that make an endpoint
	// unhealthy.
	// +optional
	// +kubebuilder:default=3
	// +kubebuilder:validation:Minimum=1
	UnhealthyThreshold *int32 `json:"unhealthyThreshold,omitempty"`

	// HealthyThreshold is the number of successes in a row that make an endpoint
	// healthy.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	HealthyThreshold *int32 `json:"healthyThreshold,omitempty"`

	// HTTP checks by a request.
	// +optional
	HTTP *HTTPActiveHealthChecker `json:"http,omitempty"`

	// TCP checks by a connection.
	// +optional
	TCP *TCPActiveHealthChecker `json:"tcp,omitempty"`

	// GRPC checks by the gRPC health protocol.
	// +optional
	GRPC *GRPCActiveHealthChecker `json:"grpc,omitempty"`

	// Overrides change where endpoints are asked.
	// +optional
	Overrides *HealthCheckOverrides `json:"overrides,omitempty"`

	// HealthCheckLog logs the checks. It wins over that of EnvoyProxy.
	// +optional
	HealthCheckLog *HealthCheckLog `json:"healthCheckLog,omitempty"`
}

// ActiveHealthCheckerType is a way to ask endpoints.
//
// +kubebuilder:validation:Enum=HTTP;TCP;GRPC
type ActiveHealthCheckerType string

const (
	// ActiveHealthCheckerTypeHTTP asks by HTTP.
	ActiveHealthCheckerTypeHTTP ActiveHealthCheckerType = "HTTP"
	// ActiveHealthCheckerTypeTCP asks by TCP.
	ActiveHealthCheckerTypeTCP ActiveHealthCheckerType = "TCP"
	// ActiveHealthCheckerTypeGRPC asks by gRPC.
	ActiveHealthCheckerTypeGRPC ActiveHealthCheckerType = "GRPC"
)

// HTTPActiveHealthChecker checks by a request.
//
// +kubebuilder:validation:XValidation:rule="!has(self.requestBody) || (has(self.method) && self.method.upperAscii() in ['POST', 'PUT'])",message="requestBody needs method POST or PUT"
type HTTPActiveHealthChecker struct {
	// Hostname is the host of the request. Default: that of the backend, else of
	// the route.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	Hostname *string `json:"hostname,omitempty"`

	// Path is the path of the request.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Path string `json:"path"`

	// Method is the method of the request. Default: GET.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Method *string `json:"method,omitempty"`

	// RequestBody is the body of the request.
	// +optional
	RequestBody *ActiveHealthCheckPayload `json:"requestBody,omitempty"`

	// ExpectedStatuses are the status codes of a healthy endpoint. Default: 200.
	// +optional
	ExpectedStatuses []HTTPStatus `json:"expectedStatuses,omitempty"`

	// RetriableStatuses are status codes that count towards unhealthyThreshold;
	// others make the endpoint unhealthy at once.
	// +optional
	RetriableStatuses []HTTPStatus `json:"retriableStatuses,omitempty"`

	// ExpectedResponse is what the body has to contain.
	// +optional
	ExpectedResponse *ActiveHealthCheckPayload `json:"expectedResponse,omitempty"`
}

// TCPActiveHealthChecker checks by a connection.
type TCPActiveHealthChecker struct {
	// Send is what is sent. Absent: nothing.
	// +optional
	Send *ActiveHealthCheckPayload `json:"send,omitempty"`

	// Receive is what has to come back. Absent: it is enough to connect.
	// +optional
	Receive *ActiveHealthCheckPayload `json:"receive,omitempty"`
}

// GRPCActiveHealthChecker checks by the gRPC health protocol.
type GRPCActiveHealthChecker struct {
	// Service is the name of the service to ask for. Default: the whole server.
	// +optional
	Service *string `json:"service,omitempty"`
}

// ActiveHealthCheckPayload is text or bytes.
//
// +union
// +kubebuilder:validation:XValidation:rule="self.type == 'Text' ? has(self.text) && !has(self.binary) : has(self.binary) && !has(self.text)",message="type Text needs text alone; type Binary needs binary alone"
type ActiveHealthCheckPayload struct {
	// Type is Text or Binary.
	// +unionDiscriminator
	// +required
	Type ActiveHealthCheckPayloadType `json:"type"`

	// Text is plain text.
	// +optional
	Text *string `json:"text,omitempty"`

	// Binary is bytes in base64.
	// +optional
	// +kubebuilder:validation:Format=byte
	Binary []byte `json:"binary,omitempty"`
}

// ActiveHealthCheckPayloadType is a form of payload.
//
// +kubebuilder:validation:Enum=Text;Binary
type ActiveHealthCheckPayloadType string

const (
	// ActiveHealthCheckPayloadTypeText is text.
	ActiveHealthCheckPayloadTypeText ActiveHealthCheckPayloadType = "Text"
	// ActiveHealthCheckPayloadTypeBinary is bytes.
	ActiveHealthCheckPayloadTypeBinary ActiveHealthCheckPayloadType = "Binary"
)

// HealthCheckOverrides change where endpoints are asked.
type HealthCheckOverrides struct {
	// Port is the port to ask at. Default: that of the endpoint.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port *int32 `json:"port,omitempty"`
}

// PassiveHealthCheck takes endpoints out for a time when their responses fail.
type PassiveHealthCheck struct {
	// SplitExternalLocalOriginErrors counts errors of the connection apart from
	// those that the endpoint answers.
	// +optional
	// +kubebuilder:default=false
	SplitExternalLocalOriginErrors *bool `json:"splitExternalLocalOriginErrors,omitempty"`

	// Interval is the time between evaluations.
	// +optional
	// +kubebuilder:default="3s"
	Interval *gwapiv1.Duration `json:"interval,omitempty"`

	// ConsecutiveLocalOriginFailures is the number of errors of the connection in
	// a row that take an endpoint out, with splitExternalLocalOriginErrors.
	// +optional
	// +kubebuilder:default=5
	ConsecutiveLocalOriginFailures *int32 `json:"consecutiveLocalOriginFailures,omitempty"`

	// ConsecutiveGatewayErrors is the number of responses 502, 503 and 504 in a
	// row that take an endpoint out. Default: they are counted with the 5xx.
	// +optional
	ConsecutiveGatewayErrors *int32 `json:"consecutiveGatewayErrors,omitempty"`

	// Consecutive5xxErrors is the number of 5xx responses in a row that take an
	// endpoint out.
	// +optional
	// +kubebuilder:default=5
	Consecutive5xxErrors *int32 `json:"consecutive5XxErrors,omitempty"`

	// BaseEjectionTime is how long an endpoint is out, times the number of times
	// it was.
	// +optional
	// +kubebuilder:default="30s"
	BaseEjectionTime *gwapiv1.Duration `json:"baseEjectionTime,omitempty"`

	// MaxEjectionPercent bounds the percentage of endpoints that are out.
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	MaxEjectionPercent *int32 `json:"maxEjectionPercent,omitempty"`

	// FailurePercentageThreshold is the percentage of failed requests from which
	// an endpoint is taken out. Default: none.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	FailurePercentageThreshold *int32 `json:"failurePercentageThreshold,omitempty"`

	// AlwaysEjectOneEndpoint takes one endpoint out even where
	// maxEjectionPercent forbids it.
	// +optional
	// +kubebuilder:default=false
	AlwaysEjectOneEndpoint *bool `json:"alwaysEjectOneEndpoint,omitempty"`
}

// HealthCheckLog logs active health checks.
//
// +kubebuilder:validation:XValidation:rule="!has(self.matches) || self.matches.size() == 0 || (self.matches.exists(m, m in ['Failure', 'FailureSeriesStart']) && self.matches.exists(m, m in ['Success', 'HealthyTransition']))",message="matches needs one of Failure and FailureSeriesStart together with one of Success and HealthyTransition"
type HealthCheckLog struct {
	// Matches are the events to log. Default: changes of health.
	// +optional
	// +kubebuilder:validation:MaxItems=4
	Matches []HealthCheckLogMatch `json:"matches,omitempty"`

	// Sinks are where the events go. Default: standard output.
	// +optional
	// +kubebuilder:validation:MaxItems=1
	Sinks []HealthCheckLogSink `json:"sinks,omitempty"`
}

// HealthCheckLogMatch is a kind of event.
//
// +kubebuilder:validation:Enum=Failure;FailureSeriesStart;Success;HealthyTransition
type HealthCheckLogMatch string

const (
	// HealthCheckLogMatchFailure is each failed check.
	HealthCheckLogMatchFailure HealthCheckLogMatch = "Failure"
	// HealthCheckLogMatchFailureSeriesStart is the first failed check of a series.
	HealthCheckLogMatchFailureSeriesStart HealthCheckLogMatch = "FailureSeriesStart"
	// HealthCheckLogMatchSuccess is each successful check.
	HealthCheckLogMatchSuccess HealthCheckLogMatch = "Success"
	// HealthCheckLogMatchHealthyTransition is an endpoint that becomes healthy.
	HealthCheckLogMatchHealthyTransition HealthCheckLogMatch = "HealthyTransition"
)

// HealthCheckLogSink is where events go.
//
// +union
// +kubebuilder:validation:XValidation:rule="(self.type == 'File') == has(self.file)",message="file must be set if and only if type is File"
type HealthCheckLogSink struct {
	// Type is File.
	// +unionDiscriminator
	// +required
	Type HealthCheckLogSinkType `json:"type"`

	// File writes to a file.
	// +optional
	File *HealthCheckLogFile `json:"file,omitempty"`
}

// HealthCheckLogSinkType tells sinks apart.
//
// +kubebuilder:validation:Enum=File
type HealthCheckLogSinkType string

// HealthCheckLogSinkTypeFile is a file.
const HealthCheckLogSinkTypeFile HealthCheckLogSinkType = "File"

// HealthCheckLogFile writes to a file.
type HealthCheckLogFile struct {
	// Path is the path of the file in the container.
	// +required
	// +kubebuilder:validation:MinLength=1
	Path string `json:"path"`
}
