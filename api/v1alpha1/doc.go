// Package v1alpha1 holds the extension API gateway.envoyproxy.io/v1alpha1: what
// Gateway API has no words for. Its kinds and fields are those of Envoy Gateway,
// so that its users' manifests keep their meaning.
//
// Optional fields are pointers wherever absent differs from the zero value. The
// defaults in the comments hold when a field is absent; those that a schema can
// say are also set by the API server, the others where the field is used.
//
// +kubebuilder:object:generate=true
// +groupName=gateway.envoyproxy.io
package v1alpha1

//go:generate go run sigs.k8s.io/controller-tools/cmd/controller-gen object paths=.
