package v1alpha1

import (
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// EnvoyProxyKubernetesProvider sets the objects that run the proxies in a
// cluster.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.envoyDeployment) && has(self.envoyDaemonSet))",message="only one of envoyDeployment and envoyDaemonSet can be set"
// +kubebuilder:validation:XValidation:rule="!(has(self.envoyHpa) && has(self.envoyDaemonSet))",message="envoyHpa cannot be used with envoyDaemonSet"
type EnvoyProxyKubernetesProvider struct {
	// EnvoyDeployment sets the Deployment of the proxies. Default: a Deployment of
	// one replica.
	// +optional
	EnvoyDeployment *KubernetesDeploymentSpec `json:"envoyDeployment,omitempty"`

	// EnvoyDaemonSet runs the proxies as a DaemonSet, one on each node.
	// +optional
	EnvoyDaemonSet *KubernetesDaemonSetSpec `json:"envoyDaemonSet,omitempty"`

	// EnvoyService sets the Service in front of the proxies.
	// +optional
	EnvoyService *KubernetesServiceSpec `json:"envoyService,omitempty"`

	// EnvoyHpa adds a HorizontalPodAutoscaler, which then owns the number of
	// replicas.
	// +optional
	EnvoyHpa *KubernetesHorizontalPodAutoscalerSpec `json:"envoyHpa,omitempty"`

	// EnvoyPDB adds a PodDisruptionBudget.
	// +optional
	EnvoyPDB *KubernetesPodDisruptionBudgetSpec `json:"envoyPDB,omitempty"`

	// EnvoyServiceAccount sets the ServiceAccount of the proxies.
	// +optional
	EnvoyServiceAccount *KubernetesServiceAccountSpec `json:"envoyServiceAccount,omitempty"`

	// UseListenerPortAsContainerPort makes containers listen on the port of the
	// listener. Otherwise ports below 1024 are shifted by 10000, which needs no
	// privileges. Default: false.
	// +optional
	UseListenerPortAsContainerPort *bool `json:"useListenerPortAsContainerPort,omitempty"`
}

// KubernetesDeploymentSpec sets a Deployment.
type KubernetesDeploymentSpec struct {
	// Patch changes the object, after everything else.
	// +optional
	Patch *KubernetesPatchSpec `json:"patch,omitempty"`

	// Replicas is the number of pods. Default: what Kubernetes takes, 1.
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`

	// Strategy says how pods are replaced by new ones. Default: RollingUpdate.
	// +optional
	Strategy *appsv1.DeploymentStrategy `json:"strategy,omitempty"`

	// Pod sets the pods.
	// +optional
	Pod *KubernetesPodSpec `json:"pod,omitempty"`

	// Container sets the container of Envoy.
	// +optional
	Container *KubernetesContainerSpec `json:"container,omitempty"`

	// InitContainers run before Envoy starts.
	// +optional
	InitContainers []corev1.Container `json:"initContainers,omitempty"`

	// Name is the name of the Deployment. Default: one made of the Gateway's name.
	// +optional
	Name *string `json:"name,omitempty"`
}

// KubernetesDaemonSetSpec sets a DaemonSet.
type KubernetesDaemonSetSpec struct {
	// Patch changes the object, after everything else.
	// +optional
	Patch *KubernetesPatchSpec `json:"patch,omitempty"`

	// Strategy says how pods are replaced by new ones. Default: RollingUpdate.
	// +optional
	Strategy *appsv1.DaemonSetUpdateStrategy `json:"strategy,omitempty"`

	// Pod sets the pods.
	// +optional
	Pod *KubernetesPodSpec `json:"pod,omitempty"`

	// Container sets the container of Envoy.
	// +optional
	Container *KubernetesContainerSpec `json:"container,omitempty"`

	// Name is the name of the DaemonSet. Default: one made of the Gateway's name.
	// +optional
	Name *string `json:"name,omitempty"`
}

// KubernetesPodSpec sets pods.
type KubernetesPodSpec struct {
	// Annotations are added to the pods.
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`

	// Labels are added to the pods.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`

	// SecurityContext is that of the pods.
	// +optional
	SecurityContext *corev1.PodSecurityContext `json:"securityContext,omitempty"`

	// Affinity is that of the pods.
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`

	// Tolerations are those of the pods.
	// +optional
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

	// Volumes are added to the pods; one with the name of a volume that is there
	// anyway takes its place.
	// +optional
	Volumes []corev1.Volume `json:"volumes,omitempty"`

	// ImagePullSecrets are Secrets for the registry of the image, in the pods'
	// namespace.
	// +optional
	ImagePullSecrets []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`

	// NodeSelector restricts the nodes that the pods may run on.
	// +optional
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// TopologySpreadConstraints spread the pods.
	// +optional
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`

	// PriorityClassName is the priority class of the pods.
	// +optional
	PriorityClassName *string `json:"priorityClassName,omitempty"`
}

// KubernetesContainerSpec sets the container of Envoy.
type KubernetesContainerSpec struct {
	// Env is added to the environment; a variable that is there anyway is
	// replaced.
	// +optional
	Env []corev1.EnvVar `json:"env,omitempty"`

	// Resources are the requests and limits. Default: requests of 100m CPU and
	// 512Mi memory, no limits.
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`

	// SecurityContext takes the place of the default one, which drops all
	// privileges.
	// +optional
	SecurityContext *corev1.SecurityContext `json:"securityContext,omitempty"`

	// Image is the image with its tag. Default: the controller's choice.
	// +optional
	Image *string `json:"image,omitempty"`

	// ImageRepository is the image without its tag; the tag is the controller's
	// choice. It wins over image.
	// +optional
	ImageRepository *string `json:"imageRepository,omitempty"`

	// VolumeMounts are added to the container; one with the name of a mount that
	// is there anyway takes its place.
	// +optional
	VolumeMounts []corev1.VolumeMount `json:"volumeMounts,omitempty"`
}

// KubernetesServiceSpec sets a Service.
//
// +kubebuilder:validation:XValidation:rule="!has(self.allocateLoadBalancerNodePorts) || self.type == 'LoadBalancer'",message="allocateLoadBalancerNodePorts is only for type LoadBalancer"
// +kubebuilder:validation:XValidation:rule="!has(self.loadBalancerSourceRanges) || self.type == 'LoadBalancer'",message="loadBalancerSourceRanges is only for type LoadBalancer"
// +kubebuilder:validation:XValidation:rule="!has(self.loadBalancerIP) || self.type == 'LoadBalancer'",message="loadBalancerIP is only for type LoadBalancer"
type KubernetesServiceSpec struct {
	// Annotations are added to the Service.
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`

	// Labels are added to the Service.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`

	// Type is the type of the Service.
	// +optional
	// +kubebuilder:default=LoadBalancer
	Type *ServiceType `json:"type,omitempty"`

	// LoadBalancerClass picks the implementation of the load balancer.
	// +optional
	LoadBalancerClass *string `json:"loadBalancerClass,omitempty"`

	// AllocateLoadBalancerNodePorts says whether node ports are set aside for a
	// Service of type LoadBalancer. Default: true.
	// +optional
	AllocateLoadBalancerNodePorts *bool `json:"allocateLoadBalancerNodePorts,omitempty"`

	// LoadBalancerSourceRanges are the networks, in CIDR notation, that clients
	// may come from.
	// +optional
	LoadBalancerSourceRanges []string `json:"loadBalancerSourceRanges,omitempty"`

	// LoadBalancerIP asks for an IPv4 address. Not all load balancers heed it.
	// +optional
	LoadBalancerIP *string `json:"loadBalancerIP,omitempty"`

	// ExternalTrafficPolicy says whether traffic from outside goes to proxies on
	// the same node alone (Local, which keeps the client's address) or to all
	// (Cluster).
	// +optional
	// +kubebuilder:default=Local
	ExternalTrafficPolicy *ServiceExternalTrafficPolicy `json:"externalTrafficPolicy,omitempty"`

	// Patch changes the object, after everything else.
	// +optional
	Patch *KubernetesPatchSpec `json:"patch,omitempty"`

	// Name is the name of the Service. Default: one made of the Gateway's name.
	// +optional
	Name *string `json:"name,omitempty"`
}

// ServiceType is a type of Service that can stand in front of proxies.
//
// +kubebuilder:validation:Enum=ClusterIP;LoadBalancer;NodePort
type ServiceType string

const (
	// ServiceTypeClusterIP is reached from within the cluster alone.
	ServiceTypeClusterIP ServiceType = "ClusterIP"
	// ServiceTypeLoadBalancer is reached by a load balancer.
	ServiceTypeLoadBalancer ServiceType = "LoadBalancer"
	// ServiceTypeNodePort is reached by a port of each node.
	ServiceTypeNodePort ServiceType = "NodePort"
)

// ServiceExternalTrafficPolicy says where traffic from outside goes.
//
// +kubebuilder:validation:Enum=Local;Cluster
type ServiceExternalTrafficPolicy string

const (
	// ServiceExternalTrafficPolicyLocal keeps traffic on the node it arrives at.
	ServiceExternalTrafficPolicyLocal ServiceExternalTrafficPolicy = "Local"
	// ServiceExternalTrafficPolicyCluster spreads traffic over all nodes.
	ServiceExternalTrafficPolicyCluster ServiceExternalTrafficPolicy = "Cluster"
)

// KubernetesServiceAccountSpec sets a ServiceAccount.
type KubernetesServiceAccountSpec struct {
	// Name is the name of the ServiceAccount. Default: one made of the Gateway's
	// name.
	// +optional
	Name *string `json:"name,omitempty"`
}

// KubernetesHorizontalPodAutoscalerSpec sets a HorizontalPodAutoscaler.
//
// +kubebuilder:validation:XValidation:rule="!has(self.minReplicas) || self.minReplicas > 0",message="minReplicas must be greater than 0"
// +kubebuilder:validation:XValidation:rule="self.maxReplicas > 0",message="maxReplicas must be greater than 0"
// +kubebuilder:validation:XValidation:rule="!has(self.minReplicas) || self.maxReplicas >= self.minReplicas",message="maxReplicas must not be below minReplicas"
type KubernetesHorizontalPodAutoscalerSpec struct {
	// MinReplicas is the lowest number of pods. Default: 1.
	// +optional
	MinReplicas *int32 `json:"minReplicas,omitempty"`

	// MaxReplicas is the highest number of pods.
	// +required
	MaxReplicas *int32 `json:"maxReplicas"`

	// Metrics are what the number of pods follows. Default: 80 % CPU utilization.
	// +optional
	Metrics []autoscalingv2.MetricSpec `json:"metrics,omitempty"`

	// Behavior sets how fast pods are added and removed.
	// +optional
	Behavior *autoscalingv2.HorizontalPodAutoscalerBehavior `json:"behavior,omitempty"`

	// Patch changes the object, after everything else.
	// +optional
	Patch *KubernetesPatchSpec `json:"patch,omitempty"`

	// Name is the name of the object. Default: one made of the Gateway's name.
	// +optional
	Name *string `json:"name,omitempty"`
}

// KubernetesPodDisruptionBudgetSpec sets a PodDisruptionBudget.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.minAvailable) && has(self.maxUnavailable))",message="only one of minAvailable and maxUnavailable can be set"
type KubernetesPodDisruptionBudgetSpec struct {
	// MinAvailable is the number or percentage of pods that must stay.
	// +optional
	MinAvailable *intstr.IntOrString `json:"minAvailable,omitempty"`

	// MaxUnavailable is the number or percentage of pods that may go.
	// +optional
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`

	// Patch changes the object, after everything else.
	// +optional
	Patch *KubernetesPatchSpec `json:"patch,omitempty"`

	// Name is the name of the object. Default: one made of the Gateway's name.
	// +optional
	Name *string `json:"name,omitempty"`
}

// KubernetesPatchSpec changes an object that the controller makes.
type KubernetesPatchSpec struct {
	// Type is StrategicMerge (the default) or JSONMerge.
	// +optional
	Type *PatchType `json:"type,omitempty"`

	// Value is the patch, in the form of the object itself.
	// +required
	Value apiextensionsv1.JSON `json:"value"`
}

// PatchType is a way to lay a patch over an object: StrategicMerge or JSONMerge.
type PatchType string

const (
	// PatchStrategicMerge merges as kubectl does, lists by their keys.
	PatchStrategicMerge PatchType = "StrategicMerge"
	// PatchJSONMerge merges by RFC 7396: lists are replaced as a whole.
	PatchJSONMerge PatchType = "JSONMerge"
)
