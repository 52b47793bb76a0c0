package translate

import (
	"cmp"
	"strings"

	core "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/ir"
)

// backendPortKey is a port of a backend.
type backendPortKey struct {
	Backend store.Key
	Port    int32
}

// servicePort is what routing needs to know of a backend's port.
type servicePort struct {
	// Exists and PortExists are false where the object or its port is missing.
	Exists, PortExists bool
	ExternalName       bool
	// PortName selects the port in EndpointSlices.
	PortName string
	// Transport is TCP, UDP or SCTP.
	Transport string
	// Protocol is what appProtocol asks for; empty if it says nothing.
	Protocol ir.Protocol
	// TLS says that appProtocol asks for TLS, as kubernetes.io/wss does.
	TLS bool
	// WebSocket says that appProtocol asks for WebSocket.
	WebSocket bool
	// Others are the ports that there are instead of one that is missing.
	Others string
}

// servicePorts reads one TCP port of a Service or ServiceImport, and
// datagramPorts one UDP port: a number may stand for both, as 53 does.
var (
	servicePorts = incr.NewQuery("backend port", func(c *incr.Context, k backendPortKey) servicePort {
		return readPort(c, k, string(core.ProtocolTCP))
	}, incr.Equal[backendPortKey](equal[servicePort]))
	datagramPorts = incr.NewQuery("datagram port", func(c *incr.Context, k backendPortKey) servicePort {
		return readPort(c, k, string(core.ProtocolUDP))
	}, incr.Equal[backendPortKey](equal[servicePort]))
)

// readPort reads the port of a transport, or else that of the same number.
func readPort(c *incr.Context, k backendPortKey, transport string) servicePort {
	switch k.Backend.Kind {
	case store.Service:
		svc, ok := store.Get[*core.Service](c, k.Backend)
		if !ok {
			return servicePort{}
		}
		p := servicePort{Exists: true, ExternalName: svc.Spec.Type == core.ServiceTypeExternalName}
		for _, sp := range svc.Spec.Ports {
			if sp.Port == k.Port && (!p.PortExists || cmp.Or(string(sp.Protocol), "TCP") == transport) {
				p.fill(sp.Name, string(sp.Protocol), sp.AppProtocol)
			}
		}
		if !p.PortExists {
			p.Others = offer(svc.Spec.Ports, func(sp core.ServicePort) string { return named(itoa(sp.Port), sp.Name) })
		}
		return p
	case store.ServiceImport:
		imp, ok := store.Get[*store.ServiceImportObject](c, k.Backend)
		if !ok {
			return servicePort{}
		}
		p := servicePort{Exists: true}
		for _, sp := range imp.Spec.Ports {
			if sp.Port == k.Port && (!p.PortExists || cmp.Or(sp.Protocol, "TCP") == transport) {
				p.fill(sp.Name, sp.Protocol, sp.AppProtocol)
			}
		}
		if !p.PortExists {
			p.Others = offer(imp.Spec.Ports, func(sp store.ServiceImportPort) string { return named(itoa(sp.Port), sp.Name) })
		}
		return p
	default:
		return servicePort{}
	}
}

func (p *servicePort) fill(name, transport string, app *string) {
	p.PortExists, p.PortName, p.Transport = true, name, transport
	p.Protocol, p.TLS, p.WebSocket = "", false, false
	if transport == "" {
		p.Transport = string(core.ProtocolTCP)
	}
	switch strings.ToLower(ptr.Deref(app, "")) {
	case "kubernetes.io/h2c", "gateway.envoyproxy.io/h2c", "grpc":
		p.Protocol = ir.HTTP2
	case "kubernetes.io/ws":
		p.Protocol, p.WebSocket = ir.HTTP1, true
	case "kubernetes.io/wss":
		p.Protocol, p.WebSocket, p.TLS = ir.HTTP1, true, true
	}
}

// resolveBackend follows a reference of an object. proto is what the referrer
// needs; it becomes part of the cluster only where the backend does not decide.
func resolveBackend(c *incr.Context, from store.Key, field string, ref *gateway.BackendObjectReference, proto ir.Protocol) (ir.ClusterKey, []issue) {
	k := store.BackendKey(from, ref)
	if k.Kind != store.Service && k.Kind != store.ServiceImport {
		return ir.ClusterKey{}, []issue{backendKind.at(from, field+".kind", "refer to a Service", "kind %s is not supported", k.Kind)}
	}
	if !permitted(c, from, k) {
		return ir.ClusterKey{}, []issue{backendNotPermitted.at(from, field+".namespace", grantHint(from, k), "%s may not be referred to from namespace %q", k, from.Namespace)}
	}
	if ref.Port == nil {
		return ir.ClusterKey{}, []issue{backendPort.at(from, field+".port", "name a port of the Service", "%s is referred to without a port", k)}
	}
	port := *ref.Port
	ports, transport := servicePorts, core.ProtocolTCP
	if proto == ir.UDP {
		ports, transport = datagramPorts, core.ProtocolUDP
	}
	p := ports.Get(c, backendPortKey{k, port})
	switch {
	case !p.Exists:
		return ir.ClusterKey{}, []issue{backendNotFound.at(from, field+".name", "", "%s does not exist", k)}
	case p.ExternalName:
		return ir.ClusterKey{}, []issue{backendExternalName.at(from, field+".name", "use a Service with EndpointSlices", "%s is of type ExternalName", k)}
	case !p.PortExists:
		return ir.ClusterKey{}, []issue{backendPort.at(from, field+".port", "", "%s has no port %d%s", k, port, p.Others)}
	case p.Transport != string(transport):
		return ir.ClusterKey{}, []issue{backendProtocol.at(from, field+".port", "", "port %d of %s carries %s", port, k, p.Transport)}
	}
	if proto == ir.HTTP2 && p.Protocol == ir.HTTP1 {
		return ir.ClusterKey{}, []issue{backendProtocol.at(from, field+".port", "use a port with appProtocol kubernetes.io/h2c or none", "port %d of %s does not speak HTTP/2, which gRPC needs", port, k)}
	}
	key := ir.ClusterKey{Backend: k, Port: port}
	if proto == ir.HTTP2 && p.Protocol == "" || proto == ir.TCP || proto == ir.Raw {
		key.Protocol = proto
	}
	if proto == ir.UDP {
		key.Protocol = ir.UDP
	}
	return key, nil
}
