// Package status shows what controllers say about Gateway API objects and their
// extensions. It reads objects and nothing else, so it works with any controller.
//
// The way is: objects (from [Client], or from anywhere) → [NewTable] or [NewTree], which judge
// → the printers. Only the client knows a cluster.
package status

import (
	"slices"
	"strings"
)

// Family is what kinds have in common that are shown alike.
type Family int

// The families.
const (
	Other Family = iota // conditions of its own, if any
	Class
	Gateway
	ListenerSet
	Route  // status.parents
	Policy // status.ancestors
)

// Resource is a kind as an API server serves it.
type Resource struct {
	Group, Version, Kind string
	// Plural is its name in URLs.
	Plural     string
	Namespaced bool
	Family     Family
	// Short are other names of it.
	Short []string
}

// Name is the kind as it is written before the name of an object.
func (r Resource) Name() string { return strings.ToLower(r.Kind) }

// API groups of what is shown.
const (
	GatewayGroup      = "gateway.networking.k8s.io"
	ExperimentalGroup = "gateway.networking.x-k8s.io"
	ExtensionGroup    = "gateway.envoyproxy.io"
)

// Known are the kinds that are shown, in this order, where a cluster has them.
// Versions are left to the cluster.
func Known() []Resource {
	of := func(group, kind, plural string, f Family, short ...string) Resource {
		return Resource{Group: group, Kind: kind, Plural: plural, Namespaced: f != Class, Family: f, Short: short}
	}
	return []Resource{
		of(GatewayGroup, "GatewayClass", "gatewayclasses", Class, "gc"),
		of(GatewayGroup, "Gateway", "gateways", Gateway, "gtw", "gw"),
		of(GatewayGroup, "ListenerSet", "listenersets", ListenerSet, "lset"),
		of(GatewayGroup, "HTTPRoute", "httproutes", Route, "hr"),
		of(GatewayGroup, "GRPCRoute", "grpcroutes", Route, "gr"),
		of(GatewayGroup, "TLSRoute", "tlsroutes", Route, "tr"),
		of(GatewayGroup, "TCPRoute", "tcproutes", Route, "tcr"),
		of(GatewayGroup, "UDPRoute", "udproutes", Route, "udr", "ur"),
		of(GatewayGroup, "BackendTLSPolicy", "backendtlspolicies", Policy, "btlspolicy", "btlsp"),
		of(ExtensionGroup, "ClientTrafficPolicy", "clienttrafficpolicies", Policy, "ctp"),
		of(ExtensionGroup, "BackendTrafficPolicy", "backendtrafficpolicies", Policy, "btp"),
		of(ExtensionGroup, "SecurityPolicy", "securitypolicies", Policy, "sp"),
		of(ExtensionGroup, "EnvoyExtensionPolicy", "envoyextensionpolicies", Policy, "eep"),
		of(ExtensionGroup, "EnvoyPatchPolicy", "envoypatchpolicies", Policy, "epp"),
		of(ExtensionGroup, "EnvoyProxy", "envoyproxies", Policy, "ep"),
		of(ExtensionGroup, "Backend", "backends", Other, "be"),
	}
}

// silent kinds have no status.
func silent(group, kind string) bool {
	return group == GatewayGroup && kind == "ReferenceGrant" || group == ExtensionGroup && kind == "HTTPRouteFilter"
}

// Groups of kinds that can be asked for at once.
const (
	All      = "all"
	Routes   = "xroute"
	Policies = "xpolicy"
)

func sets() map[string][]Family {
	return map[string][]Family{
		All:    nil,
		Routes: {Route}, "route": {Route}, "routes": {Route}, "xroutes": {Route},
		Policies: {Policy}, "policy": {Policy}, "policies": {Policy}, "xpolicies": {Policy},
	}
}

// Select returns the resources that a user means by a word: a kind in any of its
// names, "all", or a family. Several says that the word stands for several
// kinds, whether or not the cluster has them. It returns none for a word
// that it does not know.
func Select(from []Resource, word string) (found []Resource, several bool) {
	word = strings.ToLower(word)
	if families, ok := sets()[word]; ok {
		for _, r := range from {
			if families == nil || slices.Contains(families, r.Family) {
				found = append(found, r)
			}
		}
		return found, true
	}
	for _, r := range from {
		if matches(r, word) {
			return []Resource{r}, false
		}
	}
	return nil, false
}

// IsKnown says whether a word names kinds that may be missing in a cluster.
func IsKnown(word string) bool {
	if _, ok := sets()[strings.ToLower(word)]; ok {
		return true
	}
	return slices.ContainsFunc(Known(), func(r Resource) bool { return matches(r, strings.ToLower(word)) })
}

func matches(r Resource, word string) bool {
	return word == r.Name() || word == r.Plural || slices.Contains(r.Short, word) ||
		strings.HasPrefix(word, r.Plural+".") && strings.TrimPrefix(word, r.Plural+".") == r.Group ||
		strings.HasPrefix(word, r.Name()+".") && strings.TrimPrefix(word, r.Name()+".") == r.Group
}
