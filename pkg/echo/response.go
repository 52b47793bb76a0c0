package echo

import (
	"crypto/tls"
	"encoding/pem"
	"net/http"
)

// Response is the JSON that answers an HTTP request.
type Response struct {
	// Path is the request target as it arrived, query included.
	Path    string      `json:"path"`
	Host    string      `json:"host"`
	Method  string      `json:"method"`
	Proto   string      `json:"proto"`
	Headers http.Header `json:"headers"`
	// HTTPPort is the port of the server's HTTP listener, whichever listener
	// the request came in by: that is what echo-basic reports.
	HTTPPort string `json:"httpPort"`

	Identity

	// TLS is nil for a request in the clear.
	TLS *TLSState `json:"tls,omitempty"`
}

// TLSState describes the connection a request came in by.
type TLSState struct {
	// Version is "TLSv1.3", "TLSv1.2", …
	Version string `json:"version"`
	// PeerCertificates are the client's certificates in PEM, leaf first.
	PeerCertificates   []string `json:"peerCertificates,omitempty"`
	ServerName         string   `json:"serverName"`
	NegotiatedProtocol string   `json:"negotiatedProtocol,omitempty"`
	CipherSuite        string   `json:"cipherSuite"`
}

func tlsState(cs *tls.ConnectionState) *TLSState {
	if cs == nil {
		return nil
	}
	s := &TLSState{
		Version:            tlsVersion(cs.Version),
		ServerName:         cs.ServerName,
		NegotiatedProtocol: cs.NegotiatedProtocol,
		CipherSuite:        tls.CipherSuiteName(cs.CipherSuite),
	}
	for _, cert := range cs.PeerCertificates {
		block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
		s.PeerCertificates = append(s.PeerCertificates, string(block))
	}
	return s
}

// tlsVersion spells a version the way OpenSSL does, which is what clients of
// echo-basic compare with; [tls.VersionName] says "TLS 1.3".
func tlsVersion(v uint16) string {
	switch v {
	case tls.VersionTLS13:
		return "TLSv1.3"
	case tls.VersionTLS12:
		return "TLSv1.2"
	case tls.VersionTLS11:
		return "TLSv1.1"
	case tls.VersionTLS10:
		return "TLSv1.0"
	default:
		return tls.VersionName(v)
	}
}

// TCPResponse is the line of JSON that answers "TEST" over TCP. The server
// speaks first, with [TCPWelcome]; then it answers each line: "PING" with
// "PONG", "IS_TLS" with "true" or "false", any other line with itself.
type TCPResponse struct {
	Identity
	TCPPort string `json:"tcpport"`
	TLSPort string `json:"tlsport,omitempty"`

	IsTLS bool         `json:"isTLS"`
	TLS   *TCPTLSState `json:"tls,omitempty"`
}

// TCPTLSState describes a TLS connection to the TCP echo. Its versions are
// spelled as by [tls.VersionName], unlike those of [TLSState]: echo-basic
// differs between its servers, and the conformance suite compares both.
type TCPTLSState struct {
	Version            string `json:"version"`
	ServerName         string `json:"serverName"`
	NegotiatedProtocol string `json:"negotiatedProtocol,omitempty"`
	Curves             string `json:"curves,omitempty"`
	CipherSuite        string `json:"cipherSuite"`
}

// UDPResponse is the JSON that answers a datagram.
type UDPResponse struct {
	// Request is the datagram's payload. Bytes that are not UTF-8 are replaced
	// by U+FFFD, since JSON cannot carry them.
	Request string `json:"request"`
	Identity
}
