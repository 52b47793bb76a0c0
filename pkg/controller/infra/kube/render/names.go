package render

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

// maxReadable is how much of a fleet's name its objects' name shows. With prefix
// and hash that leaves room for the suffixes of ReplicaSet and Pod within the 63
// bytes of a label.
const maxReadable = 48

// ResourceName is what the objects of a fleet are called in the controller's
// namespace, such as "envoy-default-eg-e41e7b31". The hash tells apart fleets
// whose names read the same.
func ResourceName(fleet store.Key) string {
	name := translate.FleetName(fleet)
	sum := sha256.Sum256([]byte(name))
	readable := strings.ReplaceAll(name, "/", "-")
	if len(readable) > maxReadable {
		readable = strings.TrimSuffix(readable[:maxReadable], "-")
	}
	return "envoy-" + readable + "-" + hex.EncodeToString(sum[:4])
}

// Names is what the objects of one fleet are called.
type Names struct {
	// Namespace holds all of them but the mark.
	Namespace string
	// Resource is the name that an EnvoyProxy does not change: of the ConfigMap and
	// of the Secret with the client certificate.
	Resource string
	// DaemonSet says which kind of workload it is.
	DaemonSet                                      bool
	Workload, Service, ServiceAccount, Scaler, PDB string
}

// Names returns what the objects of a fleet are called. The fleet's parameters
// need not be valid.
func (c *Config) Names(f *translate.Fleet) Names {
	n := Names{Namespace: c.FleetNamespace(f.Key), Resource: c.FleetResource(f.Key)}
	n.Workload, n.Service, n.ServiceAccount, n.Scaler, n.PDB = n.Resource, n.Resource, n.Resource, n.Resource, n.Resource
	k := kubernetes(f)
	set := func(to *string, name *string) {
		if name != nil && *name != "" {
			*to = *name
		}
	}
	if k.EnvoyDaemonSet != nil && k.EnvoyDeployment == nil {
		n.DaemonSet = true
		set(&n.Workload, k.EnvoyDaemonSet.Name)
	} else if k.EnvoyDeployment != nil {
		set(&n.Workload, k.EnvoyDeployment.Name)
	}
	if k.EnvoyService != nil {
		set(&n.Service, k.EnvoyService.Name)
	}
	if k.EnvoyServiceAccount != nil {
		set(&n.ServiceAccount, k.EnvoyServiceAccount.Name)
	}
	if k.EnvoyHpa != nil {
		set(&n.Scaler, k.EnvoyHpa.Name)
	}
	if k.EnvoyPDB != nil {
		set(&n.PDB, k.EnvoyPDB.Name)
	}
	return n
}

// Moved returns how fleets are called and labelled in the other deployment mode,
// where objects of before a change of mode are.
func (c *Config) Moved() *Config {
	other := *c
	other.GatewayNamespaceMode = !c.GatewayNamespaceMode
	return &other
}

// FleetNamespace is where the objects of a fleet are.
func (c *Config) FleetNamespace(fleet store.Key) string {
	if c.besideGateway(fleet) {
		return fleet.Namespace
	}
	return c.Namespace
}

// FleetResource is what the objects of a fleet are called unless an EnvoyProxy
// says otherwise.
func (c *Config) FleetResource(fleet store.Key) string {
	if c.besideGateway(fleet) {
		return fleet.Name
	}
	return ResourceName(fleet)
}

// besideGateway says whether a fleet runs in the namespace of its Gateway. That
// of merged Gateways has none to be in.
func (c *Config) besideGateway(fleet store.Key) bool {
	return c.GatewayNamespaceMode && fleet.Namespace != ""
}

// kubernetes is how the fleet is to run in Kubernetes; never nil.
func kubernetes(f *translate.Fleet) *v1alpha1.EnvoyProxyKubernetesProvider {
	if f.Parameters == nil || f.Parameters.Provider == nil || f.Parameters.Provider.Kubernetes == nil {
		return &v1alpha1.EnvoyProxyKubernetesProvider{}
	}
	return f.Parameters.Provider.Kubernetes
}
