package translate

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/store"
)

// Fleet is what is to run: the proxies of one Gateway or, where a GatewayClass
// merges its Gateways, of all Gateways of the class.
type Fleet struct {
	// Key is the Gateway, or the GatewayClass of merged Gateways. [FleetName] of it
	// names the fleet everywhere else: snapshot, node cluster, identity.
	Key store.Key
	// Class is the GatewayClass and ClassUID its UID; GatewayUID is empty for merged
	// Gateways.
	Class                string
	ClassUID, GatewayUID types.UID
	// Ports are what clients connect to, sorted and without repetition. A fleet
	// without ports has nothing to serve, and need not run.
	Ports []FleetPort
	// Labels and Annotations are those of the Gateway's spec.infrastructure.
	Labels, Annotations map[string]string
	// Addresses are the IP addresses that the Gateway asks for.
	Addresses []string
	// Parameters is the EnvoyProxy in force, merged; never nil.
	Parameters *v1alpha1.EnvoyProxySpec
	// Frozen says why what runs is to be left as it is, such as an invalid
	// EnvoyProxy; empty: it is not.
	Frozen string
}

// FleetPort is a port of a fleet's Service.
type FleetPort struct {
	// Name is "<protocol>-<port>" in lower case, such as "https-443".
	Name string
	// Port is the listener's, ContainerPort the one that Envoy binds.
	Port, ContainerPort int32
	UDP                 bool
}

// FleetName is how a fleet is called: "namespace/name" of the Gateway, or the
// name of the GatewayClass. It is Envoy's node cluster and the key of the snapshot.
func FleetName(fleet store.Key) string {
	if fleet.Namespace == "" {
		return fleet.Name
	}
	return fleet.Namespace + "/" + fleet.Name
}
