// Package v1alpha1 holds the extension API gateway.envoyproxy.io/v1alpha1: what
// Gateway API has no words for. Its kinds and fields are those of Envoy Gateway,
// so that its users' manifests keep their meaning.
package v1alpha1

// GroupName is the API group of the extension kinds.
const GroupName = "gateway.envoyproxy.io"
