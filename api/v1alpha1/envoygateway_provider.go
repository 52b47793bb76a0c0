package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// EnvoyGatewayProvider is where the controller takes objects from and runs
// proxies.
//
// +union
type EnvoyGatewayProvider struct {
	// Type is Kubernetes (the default) or Custom.
	// +unionDiscriminator
	Type ProviderType `json:"type,omitempty"`

	// Kubernetes holds settings for type Kubernetes.
	Kubernetes *EnvoyGatewayKubernetesProvider `json:"kubernetes,omitempty"`

	// Custom holds settings for type Custom.
	Custom *EnvoyGatewayCustomProvider `json:"custom,omitempty"`
}

// ProviderType is a kind of provider.
//
// +kubebuilder:validation:Enum=Kubernetes;Custom
type ProviderType string

const (
	// ProviderTypeKubernetes takes objects from an API server and runs proxies as
	// pods.
	ProviderTypeKubernetes ProviderType = "Kubernetes"
	// ProviderTypeCustom takes objects and runs proxies as the settings say.
	ProviderTypeCustom ProviderType = "Custom"
)

// EnvoyGatewayKubernetesProvider holds settings for type Kubernetes.
type EnvoyGatewayKubernetesProvider struct {
	KubernetesClientSettings `json:",inline"`

	// RateLimitDeployment sets the Deployment of the rate limit service.
	RateLimitDeployment *KubernetesDeploymentSpec `json:"rateLimitDeployment,omitempty"`

	// RateLimitHpa adds a HorizontalPodAutoscaler to the rate limit service.
	RateLimitHpa *KubernetesHorizontalPodAutoscalerSpec `json:"rateLimitHpa,omitempty"`

	// RateLimitPDB adds a PodDisruptionBudget to the rate limit service.
	RateLimitPDB *KubernetesPodDisruptionBudgetSpec `json:"rateLimitPDB,omitempty"`

	// Deploy says which namespace proxies run in.
	Deploy *KubernetesDeployMode `json:"deploy,omitempty"`

	// ShutdownManager sets the container that drains a proxy.
	ShutdownManager *ShutdownManager `json:"shutdownManager,omitempty"`

	// ProxyTopologyInjector sets the webhook that tells proxies their zone.
	ProxyTopologyInjector *EnvoyGatewayTopologyInjector `json:"proxyTopologyInjector,omitempty"`
}

// KubernetesClientSettings say how the controller works with an API server.
type KubernetesClientSettings struct {
	// Watch narrows the namespaces that the controller sees. Default: all.
	Watch *KubernetesWatchMode `json:"watch,omitempty"`

	// LeaderElection sets the election among replicas of the controller.
	LeaderElection *LeaderElection `json:"leaderElection,omitempty"`

	// Client sets the controller's client.
	Client *KubernetesClient `json:"client,omitempty"`

	// CacheSyncPeriod is the time between full passes over the cache. Default: the
	// client library's, 10h.
	CacheSyncPeriod *gwapiv1.Duration `json:"cacheSyncPeriod,omitempty"`
}

// KubernetesDeployMode says which namespace proxies run in.
type KubernetesDeployMode struct {
	// Type is ControllerNamespace (the default) or GatewayNamespace.
	Type *KubernetesDeployModeType `json:"type,omitempty"`
}

// KubernetesDeployModeType says which namespace proxies run in.
//
// +kubebuilder:validation:Enum=ControllerNamespace;GatewayNamespace
type KubernetesDeployModeType string

const (
	// KubernetesDeployModeTypeControllerNamespace is the controller's namespace.
	KubernetesDeployModeTypeControllerNamespace KubernetesDeployModeType = "ControllerNamespace"
	// KubernetesDeployModeTypeGatewayNamespace is the namespace of the Gateway.
	KubernetesDeployModeTypeGatewayNamespace KubernetesDeployModeType = "GatewayNamespace"
)

// ShutdownManager sets the container that drains a proxy.
type ShutdownManager struct {
	// Image is the container's image. Default: the controller's.
	Image *string `json:"image,omitempty"`
}

// EnvoyGatewayTopologyInjector sets the webhook that tells proxies their zone.
type EnvoyGatewayTopologyInjector struct {
	// Disabled turns the webhook off. Default: false.
	Disabled *bool `json:"disabled,omitempty"`
}

// KubernetesWatchMode narrows the namespaces that the controller sees.
//
// +union
type KubernetesWatchMode struct {
	// Type is Namespaces or NamespaceSelector.
	// +unionDiscriminator
	Type KubernetesWatchModeType `json:"type,omitempty"`

	// Namespaces are the names of the namespaces, for type Namespaces.
	Namespaces []string `json:"namespaces,omitempty"`

	// NamespaceSelector picks namespaces by their labels, for type
	// NamespaceSelector.
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
}

// KubernetesWatchModeType is a way to narrow the namespaces.
//
// +kubebuilder:validation:Enum=Namespaces;NamespaceSelector
type KubernetesWatchModeType string

