package echo

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strconv"
)

// FromEnv fills o from the environment variables of echo-basic:
//
//	POD_NAME NAMESPACE INGRESS_NAME SERVICE_NAME   the identity
//	HTTP_PORT (3000), H2C_PORT (3001), HTTPS_PORT (8443)
//	GRPC_ECHO_SERVER   if set, gRPC on HTTP_PORT and HTTPS_PORT, and nothing else
//	TCP_ECHO_SERVER    if set, TCP on TCP_PORT (3000) and TLS_PORT (8443), and nothing else
//	UDP_ECHO_SERVER    if set, UDP on UDP_PORT (8080), and nothing else
//	TLS_SERVER_CERT, TLS_SERVER_PRIVKEY or TLS_SERVER_PRIV_KEY   PEM files
//	TLS_CLIENT_CACERTS   PEM file; client certificates are asked for and, if given, verified
//
// Encrypted listeners start if a certificate is given, or if their port is set:
// then with a certificate of their own making. Values already in o stay where
// the environment says nothing. Errors name the variable.
func (o *Options) FromEnv(getenv func(string) string) error {
	for _, f := range []struct {
		name string
		to   *string
	}{
		{"NAMESPACE", &o.Identity.Namespace},
		{"INGRESS_NAME", &o.Identity.Ingress},
		{"SERVICE_NAME", &o.Identity.Service},
		{"POD_NAME", &o.Identity.Pod},
	} {
		if v := getenv(f.name); v != "" {
			*f.to = v
		}
	}

	hasCert, err := o.tlsFromEnv(getenv)
	if err != nil {
		return err
	}

	type listener struct {
		protocol Protocol
		variable string
		port     string
	}
	var listeners []listener
	switch {
	case getenv("GRPC_ECHO_SERVER") != "":
		listeners = []listener{{GRPC, "HTTP_PORT", "3000"}, {GRPCS, "HTTPS_PORT", "8443"}}
	case getenv("TCP_ECHO_SERVER") != "":
		listeners = []listener{{TCP, "TCP_PORT", "3000"}, {TLS, "TLS_PORT", "8443"}}
	case getenv("UDP_ECHO_SERVER") != "":
		listeners = []listener{{UDP, "UDP_PORT", "8080"}}
	default:
		listeners = []listener{{HTTP, "HTTP_PORT", "3000"}, {H2C, "H2C_PORT", "3001"}, {HTTPS, "HTTPS_PORT", "8443"}}
	}

	addresses := map[Protocol]string{}
	for _, l := range listeners {
		port := getenv(l.variable)
		if port == "" {
			// Without a certificate of the user's, TLS is only for those who asked.
			if l.protocol.encrypted() && !hasCert {
				continue
			}
			port = l.port
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil {
			return fmt.Errorf("environment variable %s: %q is not a port", l.variable, port)
		} else if n == 0 && port != "0" {
			return fmt.Errorf("environment variable %s: %q is not a port", l.variable, port)
		}
		addresses[l.protocol] = net.JoinHostPort("", port)
	}
	o.Addresses = addresses
	return nil
}

// tlsFromEnv loads the certificate, and tells whether there is one.
func (o *Options) tlsFromEnv(getenv func(string) string) (bool, error) {
	certFile, keyFile := getenv("TLS_SERVER_CERT"), getenv("TLS_SERVER_PRIVKEY")
	if keyFile == "" {
		// echo-basic's gRPC and TCP servers spell it so; we take both everywhere.
		keyFile = getenv("TLS_SERVER_PRIV_KEY")
	}
	if certFile == "" || keyFile == "" {
		return o.TLS != nil, nil
	}
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return false, fmt.Errorf("environment variables TLS_SERVER_CERT and TLS_SERVER_PRIVKEY: %w", err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if caFile := getenv("TLS_CLIENT_CACERTS"); caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return false, fmt.Errorf("environment variable TLS_CLIENT_CACERTS: %w", err)
		}
		config.ClientCAs = x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(pem) {
			return false, fmt.Errorf("environment variable TLS_CLIENT_CACERTS: no certificate in %s", caFile)
		}
		config.ClientAuth = tls.VerifyClientCertIfGiven
	}
	o.TLS = config
	return true, nil
}
