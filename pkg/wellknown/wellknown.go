// Package wellknown holds the names, labels and ports by which the parts of an
// installation, and their users, find each other. All of them are Envoy Gateway's:
// charts, network policies, dashboards and scripts name them.
//
// It imports nothing, so that a client need not link a controller to know them.
package wellknown

// Names of the controller.
const (
	// Namespace is where it is installed unless told otherwise.
	Namespace = "envoy-gateway-system"
	// Deployment is the name of its Deployment, Service and ServiceAccount, and of its
	// container.
	Deployment = "envoy-gateway"
	// Lease is what its leader holds.
	Lease = "5b9825d2.gateway.envoyproxy.io"
	// FieldManager is the name under which it writes.
	FieldManager = "envoy-gateway"
)

// Labels of the controller: of its pods, and of the Secrets that are its to change.
const (
	ControllerLabel      = "control-plane"
	ControllerLabelValue = "envoy-gateway"
	// ControllerSelector selects what carries it.
	ControllerSelector = ControllerLabel + "=" + ControllerLabelValue
)

// Labels that every object of a fleet of proxies carries.
const (
	NameLabel      = "app.kubernetes.io/name"
	ComponentLabel = "app.kubernetes.io/component"
	ManagedByLabel = "app.kubernetes.io/managed-by"

	OwningGatewayNameLabel      = "gateway.envoyproxy.io/owning-gateway-name"
	OwningGatewayNamespaceLabel = "gateway.envoyproxy.io/owning-gateway-namespace"
	// OwningGatewayClassLabel is that of a fleet that serves all Gateways of a class.
	OwningGatewayClassLabel = "gateway.envoyproxy.io/owning-gatewayclass"
)

// Ports of a proxy's pod that are not a listener's.
const (
	// ProxyAdminPort is Envoy's own interface, on the pod's loopback.
	ProxyAdminPort = 19000
	// ProxyMetricsPort answers /stats/prometheus.
	ProxyMetricsPort = 19001
	// ProxyShutdownPort is the shutdown manager's.
	ProxyShutdownPort = 19002
	// ProxyReadyPort answers /ready once Envoy serves what it was sent, until it
	// drains.
	ProxyReadyPort = 19003
)

// Ports of the controller.
const (
	XDSPort     = 18000
	MetricsPort = 19001
	ProbePort   = 8081
	// AdminPort is on loopback, and the configuration may name another.
	AdminPort = 19000
)