const (
	// KubernetesWatchModeTypeNamespaces goes by names.
	KubernetesWatchModeTypeNamespaces KubernetesWatchModeType = "Namespaces"
	// KubernetesWatchModeTypeNamespaceSelector goes by labels.
	KubernetesWatchModeTypeNamespaceSelector KubernetesWatchModeType = "NamespaceSelector"
)

// LeaderElection sets the election among replicas of the controller.
type LeaderElection struct {
	// LeaseDuration is how long others wait before they take over. Default: 15s.
	LeaseDuration *gwapiv1.Duration `json:"leaseDuration,omitempty"`

	// RenewDeadline is how long the leader tries to renew before it gives up.
	// Default: 10s.
	RenewDeadline *gwapiv1.Duration `json:"renewDeadline,omitempty"`

	// RetryPeriod is the pause between attempts. Default: 2s.
	RetryPeriod *gwapiv1.Duration `json:"retryPeriod,omitempty"`

	// Disable makes the only replica leader without an election. Default: false.
	Disable *bool `json:"disable,omitempty"`
}

// KubernetesClient sets the controller's client.
type KubernetesClient struct {
	// RateLimit bounds the calls to the API server.
	RateLimit *KubernetesClientRateLimit `json:"rateLimit,omitempty"`
}

// KubernetesClientRateLimit bounds the calls to the API server.
type KubernetesClientRateLimit struct {
	// QPS is the number of calls a second. Default: 50.
	QPS *int32 `json:"qps,omitempty"`

	// Burst is the number of calls at once. Default: 100.
	Burst *int32 `json:"burst,omitempty"`
}

// EnvoyGatewayCustomProvider takes objects and runs proxies as it says.
type EnvoyGatewayCustomProvider struct {
	// Resource is where objects come from.
	// +required
	Resource EnvoyGatewayResourceProvider `json:"resource"`

	// Infrastructure is where proxies run. Default: they are run by someone else.
	Infrastructure *EnvoyGatewayInfrastructureProvider `json:"infrastructure,omitempty"`
}

// EnvoyGatewayResourceProvider is where objects come from.
//
// +union
type EnvoyGatewayResourceProvider struct {
	// Type is File or Kubernetes.
	// +unionDiscriminator
	// +required
	Type ResourceProviderType `json:"type"`

	// File reads manifests.
	File *EnvoyGatewayFileResourceProvider `json:"file,omitempty"`

	// Kubernetes reads from an API server.
	Kubernetes *KubernetesClientSettings `json:"kubernetes,omitempty"`
}

// ResourceProviderType is a kind of place that objects come from.
//
// +kubebuilder:validation:Enum=File;Kubernetes
type ResourceProviderType string

const (
	// ResourceProviderTypeFile is manifests.
	ResourceProviderTypeFile ResourceProviderType = "File"
	// ResourceProviderTypeKubernetes is an API server.
	ResourceProviderTypeKubernetes ResourceProviderType = "Kubernetes"
)

// EnvoyGatewayFileResourceProvider reads manifests.
type EnvoyGatewayFileResourceProvider struct {
	// Paths are files or folders.
	// +required
	Paths []string `json:"paths"`
}

// EnvoyGatewayInfrastructureProvider is where proxies run.
//
// +union
type EnvoyGatewayInfrastructureProvider struct {
	// Type is Host or Remote.
	// +unionDiscriminator
	// +required
	Type InfrastructureProviderType `json:"type"`

	// Host runs proxies as processes.
	Host *EnvoyGatewayHostInfrastructureProvider `json:"host,omitempty"`

	// Remote leaves proxies to a service.
	Remote *EnvoyGatewayRemoteInfrastructureProvider `json:"remote,omitempty"`
}

// InfrastructureProviderType is a kind of place that proxies run.
//
// +kubebuilder:validation:Enum=Host;Remote
type InfrastructureProviderType string

const (
	// InfrastructureProviderTypeHost is this machine.
	InfrastructureProviderTypeHost InfrastructureProviderType = "Host"
	// InfrastructureProviderTypeRemote is a service.
	InfrastructureProviderTypeRemote InfrastructureProviderType = "Remote"
)

// EnvoyGatewayHostInfrastructureProvider runs proxies as processes.
type EnvoyGatewayHostInfrastructureProvider struct {
	// ConfigHome is the folder of configuration. Default:
	// ~/.config/envoy-gateway.
	ConfigHome *string `json:"configHome,omitempty"`

	// DataHome is the folder of data, such as the binaries of Envoy. Default:
	// ~/.local/share/envoy-gateway.
	DataHome *string `json:"dataHome,omitempty"`

	// StateHome is the folder of state, such as logs. Default:
	// ~/.local/state/envoy-gateway.
	StateHome *string `json:"stateHome,omitempty"`

	// RuntimeDir is the folder of sockets and the like. Default:
	// /tmp/envoy-gateway-<user ID>.
	RuntimeDir *string `json:"runtimeDir,omitempty"`
}

// EnvoyGatewayRemoteInfrastructureProvider leaves proxies to a service.
type EnvoyGatewayRemoteInfrastructureProvider struct {
	// Service is that service.
	// +required
	Service *ExtensionService `json:"service"`
}
