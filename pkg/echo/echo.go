// Package echo is the backend of the quickstart and of the end-to-end tests:
// a server that answers every request with a description of that request and
// of itself, so that a client can tell what a gateway did on the way.
//
// It speaks HTTP/1.1, HTTP/2 (over TLS and in the clear), WebSocket, gRPC, TCP
// and UDP. Answers, paths and environment variables are those of echo-basic,
// the backend of the Gateway API conformance suite, so that either can stand in
// for the other:
//
//	/health           200 and "OK"
//	/status/NNN       an empty answer with that status
//	/retry/…          fails until an attempt count is reached, see [retries]
//	/ws               echoes WebSocket messages
//	anything else     200 and a [Response] as JSON
//
// The query parameter delay (a Go duration) holds an answer back. The request
// header X-Echo-Set-Header ("name:value, name:value") asks for response
// headers.
package echo

import (
	"crypto/tls"
	"log/slog"
)

// Protocol names one of the things that a [Server] can listen for.
type Protocol string

const (
	// HTTP is HTTP/1.1 and, with prior knowledge, HTTP/2 in the clear.
	HTTP Protocol = "http"
	// H2C is HTTP/2 in the clear only. HTTP/1.1 gets 400, so that a test can
	// tell whether a gateway kept to the application protocol it was told.
	H2C Protocol = "h2c"
	// HTTPS is HTTP/1.1 or HTTP/2, as ALPN decides.
	HTTPS Protocol = "https"
	// GRPC is the service gateway_api_conformance.echo_basic.grpcecho.GrpcEcho
	// in the clear, with server reflection and the standard health service.
	GRPC Protocol = "grpc"
	// GRPCS is GRPC over TLS.
	GRPCS Protocol = "grpcs"
	// TCP answers lines; see [TCPResponse].
	TCP Protocol = "tcp"
	// TLS is TCP over TLS.
	TLS Protocol = "tls"
	// UDP answers each datagram with one; see [UDPResponse].
	UDP Protocol = "udp"
)

// protocols is every protocol, in the order in which they are started.
func protocols() []Protocol {
	return []Protocol{HTTP, H2C, HTTPS, GRPC, GRPCS, TCP, TLS, UDP}
}

// encrypted tells whether p needs a certificate.
func (p Protocol) encrypted() bool { return p == HTTPS || p == GRPCS || p == TLS }

// Identity is what the server says of itself in every answer.
type Identity struct {
	Namespace string `json:"namespace"`
	Ingress   string `json:"ingress"`
	Service   string `json:"service"`
	Pod       string `json:"pod"`
}

// Options says what to serve and where.
type Options struct {
	// Addresses are "host:port" per protocol. A protocol that is absent or
	// empty is off; port 0 picks a free port, which [Server.Addr] tells.
	Addresses map[Protocol]string
	Identity  Identity
	// TLS serves HTTPS, GRPCS and TLS. If nil, a certificate is made at start;
	// [Server.CertificatePEM] returns it for clients to trust.
	TLS *tls.Config
	// Logger hears of listeners at Info and of requests at Debug. Nil is silence.
	Logger *slog.Logger
}
