package ir

import "github.com/egctl/egctl/pkg/store"

// ListenerKey identifies a listener of a Gateway or of a ListenerSet.
type ListenerKey struct {
	// Owner is the Gateway or the ListenerSet.
	Owner store.Key
	Name  string
}

// ListenerProtocol is the protocol of a Gateway API listener.
type ListenerProtocol string

// The protocols of Gateway API listeners.
const (
	ListenerHTTP  ListenerProtocol = "HTTP"
	ListenerHTTPS ListenerProtocol = "HTTPS"
	ListenerTLS   ListenerProtocol = "TLS"
	ListenerTCP   ListenerProtocol = "TCP"
	ListenerUDP   ListenerProtocol = "UDP"
)

// Listener is an accepted listener.
type Listener struct {
	Source
	Key      ListenerKey
	Protocol ListenerProtocol
	Port     int32
	// Hostname is lower case; empty matches all.
	Hostname string
	// Passthrough is a TLS listener that does not terminate.
	Passthrough bool
	// Certificates are the usable ones, in the user's order.
	Certificates []store.Key
	// Validation of client certificates; nil: none are asked for.
	Validation *ClientValidation
	// Auth applies to every request of the listener, before that of routes.
	Auth *ExternalAuth
}

// SNI says whether connections are told apart by server name.
func (l *Listener) SNI() bool { return l.Protocol == ListenerHTTPS || l.Protocol == ListenerTLS }

// ClientValidation says which client certificates are accepted.
type ClientValidation struct {
	// Secret names the SDS resource with the trust anchors.
	Secret string
	// Optional lets clients pass with no certificate or one that does not verify.
	Optional bool
}

// Bind is one Envoy listener: a port and a transport.
type Bind struct {
	Port int32
	UDP  bool
}

// Name is the xDS resource name.
func (b Bind) Name() string {
	if b.UDP {
		return "udp-" + itoa(b.Port)
	}
	return "tcp-" + itoa(b.Port)
}

// L4Route is a TLSRoute, TCPRoute or UDPRoute as one filter chain.
type L4Route struct {
	Source
	Name string
	// ServerNames are the SNI values; empty matches all.
	ServerNames  []string
	Destinations []Destination
}

// TLSUpstream says how a backend is verified.
type TLSUpstream struct {
	Source
	// SNI is also the name that the certificate must have, unless SANs are given.
	SNI string
	// CASecret names the SDS resource with the trust anchors; empty: the
	// system's.
	CASecret string
	DNSNames []string
	URIs     []string
	// ClientCertificate is the Secret shown to the backend; empty: none.
	ClientCertificate store.Key
}
