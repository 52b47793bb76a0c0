package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// ClusterSettings set how a proxy talks to backends. They are those of a
// BackendTrafficPolicy that concern the backends and not the route.
//
// +kubebuilder:validation:XValidation:rule="!has(self.connection) || !has(self.connection.preconnect) || !has(self.connection.preconnect.predictivePercent) || (has(self.loadBalancer) && self.loadBalancer.type in ['Random', 'RoundRobin'])",message="predictivePercent needs a load balancer of type Random or RoundRobin"
type ClusterSettings struct {
	// LoadBalancer says how endpoints are chosen. Default: LeastRequest.
	// +optional
	LoadBalancer *LoadBalancer `json:"loadBalancer,omitempty"`

	// Retry sends failed requests again.
	// +optional
	Retry *Retry `json:"retry,omitempty"`

	// ProxyProtocol puts the PROXY protocol before each connection.
	// +optional
	ProxyProtocol *ProxyProtocol `json:"proxyProtocol,omitempty"`

	// TCPKeepalive sets keepalive of TCP. An empty object turns it on with the
	// system's values.
	// +optional
	TCPKeepalive *TCPKeepalive `json:"tcpKeepalive,omitempty"`

	// HealthCheck finds endpoints that do not work.
	// +optional
	HealthCheck *HealthCheck `json:"healthCheck,omitempty"`

	// CircuitBreaker bounds what is open to the backends at once.
	// +optional
	CircuitBreaker *CircuitBreaker `json:"circuitBreaker,omitempty"`

	// Timeout bounds how long things may take.
	// +optional
	Timeout *Timeout `json:"timeout,omitempty"`

	// Connection sets buffers and preconnection.
	// +optional
	Connection *BackendConnection `json:"connection,omitempty"`

	// DNS sets how hostnames of backends are resolved.
	// +optional
	DNS *DNS `json:"dns,omitempty"`

	// HTTP2 holds settings of HTTP/2.
	// +optional
	HTTP2 *HTTP2Settings `json:"http2,omitempty"`
}

// ProxyProtocol puts the PROXY protocol before each connection.
type ProxyProtocol struct {
	// Version is V1 (text) or V2 (binary).
	// +required
	Version ProxyProtocolVersion `json:"version"`
}

// ProxyProtocolVersion is a version of the PROXY protocol.
//
// +kubebuilder:validation:Enum=V1;V2
type ProxyProtocolVersion string

const (
	// ProxyProtocolVersionV1 is the textual form.
	ProxyProtocolVersionV1 ProxyProtocolVersion = "V1"
	// ProxyProtocolVersionV2 is the binary form.
	ProxyProtocolVersionV2 ProxyProtocolVersion = "V2"
)

// TCPKeepalive sets keepalive of TCP. What is absent is the system's.
type TCPKeepalive struct {
	// Probes is the number of unanswered probes before a connection is dead.
	// +optional
	Probes *int32 `json:"probes,omitempty"`

	// IdleTime is how long a connection is idle before the first probe.
	// +optional
	IdleTime *gwapiv1.Duration `json:"idleTime,omitempty"`

	// Interval is the time between probes.
	// +optional
	Interval *gwapiv1.Duration `json:"interval,omitempty"`
}

// CircuitBreaker bounds what is open to the backends at once. What is above
// fails with 503.
type CircuitBreaker struct {
	// MaxConnections bounds connections.
	// +optional
	// +kubebuilder:default=1024
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967295
	MaxConnections *int64 `json:"maxConnections,omitempty"`

	// MaxPendingRequests bounds requests that wait for a connection.
	// +optional
	// +kubebuilder:default=1024
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967295
	MaxPendingRequests *int64 `json:"maxPendingRequests,omitempty"`

	// MaxParallelRequests bounds requests under way.
	// +optional
	// +kubebuilder:default=1024
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967295
	MaxParallelRequests *int64 `json:"maxParallelRequests,omitempty"`

	// MaxParallelRetries bounds retries under way. A retryBudget takes its place.
	// +optional
	// +kubebuilder:default=1024
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967295
	MaxParallelRetries *int64 `json:"maxParallelRetries,omitempty"`

	// MaxRequestsPerConnection closes a connection after so many requests.
	// Default: no bound.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967295
	MaxRequestsPerConnection *int64 `json:"maxRequestsPerConnection,omitempty"`

	// PerEndpoint bounds each endpoint on its own.
	// +optional
	PerEndpoint *PerEndpointCircuitBreakers `json:"perEndpoint,omitempty"`

	// RetryBudget bounds retries by the number of requests under way.
	// +optional
	RetryBudget *RetryBudget `json:"retryBudget,omitempty"`
}

