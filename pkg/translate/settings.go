package translate

import (
	"time"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
)

// Settings are the decisions that no Kubernetes object makes.
type Settings struct {
	// ControllerName selects the GatewayClasses that are ours.
	ControllerName string
	// ListenAddress is what Envoy binds to, such as "0.0.0.0" or "127.0.0.1".
	ListenAddress string
	// PortShift is added to listener ports below 1024, which an unprivileged
	// Envoy cannot bind. A Service, or the user, maps them back.
	PortShift int32
	// ExclusivePorts has a TCP port that another program serves refused. Without it
	// Envoy shares the port with any other that does the same, as is right for
	// workers and successors and wrong for two strangers on one machine.
	ExclusivePorts bool
	// Zone is the topology zone that all proxies are in; empty if it is not known
	// or they are in several.
	Zone string
	// SystemTrust is the file with the CA certificates that the proxies' system
	// trusts.
	SystemTrust string
	// AssumeProgrammed reports Gateways as programmed without waiting for
	// infrastructure; for offline translation.
	AssumeProgrammed bool
	// DrainTimeout is how long closing connections are given.
	DrainTimeout time.Duration
	// DefaultProxy is in force where no EnvoyProxy is named; nil: an empty one.
	DefaultProxy *v1alpha1.EnvoyProxySpec
	// CheckProxy says what is wrong with an EnvoyProxy beyond what the translator
	// knows, such as its bootstrap: an error that may begin with a field,
	// "spec.bootstrap: …". It must be pure. nil: there is nothing to ask.
	CheckProxy func(*v1alpha1.EnvoyProxySpec) error
	// GatewayNamespaceMode says that proxies run in the namespaces of their
	// Gateways, which therefore cannot be merged.
	GatewayNamespaceMode bool
	// ReadyPort is where proxies say that they have their configuration; 0: nowhere.
	ReadyPort int32
}

// DefaultControllerName is the controller name of Envoy Gateway, whose
// GatewayClasses this project serves.
const DefaultControllerName = "gateway.envoyproxy.io/gatewayclass-controller"

// DefaultSettings are those of a proxy in a cluster.
func DefaultSettings() Settings {
	return Settings{ControllerName: DefaultControllerName, ListenAddress: "0.0.0.0", PortShift: 10000, DrainTimeout: time.Minute, SystemTrust: "/etc/ssl/certs/ca-certificates.crt"}
}

var settingsKey = store.ID{Kind: store.SettingsKind, Name: "settings"}.Key()

func settings(c *incr.Context) Settings {
	v, ok := store.Get[*store.Value[Settings]](c, settingsKey)
	if !ok {
		return DefaultSettings()
	}
	return v.V
}

// BoundPort is the port that Envoy binds for a listener port.
func (s Settings) BoundPort(port int32) int32 {
	if port < 1024 {
		return port + s.PortShift
	}
	return port
}

// Infrastructure is what the controller reports of a fleet.
type Infrastructure struct {
	// Ready says that at least one proxy runs with the current configuration.
	Ready bool
	// Failed says that something other than time is needed for them to be as wanted.
	Failed bool
	// Message says what is awaited when not ready, what failed, or how many are ready.
	Message string
	// Addresses are the values clients can use.
	Addresses []Address
	// Unusable says why requested addresses cannot be used; empty if they can.
	Unusable string
}

// Address is a Gateway address.
type Address struct {
	// Hostname says that Value is a DNS name rather than an IP address.
	Hostname bool
	// Cluster says that it is the cluster IP of a Service, for Gateways that ask for
	// one by routability Cluster.
	Cluster bool
	Value   string
}

// InfrastructureKey is where the Infrastructure of a fleet is stored.
func InfrastructureKey(fleet store.Key) store.Key {
	return store.ID{Kind: store.InfrastructureKind, Namespace: fleet.Namespace, Name: fleet.Name}.Key()
}
