package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// RateLimit sets the service for global rate limits.
type RateLimit struct {
	// Backend is where the service keeps its counters.
	// +required
	Backend RateLimitDatabaseBackend `json:"backend"`

	// Timeout bounds a proxy's question to the service. Default: Envoy's, 20ms.
	Timeout *gwapiv1.Duration `json:"timeout,omitempty"`

	// FailClosed refuses requests when the service does not answer. Default:
	// false.
	FailClosed bool `json:"failClosed,omitempty"`

	// Telemetry sets what the service tells about itself.
	Telemetry *RateLimitTelemetry `json:"telemetry,omitempty"`
}

// RateLimitDatabaseBackend is where the service keeps its counters.
//
// +union
type RateLimitDatabaseBackend struct {
	// Type is Redis.
	// +unionDiscriminator
	// +required
	Type RateLimitDatabaseBackendType `json:"type"`

	// Redis holds settings for type Redis.
	Redis *RateLimitRedisSettings `json:"redis,omitempty"`
}

// RateLimitDatabaseBackendType is a kind of database.
//
// +kubebuilder:validation:Enum=Redis
type RateLimitDatabaseBackendType string

// RedisBackendType is Redis.
const RedisBackendType RateLimitDatabaseBackendType = "Redis"

// RateLimitRedisSettings say how to reach Redis.
type RateLimitRedisSettings struct {
	// URL is the address, or several with commas. Exactly one of url and urlRef is
	// set.
	URL string `json:"url,omitempty"`

	// URLRef takes the address from a Secret.
	URLRef *RedisURLRef `json:"urlRef,omitempty"`

	// TLS encrypts the connection.
	TLS *RedisTLSSettings `json:"tls,omitempty"`
}

// RedisURLRef takes an address from a Secret.
type RedisURLRef struct {
	// SecretKeyRef is the Secret and its key. It cannot be optional.
	// +required
	SecretKeyRef corev1.SecretKeySelector `json:"secretKeyRef"`
}

// RedisTLSSettings encrypts the connection to Redis.
type RedisTLSSettings struct {
	// CertificateRef names the Secret with the client certificate.
	CertificateRef *gwapiv1.SecretObjectReference `json:"certificateRef,omitempty"`
}

// RateLimitTelemetry sets what the rate limit service tells about itself.
type RateLimitTelemetry struct {
	// Metrics sets its metrics.
	Metrics *RateLimitMetrics `json:"metrics,omitempty"`

	// Tracing sends its spans to a collector.
	Tracing *RateLimitTracing `json:"tracing,omitempty"`
}

// RateLimitMetrics sets the metrics of the rate limit service.
type RateLimitMetrics struct {
	// Prometheus sets the endpoint for Prometheus.
	Prometheus *RateLimitMetricsPrometheusProvider `json:"prometheus,omitempty"`
}

// RateLimitMetricsPrometheusProvider sets the endpoint for Prometheus.
type RateLimitMetricsPrometheusProvider struct {
	// Disable turns the endpoint off. Default: false.
	Disable bool `json:"disable,omitempty"`
}

// RateLimitTracing sends spans to a collector.
type RateLimitTracing struct {
	// SamplingRate is the percentage of calls that are traced. Default: 100.
	SamplingRate *int32 `json:"samplingRate,omitempty"`

	// Provider is the collector.
	Provider *RateLimitTracingProvider `json:"provider,omitempty"`
}

// RateLimitTracingProvider is a collector of spans.
type RateLimitTracingProvider struct {
	// Type is OpenTelemetry.
	Type RateLimitTracingProviderType `json:"type,omitempty"`

	// URL is the collector's address.
	// +required
	URL string `json:"url"`
}

// RateLimitTracingProviderType is a kind of collector.
//
// +kubebuilder:validation:Enum=OpenTelemetry
type RateLimitTracingProviderType string

// ExtensionManager registers an extension server.
type ExtensionManager struct {
	// Name tells extension servers apart. It is required and unique among
	// extensionManagers.
	Name string `json:"name,omitempty"`

	// Resources are kinds that HTTPRoute filters may refer to.
	Resources []GroupVersionKind `json:"resources,omitempty"`

	// PolicyResources are kinds of policies.
	PolicyResources []GroupVersionKind `json:"policyResources,omitempty"`

	// BackendResources are kinds of backends.
	BackendResources []GroupVersionKind `json:"backendResources,omitempty"`

	// Hooks are the points at which the server is called.
	// +required
	Hooks *ExtensionHooks `json:"hooks,omitempty"`

	// Service is the server.
	// +required
	Service *ExtensionService `json:"service,omitempty"`

	// FailOpen publishes the configuration unchanged when the server fails.
	// Default: false, the proxies keep the one they have.
	FailOpen bool `json:"failOpen,omitempty"`

	// MaxMessageSize bounds messages, in bytes. Default: 4M.
	MaxMessageSize *resource.Quantity `json:"maxMessageSize,omitempty"`
}