// PerEndpointCircuitBreakers bound each endpoint on its own.
type PerEndpointCircuitBreakers struct {
	// MaxConnections bounds connections to one endpoint.
	// +optional
	// +kubebuilder:default=1024
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967295
	MaxConnections *int64 `json:"maxConnections,omitempty"`
}

// RetryBudget bounds retries by the number of requests under way.
type RetryBudget struct {
	// Percent is the part of the requests under way that may be retries.
	// +required
	Percent Fraction `json:"percent"`

	// MinRetryConcurrency is the number of retries that may be under way in any
	// case. Default: 3.
	// +optional
	MinRetryConcurrency *int32 `json:"minRetryConcurrency,omitempty"`
}

// Retry sends failed requests again.
type Retry struct {
	// NumRetries is how often a request is sent again at most.
	// +optional
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=0
	NumRetries *int32 `json:"numRetries,omitempty"`

	// NumAttemptsPerPriority is the number of attempts before endpoints of the
	// next priority are tried.
	// +optional
	NumAttemptsPerPriority *int32 `json:"numAttemptsPerPriority,omitempty"`

	// RetryOn says which failures are tried again. Default: connect-failure,
	// refused-stream, unavailable, cancelled and the status code 503.
	// +optional
	RetryOn *RetryOn `json:"retryOn,omitempty"`

	// PerRetry sets each attempt.
	// +optional
	PerRetry *PerRetryPolicy `json:"perRetry,omitempty"`
}

// RetryOn says which failures are tried again.
type RetryOn struct {
	// Triggers are conditions. When set, httpStatusCodes count only together with
	// the trigger retriable-status-codes.
	// +optional
	Triggers []TriggerEnum `json:"triggers,omitempty"`

	// HTTPStatusCodes are status codes of responses.
	// +optional
	HTTPStatusCodes []HTTPStatus `json:"httpStatusCodes,omitempty"`
}

// TriggerEnum is a condition for a retry.
//
// +kubebuilder:validation:Enum="5xx";"gateway-error";"reset";"reset-before-request";"connect-failure";"retriable-4xx";"refused-stream";"retriable-status-codes";"cancelled";"deadline-exceeded";"internal";"resource-exhausted";"unavailable"
type TriggerEnum string

// HTTPStatus is a status code of HTTP.
//
// +kubebuilder:validation:Minimum=100
// +kubebuilder:validation:Maximum=599
type HTTPStatus int

// PerRetryPolicy sets each attempt.
type PerRetryPolicy struct {
	// Timeout bounds each attempt. Default: the timeout of the request.
	// +optional
	Timeout *gwapiv1.Duration `json:"timeout,omitempty"`

	// BackOff is the pause between attempts.
	// +optional
	BackOff *BackOffPolicy `json:"backOff,omitempty"`
}

// BackOffPolicy is a pause that doubles, with jitter.
type BackOffPolicy struct {
	// BaseInterval is the first pause. Default: 25ms.
	// +optional
	BaseInterval *gwapiv1.Duration `json:"baseInterval,omitempty"`

	// MaxInterval is the longest pause. Default: ten times baseInterval.
	// +optional
	MaxInterval *gwapiv1.Duration `json:"maxInterval,omitempty"`
}

// Timeout bounds how long things may take.
type Timeout struct {
	// TCP bounds connecting.
	// +optional
	TCP *TCPTimeout `json:"tcp,omitempty"`

	// HTTP bounds requests and connections of HTTP.
	// +optional
	HTTP *HTTPTimeout `json:"http,omitempty"`
}

// TCPTimeout bounds connecting.
type TCPTimeout struct {
	// ConnectTimeout bounds connecting to a backend. Default: 10s.
	// +optional
	ConnectTimeout *gwapiv1.Duration `json:"connectTimeout,omitempty"`
}

