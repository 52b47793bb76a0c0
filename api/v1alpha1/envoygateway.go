package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// EnvoyGateway is the controller's configuration file. It is not an object of
// the API server, and its fields stand at the top of the file.
//
// +kubebuilder:object:root=true
type EnvoyGateway struct {
	metav1.TypeMeta  `json:",inline"`
	EnvoyGatewaySpec `json:",inline"`
}

// EnvoyGatewaySpec is what the controller's configuration file holds.
type EnvoyGatewaySpec struct {
	// Gateway says which Gateways the controller is in charge of.
	// +required
	Gateway *Gateway `json:"gateway,omitempty"`

	// Provider is where the controller takes objects from and runs proxies.
	// +required
	Provider *EnvoyGatewayProvider `json:"provider,omitempty"`

	// Logging sets the controller's own log.
	Logging *EnvoyGatewayLogging `json:"logging,omitempty"`

	// Admin sets the controller's admin server.
	Admin *EnvoyGatewayAdmin `json:"admin,omitempty"`

	// Telemetry sets what the controller tells about itself.
	Telemetry *EnvoyGatewayTelemetry `json:"telemetry,omitempty"`

	// XDSServer sets the server that proxies get their configuration from.
	XDSServer *XDSServer `json:"xdsServer,omitempty"`

	// RateLimit sets the service for global rate limits.
	RateLimit *RateLimit `json:"rateLimit,omitempty"`

	// ExtensionManager registers an extension server. It excludes
	// extensionManagers.
	ExtensionManager *ExtensionManager `json:"extensionManager,omitempty"`

	// ExtensionManagers register extension servers, called in this order.
	ExtensionManagers []ExtensionManager `json:"extensionManagers,omitempty"`

	// ExtensionAPIs turns parts of the extension API on.
	ExtensionAPIs *ExtensionAPISettings `json:"extensionApis,omitempty"`

	// GatewayAPI turns experimental kinds of Gateway API on.
	GatewayAPI *GatewayAPISettings `json:"gatewayAPI,omitempty"`

	// RuntimeFlags turns features of the controller on and off.
	RuntimeFlags *RuntimeFlags `json:"runtimeFlags,omitempty"`

	// EnvoyProxy is what EnvoyProxy objects default to.
	EnvoyProxy *EnvoyProxySpec `json:"envoyProxy,omitempty"`
}

// Gateway says which Gateways the controller is in charge of.
type Gateway struct {
	// ControllerName is what GatewayClasses name the controller by. Default:
	// gateway.envoyproxy.io/gatewayclass-controller.
	ControllerName string `json:"controllerName,omitempty"`
}

// GatewayControllerName is the default name of the controller.
const GatewayControllerName = "gateway.envoyproxy.io/gatewayclass-controller"

// EnvoyGatewayLogging sets the controller's own log.
type EnvoyGatewayLogging struct {
	// Level maps components to the level from which they log. Default: info.
	Level map[EnvoyGatewayLogComponent]LogLevel `json:"level,omitempty"`

	// Encoder is the form of the lines, Text (the default) or JSON.
	Encoder LogEncoder `json:"encoder,omitempty"`
}

// EnvoyGatewayLogComponent is a part of the controller that logs.
//
// +kubebuilder:validation:Enum=default;provider;gateway-api;xds-translator;xds-server;xds;infrastructure;global-ratelimit
type EnvoyGatewayLogComponent string

const (
	// LogComponentDefault stands for all components that are not named.
	LogComponentDefault EnvoyGatewayLogComponent = "default"
	// LogComponentProvider reads objects and writes their status.
	LogComponentProvider EnvoyGatewayLogComponent = "provider"
	// LogComponentGatewayAPI translates Gateway API.
	LogComponentGatewayAPI EnvoyGatewayLogComponent = "gateway-api"
	// LogComponentXDSTranslator makes Envoy's configuration.
	LogComponentXDSTranslator EnvoyGatewayLogComponent = "xds-translator"
	// LogComponentXDSServer serves proxies.
	LogComponentXDSServer EnvoyGatewayLogComponent = "xds-server"
	// LogComponentXDS is the runner of the xDS parts.
	LogComponentXDS EnvoyGatewayLogComponent = "xds"
	// LogComponentInfrastructure runs proxies.
	LogComponentInfrastructure EnvoyGatewayLogComponent = "infrastructure"
	// LogComponentGlobalRateLimit configures the rate limit service.
	LogComponentGlobalRateLimit EnvoyGatewayLogComponent = "global-ratelimit"
)

