package v1alpha1

import (
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// BackendRef names a backend.
type BackendRef struct {
	// BackendObjectReference is a Service (the default kind) with its port, or a
	// Backend.
	gwapiv1.BackendObjectReference `json:",inline"`

	// Fallback backends get traffic only when the others are not healthy.
	// Default: false.
	// +optional
	Fallback *bool `json:"fallback,omitempty"`
}

// WeightedBackendRef names a backend and its share of the traffic.
type WeightedBackendRef struct {
	BackendRef `json:",inline"`

	// Weight is the backend's share of the traffic, in proportion to the sum of
	// all weights.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	Weight *int32 `json:"weight,omitempty"`
}

// BackendCluster names the backends that serve the proxy itself, such as a
// collector of logs, and how it talks to them.
type BackendCluster struct {
	// BackendRef is deprecated and refused; use backendRefs.
	// +optional
	BackendRef *gwapiv1.BackendObjectReference `json:"backendRef,omitempty"`

	// BackendRefs are the backends.
	// +optional
	// +kubebuilder:validation:MaxItems=16
	BackendRefs []WeightedBackendRef `json:"backendRefs,omitempty"`

	// BackendSettings set how the proxy talks to the backends.
	// +optional
	BackendSettings *ClusterSettings `json:"backendSettings,omitempty"`
}
