package translate

import (
	"time"

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
	// AssumeProgrammed reports Gateways as programmed without waiting for
	// infrastructure; for offline translation.
	AssumeProgrammed bool
	// DrainTimeout is how long closing connections are given.
	DrainTimeout time.Duration
}

// DefaultControllerName is the controller name of Envoy Gateway, whose
// GatewayClasses this project serves.
const DefaultControllerName = "gateway.envoyproxy.io/gatewayclass-controller"

// DefaultSettings are those of a proxy in a cluster.
func DefaultSettings() Settings {
	return Settings{ControllerName: DefaultControllerName, ListenAddress: "0.0.0.0", PortShift: 10000, DrainTimeout: time.Minute}
}

var settingsKey = store.Key{Kind: store.SettingsKind, Name: "settings"}

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

// Infrastructure is what the controller reports of a Gateway's proxies.
type Infrastructure struct {
	// Ready says that at least one proxy runs with the current configuration.
	Ready bool
	// Message says what is awaited when not ready, or how many are ready.
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
	Value    string
}

// InfrastructureKey is where the Infrastructure of a Gateway is stored.
func InfrastructureKey(gateway store.Key) store.Key {
	return store.Key{Kind: store.InfrastructureKind, Namespace: gateway.Namespace, Name: gateway.Name}
}

// Rejection is stored for an object that Envoy refused. The object's part is
// left out of the configuration until the object changes.
type Rejection struct {
	// Generation of the refused object.
	Generation int64
	// Message is Envoy's own.
	Message string
}

// RejectionKey is where the Rejection of an object is stored.
func RejectionKey(object store.Key) store.Key {
	return store.Key{Kind: store.RejectionKind, Namespace: object.Namespace, Name: object.Kind.Kind + "." + object.Name}
}

// rejected returns what Envoy said about this generation of the object.
func rejected(c *incr.Context, o store.Object) (string, bool) {
	v, ok := store.Get[*store.Value[Rejection]](c, RejectionKey(store.KeyOf(o)))
	if !ok || v.V.Generation != o.GetGeneration() {
		return "", false
	}
	return v.V.Message, true
}