// LogLevel is a level of the controller's log.
//
// +kubebuilder:validation:Enum=debug;info;warn;error
type LogLevel string

const (
	// LogLevelDebug logs the most.
	LogLevelDebug LogLevel = "debug"
	// LogLevelInfo logs what happens.
	LogLevelInfo LogLevel = "info"
	// LogLevelWarn logs what may be wrong.
	LogLevelWarn LogLevel = "warn"
	// LogLevelError logs what failed.
	LogLevelError LogLevel = "error"
)

// LogEncoder is the form of log lines.
//
// +kubebuilder:validation:Enum=Text;JSON
type LogEncoder string

const (
	// LogEncoderText is text for people.
	LogEncoderText LogEncoder = "Text"
	// LogEncoderJSON is a JSON object a line.
	LogEncoderJSON LogEncoder = "JSON"
)

// EnvoyGatewayAdmin sets the controller's admin server.
type EnvoyGatewayAdmin struct {
	// Address is where the server listens.
	Address *EnvoyGatewayAdminAddress `json:"address,omitempty"`

	// EnableDumpConfig logs the configuration that is made. Default: false.
	EnableDumpConfig bool `json:"enableDumpConfig,omitempty"`

	// EnablePprof serves Go's profiles under /debug/pprof. Default: false.
	EnablePprof bool `json:"enablePprof,omitempty"`
}

// EnvoyGatewayAdminAddress is where the admin server listens.
type EnvoyGatewayAdminAddress struct {
	// Port is a TCP port. Default: 19000.
	Port int `json:"port,omitempty"`

	// Host is an address of this machine. Default: 127.0.0.1.
	Host string `json:"host,omitempty"`
}

// EnvoyGatewayTelemetry sets what the controller tells about itself.
type EnvoyGatewayTelemetry struct {
	// Metrics sets its metrics.
	Metrics *EnvoyGatewayMetrics `json:"metrics,omitempty"`

	// Traces sends its spans to a collector.
	Traces *EnvoyGatewayTraces `json:"traces,omitempty"`
}

// EnvoyGatewayMetrics sets the controller's metrics.
type EnvoyGatewayMetrics struct {
	// Sinks are collectors that metrics are sent to.
	Sinks []EnvoyGatewayMetricSink `json:"sinks,omitempty"`

	// Prometheus sets the endpoint /metrics on port 19001.
	Prometheus *EnvoyGatewayPrometheusProvider `json:"prometheus,omitempty"`
}

// EnvoyGatewayPrometheusProvider sets the endpoint /metrics.
type EnvoyGatewayPrometheusProvider struct {
	// Disable turns the endpoint off. Default: false.
	Disable bool `json:"disable,omitempty"`
}

// EnvoyGatewayMetricSink is a collector.
type EnvoyGatewayMetricSink struct {
	// Type is OpenTelemetry.
	// +required
	Type MetricSinkType `json:"type"`

	// OpenTelemetry sends by OTLP.
	OpenTelemetry *EnvoyGatewayOpenTelemetrySink `json:"openTelemetry,omitempty"`
}

// EnvoyGatewayOpenTelemetrySink sends by OTLP.
type EnvoyGatewayOpenTelemetrySink struct {
	// Host is the collector's host.
	// +required
	Host string `json:"host"`

	// Protocol is grpc or http.
	// +required
	Protocol OTLPProtocol `json:"protocol"`

	// Port is the collector's port. Default: 4317.
	Port int32 `json:"port,omitempty"`

	// ExportInterval is the time between reports. Default: 60s.
	ExportInterval *gwapiv1.Duration `json:"exportInterval,omitempty"`

	// ExportTimeout bounds one report. Default: 30s.
	ExportTimeout *gwapiv1.Duration `json:"exportTimeout,omitempty"`
}