// GroupVersionKind is a kind of the API server.
type GroupVersionKind struct {
	// Group is the API group.
	Group string `json:"group"`
	// Version is the version of the group.
	Version string `json:"version"`
	// Kind is the kind.
	Kind string `json:"kind"`
}

// ExtensionHooks are the points at which an extension server is called.
type ExtensionHooks struct {
	// XDSTranslator are points in making Envoy's configuration.
	XDSTranslator *XDSTranslatorHooks `json:"xdsTranslator,omitempty"`
}

// XDSTranslatorHooks are points in making Envoy's configuration.
type XDSTranslatorHooks struct {
	// Pre are resources to call the server before.
	Pre []XDSTranslatorHook `json:"pre,omitempty"`

	// Post are resources to call the server after.
	Post []XDSTranslatorHook `json:"post,omitempty"`

	// Translation says what the call after the whole translation gets.
	Translation *TranslationConfig `json:"translation,omitempty"`
}

// XDSTranslatorHook is a resource that an extension server can change.
//
// +kubebuilder:validation:Enum=VirtualHost;Route;HTTPListener;Translation;Cluster;Endpoints
type XDSTranslatorHook string

// TranslationConfig says what the call after the whole translation gets.
type TranslationConfig struct {
	// Listener adds the listeners. Default: false.
	Listener *IncludeAll `json:"listener,omitempty"`
	// Route adds the routes. Default: false.
	Route *IncludeAll `json:"route,omitempty"`
	// Cluster adds the clusters. Default: true.
	Cluster *IncludeAll `json:"cluster,omitempty"`
	// Secret adds the secrets. Default: true.
	Secret *IncludeAll `json:"secret,omitempty"`
}

// IncludeAll says whether a call gets all resources of a type.
type IncludeAll struct {
	// IncludeAll adds all resources.
	IncludeAll *bool `json:"includeAll,omitempty"`
}

// ExtensionService is a gRPC server of an extension. Exactly one address is set.
type ExtensionService struct {
	// Hostname is the name to check the server's certificate by. Default: the
	// host of the address.
	Hostname *string `json:"hostname,omitempty"`

	// FQDN is a name and a port.
	FQDN *FQDNEndpoint `json:"fqdn,omitempty"`

	// IP is an address and a port.
	IP *IPEndpoint `json:"ip,omitempty"`

	// Unix is a socket.
	Unix *UnixSocket `json:"unix,omitempty"`

	// Zone is the zone of the server.
	Zone *string `json:"zone,omitempty"`

	// Host is deprecated; use fqdn or ip.
	Host string `json:"host,omitempty"`

	// Port is deprecated; use fqdn or ip. Default: 80.
	Port int32 `json:"port,omitempty"`

	// TLS encrypts the connection.
	TLS *ExtensionTLS `json:"tls,omitempty"`

	// Retry sends failed calls again.
	Retry *ExtensionServiceRetry `json:"retry,omitempty"`
}

// FQDNEndpoint is a name and a port.
type FQDNEndpoint struct {
	// Hostname is a name of DNS.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	Hostname string `json:"hostname"`

	// Port is a TCP port.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`
}

// IPEndpoint is an address and a port.
type IPEndpoint struct {
	// Address is of IPv4 or IPv6.
	// +required
	Address string `json:"address"`

	// Port is a TCP port.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`
}

// UnixSocket is a socket of this machine.
type UnixSocket struct {
	// Path is the path of the socket.
	// +required
	Path string `json:"path"`
}

// ExtensionTLS encrypts the connection to an extension server.
type ExtensionTLS struct {
	// CertificateRef names the Secret whose key tls.crt holds the CA.
	// +required
	CertificateRef gwapiv1.SecretObjectReference `json:"certificateRef"`

	// ClientCertificateRef names the Secret with the client certificate.
	ClientCertificateRef *gwapiv1.SecretObjectReference `json:"clientCertificateRef,omitempty"`
}

// ExtensionServiceRetry sends failed calls again.
type ExtensionServiceRetry struct {
	// MaxAttempts is the number of calls. Default: 4.
	MaxAttempts *int `json:"maxAttempts,omitempty"`

	// InitialBackoff is the first pause. Default: 100ms.
	InitialBackoff *gwapiv1.Duration `json:"initialBackoff,omitempty"`

	// MaxBackoff is the longest pause. Default: 1s.
	MaxBackoff *gwapiv1.Duration `json:"maxBackoff,omitempty"`

	// BackoffMultiplier is what a pause grows by. Default: 2.
	BackoffMultiplier *Fraction `json:"backoffMultiplier,omitempty"`

	// RetryableStatusCodes are codes of gRPC, such as UNAVAILABLE (the default).
	RetryableStatusCodes []string `json:"RetryableStatusCodes,omitempty"`
}