// HTTPTimeout bounds requests and connections of HTTP. 0s means no bound.
type HTTPTimeout struct {
	// ConnectionIdleTimeout closes connections without requests. Default: 1h.
	// +optional
	ConnectionIdleTimeout *gwapiv1.Duration `json:"connectionIdleTimeout,omitempty"`

	// MaxConnectionDuration closes connections of this age. Default: no bound.
	// +optional
	MaxConnectionDuration *gwapiv1.Duration `json:"maxConnectionDuration,omitempty"`

	// RequestTimeout bounds the time to the whole response. Default: 15s.
	// +optional
	RequestTimeout *gwapiv1.Duration `json:"requestTimeout,omitempty"`

	// MaxStreamDuration bounds the life of a request with its response, streaming
	// included. Default: no bound.
	// +optional
	MaxStreamDuration *gwapiv1.Duration `json:"maxStreamDuration,omitempty"`

	// StreamIdleTimeout bounds the time without any data of a request or its
	// response. Default: 5m.
	// +optional
	StreamIdleTimeout *gwapiv1.Duration `json:"streamIdleTimeout,omitempty"`
}

// BackendConnection sets buffers and preconnection.
type BackendConnection struct {
	// BufferLimit is the soft bound of read and write buffers of a connection, in
	// bytes. Default: 32768.
	// +optional
	BufferLimit *resource.Quantity `json:"bufferLimit,omitempty"`

	// SocketBufferLimit is the size of the socket's buffers, in bytes.
	// +optional
	SocketBufferLimit *resource.Quantity `json:"socketBufferLimit,omitempty"`

	// Preconnect opens connections before they are needed.
	// +optional
	Preconnect *PreconnectPolicy `json:"preconnect,omitempty"`
}

// PreconnectPolicy opens connections before they are needed.
type PreconnectPolicy struct {
	// PerEndpointPercent is the number of connections to an endpoint in percent of
	// those needed: 100 is none beyond, 200 doubles. Default: 100.
	// +optional
	// +kubebuilder:validation:Minimum=100
	// +kubebuilder:validation:Maximum=300
	PerEndpointPercent *int32 `json:"perEndpointPercent,omitempty"`

	// PredictivePercent is the same over all endpoints of the cluster, opened to
	// the endpoint that is next in line. Default: 100.
	// +optional
	// +kubebuilder:validation:Minimum=100
	PredictivePercent *int32 `json:"predictivePercent,omitempty"`
}

// DNS sets how hostnames of backends are resolved.
type DNS struct {
	// DNSRefreshRate is the time between resolutions. Default: 30s.
	// +optional
	DNSRefreshRate *gwapiv1.Duration `json:"dnsRefreshRate,omitempty"`

	// RespectDNSTTL takes the time to live in the answer as refresh rate. Default:
	// true.
	// +optional
	RespectDNSTTL *bool `json:"respectDnsTtl,omitempty"`

	// LookupFamily is the family of addresses to look for. Default: IPv4Preferred.
	// +optional
	LookupFamily *DNSLookupFamily `json:"lookupFamily,omitempty"`
}

// DNSLookupFamily is the family of addresses to look for.
//
// +kubebuilder:validation:Enum=IPv4;IPv6;IPv4Preferred;IPv6Preferred;IPv4AndIPv6
type DNSLookupFamily string

const (
	// IPv4DNSLookupFamily looks for IPv4 alone.
	IPv4DNSLookupFamily DNSLookupFamily = "IPv4"
	// IPv6DNSLookupFamily looks for IPv6 alone.
	IPv6DNSLookupFamily DNSLookupFamily = "IPv6"
	// IPv4PreferredDNSLookupFamily takes IPv6 only where there is no IPv4.
	IPv4PreferredDNSLookupFamily DNSLookupFamily = "IPv4Preferred"
	// IPv6PreferredDNSLookupFamily takes IPv4 only where there is no IPv6.
	IPv6PreferredDNSLookupFamily DNSLookupFamily = "IPv6Preferred"
	// IPv4AndIPv6DNSLookupFamily takes both, by Happy Eyeballs.
	IPv4AndIPv6DNSLookupFamily DNSLookupFamily = "IPv4AndIPv6"
)