// OTLPProtocol is a transport of OTLP.
//
// +kubebuilder:validation:Enum=grpc;http
type OTLPProtocol string

const (
	// OTLPProtocolGRPC is OTLP over gRPC.
	OTLPProtocolGRPC OTLPProtocol = "grpc"
	// OTLPProtocolHTTP is OTLP over HTTP.
	OTLPProtocolHTTP OTLPProtocol = "http"
)

// EnvoyGatewayTraces sends spans to a collector.
type EnvoyGatewayTraces struct {
	// Sink is the collector.
	Sink *EnvoyGatewayMetricSink `json:"sink,omitempty"`

	// SamplingRate is the part of operations that are traced.
	SamplingRate *Fraction `json:"samplingRate,omitempty"`
}

// XDSServer sets the server that proxies get their configuration from.
type XDSServer struct {
	// MaxConnectionAge closes connections of this age, so that proxies spread over
	// the replicas. Default: one of 10h, 11h and 12h, at random.
	MaxConnectionAge *gwapiv1.Duration `json:"maxConnectionAge,omitempty"`

	// MaxConnectionAgeGrace is the time that a connection has to end by itself.
	// Default: 2m.
	MaxConnectionAgeGrace *gwapiv1.Duration `json:"maxConnectionAgeGrace,omitempty"`

	// MaxReceiveMessageSize bounds what a proxy may send at once, in bytes.
	// Default: 32Mi.
	MaxReceiveMessageSize *resource.Quantity `json:"maxReceiveMessageSize,omitempty"`
}

// ExtensionAPISettings turns parts of the extension API on.
type ExtensionAPISettings struct {
	// EnableEnvoyPatchPolicy allows EnvoyPatchPolicy. Default: false.
	EnableEnvoyPatchPolicy bool `json:"enableEnvoyPatchPolicy,omitempty"`

	// EnableBackend allows Backend. Default: false.
	EnableBackend bool `json:"enableBackend,omitempty"`

	// EnableLua allows Lua in EnvoyExtensionPolicy. Default: false.
	EnableLua bool `json:"enableLua,omitempty"`

	// DisableLua is deprecated; use enableLua.
	DisableLua *bool `json:"disableLua,omitempty"`

	// EnableSDSSecretRef allows Secrets of the type gateway.envoyproxy.io/sds.
	// Default: false.
	EnableSDSSecretRef bool `json:"enableSDSSecretRef,omitempty"`
}

// GatewayAPISettings turns experimental kinds of Gateway API on.
type GatewayAPISettings struct {
	// Enabled are the kinds to turn on.
	Enabled []GatewayAPIKind `json:"enabled,omitempty"`
}

// GatewayAPIKind is an experimental kind of Gateway API.
//
// +kubebuilder:validation:Enum=XBackendTrafficPolicy
type GatewayAPIKind string

// RuntimeFlags turns features on and off.
type RuntimeFlags struct {
	// Enabled are the features to turn on.
	Enabled []RuntimeFlag `json:"enabled,omitempty"`

	// Disabled are the features to turn off; it wins over enabled.
	Disabled []RuntimeFlag `json:"disabled,omitempty"`
}

// RuntimeFlag is a feature of the controller.
//
// +kubebuilder:validation:Enum=XDSNameSchemeV2;EndpointSliceIndex;PerResourceSystemCASecret
type RuntimeFlag string

const (
	// XDSNameSchemeV2 gives Envoy's resources the names of the second scheme.
	// Default: off.
	XDSNameSchemeV2 RuntimeFlag = "XDSNameSchemeV2"
	// EndpointSliceIndex looks EndpointSlices up by their Service. Default: on.
	EndpointSliceIndex RuntimeFlag = "EndpointSliceIndex"
	// PerResourceSystemCASecret gives each user of the system's CAs a secret of
	// its own. Default: off.
	PerResourceSystemCASecret RuntimeFlag = "PerResourceSystemCASecret"
)
