package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// EnvoyProxy says how the proxies of a Gateway, or of all Gateways of a
// GatewayClass, are to run. It takes effect where a GatewayClass names it in
// spec.parametersRef, or a Gateway in spec.infrastructure.parametersRef.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:categories=envoy-gateway,shortName=eproxy
// +kubebuilder:subresource:status
type EnvoyProxy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is how the proxies are to run.
	// +optional
	Spec EnvoyProxySpec `json:"spec,omitempty"`

	// Status is what the controller makes of the spec, for each object that
	// refers to it.
	// +optional
	Status EnvoyProxyStatus `json:"status,omitzero"`
}

// EnvoyProxyList is a list of EnvoyProxy objects.
//
// +kubebuilder:object:root=true
type EnvoyProxyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []EnvoyProxy `json:"items"`
}

// EnvoyProxyStatus holds the controller's verdict on an EnvoyProxy.
type EnvoyProxyStatus struct {
	// Ancestors has one entry for each GatewayClass or Gateway that refers to the
	// object, with the condition Accepted.
	// +optional
	Ancestors []EnvoyProxyAncestorStatus `json:"ancestors,omitempty"`
}

// EnvoyProxyAncestorStatus is the verdict for one object that refers to an
// EnvoyProxy.
type EnvoyProxyAncestorStatus struct {
	// AncestorRef is the GatewayClass or Gateway that refers to the EnvoyProxy.
	// +required
	AncestorRef gwapiv1.ParentReference `json:"ancestorRef"`

	// ControllerName is the controller that wrote the entry. Envoy Gateway leaves
	// it out.
	// +optional
	ControllerName gwapiv1.GatewayController `json:"controllerName,omitempty"`

	// Conditions hold the condition Accepted.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// EnvoyProxySpec says how the proxies of a Gateway are to run.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.mergeBackends) && has(self.mergeGateways) && self.mergeGateways)",message="mergeBackends cannot be used together with mergeGateways"
// +kubebuilder:validation:XValidation:rule="!(has(self.lua) && has(self.luaValidation))",message="luaValidation cannot be used together with lua; use lua.validationType"
type EnvoyProxySpec struct {
	// MergeType says how this object joins the less specific ones: an object that
	// a Gateway names comes before the one that its GatewayClass names, and this
	// before the defaults in the controller's configuration. Absent or Replace:
	// this object alone holds and the less specific ones are ignored.
	// StrategicMerge and JSONMerge: its fields are laid over theirs.
	// +optional
	MergeType *MergeType `json:"mergeType,omitempty"`

	// Provider is where the proxies run, and how.
	// +optional
	Provider *EnvoyProxyProvider `json:"provider,omitempty"`

	// Logging sets the verbosity of Envoy's own log, on standard error.
	// +optional
	// +kubebuilder:default={level: {default: warn}}
	Logging ProxyLogging `json:"logging,omitzero"`

	// Telemetry sets access logs, tracing and metrics.
	// +optional
	Telemetry *ProxyTelemetry `json:"telemetry,omitempty"`

	// Bootstrap changes the configuration that Envoy starts with. The connection
	// to the controller (dynamic_resources and the cluster xds_cluster) has to
	// stay as it is.
	// +optional
	Bootstrap *ProxyBootstrap `json:"bootstrap,omitempty"`

	// Concurrency is the number of Envoy's worker threads. Default: what Envoy
	// finds by the CPUs it may use.
	// +optional
	Concurrency *int32 `json:"concurrency,omitempty"`

	// RoutingType says whether requests go to the addresses of the endpoints
	// (Endpoint, the default) or to the cluster IP of the Service (Service).
	// +optional
	RoutingType *RoutingType `json:"routingType,omitempty"`

	// ExtraArgs are appended to the command line of Envoy.
	// +optional
	ExtraArgs []string `json:"extraArgs,omitempty"`

	// MergeGateways puts all Gateways of the GatewayClass on one fleet of proxies.
	// It is read from the object that the GatewayClass names, never from that of a
	// Gateway. Listeners of all these Gateways must then differ in port, protocol
	// or hostname.
	// +optional
	MergeGateways *bool `json:"mergeGateways,omitempty"`

	// MergeBackends makes rules that send to the same Service port share one
	// cluster, where nothing in the rule asks for one of its own.
	// +optional
	MergeBackends *MergeBackends `json:"mergeBackends,omitempty"`

	// Shutdown sets how a proxy drains when it is told to end.
	// +optional
	Shutdown *ShutdownConfig `json:"shutdown,omitempty"`

	// FilterOrder moves HTTP filters in the chain. The entries are applied one
	// after the other.
	// +optional
	FilterOrder []FilterPosition `json:"filterOrder,omitempty"`

	// BackendTLS holds TLS settings for connections to all backends.
	// +optional
	BackendTLS *BackendTLSConfig `json:"backendTLS,omitempty"`

	// IPFamily is the family of addresses that proxies and their Service listen
	// on. Default: IPv4.
	// +optional
	IPFamily *IPFamily `json:"ipFamily,omitempty"`

	// PreserveRouteOrder keeps the rules of routes in the order of the manifests,
	// instead of sorting them by the precedence rules of Gateway API.
	// +optional
	PreserveRouteOrder *bool `json:"preserveRouteOrder,omitempty"`

	// LuaValidation is deprecated; use lua.validationType.
	// +optional
	LuaValidation *LuaValidation `json:"luaValidation,omitempty"`

	// Lua sets how Lua scripts of EnvoyExtensionPolicies are checked.
	// +optional
	Lua *LuaSettings `json:"lua,omitempty"`

	// DynamicModules names the shared libraries that EnvoyExtensionPolicies and
	// load balancers may load into Envoy.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	DynamicModules []DynamicModuleEntry `json:"dynamicModules,omitempty"`

	// GeoIP names the databases that tell a client's place by its address.
	// +optional
	GeoIP *GeoIP `json:"geoIP,omitempty"`
}

// MergeType says how an object is laid over another.
//
// +kubebuilder:validation:Enum=Replace;StrategicMerge;JSONMerge
type MergeType string

const (
	// Replace takes the more specific object alone.
	Replace MergeType = "Replace"
	// StrategicMerge merges as kubectl does, lists by their keys.
	StrategicMerge MergeType = "StrategicMerge"
	// JSONMerge merges by RFC 7396: lists are replaced as a whole.
	JSONMerge MergeType = "JSONMerge"
)

// RoutingType says what requests to a Service are sent to.
//
// +kubebuilder:validation:Enum=Endpoint;Service
type RoutingType string

const (
	// EndpointRoutingType sends to the addresses of the Service's endpoints.
	EndpointRoutingType RoutingType = "Endpoint"
	// ServiceRoutingType sends to the cluster IP of the Service.
	ServiceRoutingType RoutingType = "Service"
)

// IPFamily is a family of IP addresses.
//
// +kubebuilder:validation:Enum=IPv4;IPv6;DualStack
type IPFamily string

const (
	// IPv4 is IP version 4 alone.
	IPv4 IPFamily = "IPv4"
	// IPv6 is IP version 6 alone.
	IPv6 IPFamily = "IPv6"
	// DualStack is both.
	DualStack IPFamily = "DualStack"
)

// EnvoyProxyProvider is where the proxies run.
//
// +union
// +kubebuilder:validation:XValidation:rule="self.type == 'Kubernetes' || !has(self.kubernetes)",message="kubernetes is only for type Kubernetes"
// +kubebuilder:validation:XValidation:rule="self.type == 'Host' || !has(self.host)",message="host is only for type Host"
type EnvoyProxyProvider struct {
	// Type is Kubernetes or Host (processes on the controller's own machine).
	// +unionDiscriminator
	// +required
	Type EnvoyProxyProviderType `json:"type"`

	// Kubernetes sets the objects that run the proxies in a cluster.
	// +optional
	Kubernetes *EnvoyProxyKubernetesProvider `json:"kubernetes,omitempty"`

	// Host sets how proxies run as processes.
	// +optional
	Host *EnvoyProxyHostProvider `json:"host,omitempty"`
}

// EnvoyProxyProviderType is a place where proxies can run.
//
// +kubebuilder:validation:Enum=Kubernetes;Host
type EnvoyProxyProviderType string

const (
	// EnvoyProxyProviderKubernetes runs proxies as pods.
	EnvoyProxyProviderKubernetes EnvoyProxyProviderType = "Kubernetes"
	// EnvoyProxyProviderHost runs proxies as processes.
	EnvoyProxyProviderHost EnvoyProxyProviderType = "Host"
)

// EnvoyProxyHostProvider sets how proxies run as processes.
type EnvoyProxyHostProvider struct {
	// EnvoyVersion is the version of Envoy to run. Default: the one that the
	// controller is made for.
	// +optional
	EnvoyVersion *string `json:"envoyVersion,omitempty"`
}

// ProxyLogging sets the verbosity of Envoy's own log.
type ProxyLogging struct {
	// Level maps components of Envoy (such as upstream, http, connection, admin;
	// default for all others) to the level from which they log.
	// +optional
	// +kubebuilder:default={default: warn}
	Level map[ProxyLogComponent]ProxyLogLevel `json:"level,omitempty"`
}

// ProxyLogComponent is a logger of Envoy, or "default" for those not named.
type ProxyLogComponent string

// ProxyLogComponentDefault stands for all components that are not named.
const ProxyLogComponentDefault ProxyLogComponent = "default"

// ProxyLogLevel is a log level of Envoy.
//
// +kubebuilder:validation:Enum=trace;debug;info;warn;error;critical;off
type ProxyLogLevel string

// MergeBackends says which Services may share a cluster among rules.
type MergeBackends struct {
	// Selector picks Services by their labels. Absent: all.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}
