package echo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/egctl/egctl/internal/testcert"
)

// writeKeyPair writes a certificate for servers and clients, and its key, and
// returns the files.
func writeKeyPair(t *testing.T) (certFile, keyFile string, pair tls.Certificate) {
	t.Helper()
	p := testcert.SelfSigned("localhost")
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "crt"), filepath.Join(dir, "key")
	if err := os.WriteFile(certFile, p.Certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keyFile, p.Key, 0o600); err != nil {
		t.Fatal(err)
	}
	return certFile, keyFile, p.TLS()
}

func TestFromEnvListensLikeEchoBasic(t *testing.T) {
	cert, key, _ := writeKeyPair(t)
	for _, tc := range []struct {
		name string
		env  map[string]string
		want map[Protocol]string
	}{
		{"nothing set", nil, map[Protocol]string{HTTP: ":3000", H2C: ":3001"}},
		{"a certificate", map[string]string{"TLS_SERVER_CERT": cert, "TLS_SERVER_PRIVKEY": key},
			map[Protocol]string{HTTP: ":3000", H2C: ":3001", HTTPS: ":8443"}},
		{"ports", map[string]string{"HTTP_PORT": "80", "H2C_PORT": "0", "HTTPS_PORT": "443"},
			map[Protocol]string{HTTP: ":80", H2C: ":0", HTTPS: ":443"}},
		{"gRPC", map[string]string{"GRPC_ECHO_SERVER": "1"}, map[Protocol]string{GRPC: ":3000"}},
		{"gRPC with a certificate", map[string]string{"GRPC_ECHO_SERVER": "1", "TLS_SERVER_CERT": cert, "TLS_SERVER_PRIV_KEY": key},
			map[Protocol]string{GRPC: ":3000", GRPCS: ":8443"}},
		{"TCP with a certificate", map[string]string{"TCP_ECHO_SERVER": "1", "TLS_SERVER_CERT": cert, "TLS_SERVER_PRIV_KEY": key},
			map[Protocol]string{TCP: ":3000", TLS: ":8443"}},
		{"UDP", map[string]string{"UDP_ECHO_SERVER": "1", "UDP_PORT": "53"}, map[Protocol]string{UDP: ":53"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var o Options
			if err := o.FromEnv(func(name string) string { return tc.env[name] }); err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(o.Addresses, tc.want) {
				t.Errorf("addresses %v, want %v", o.Addresses, tc.want)
			}
		})
	}
}

func TestFromEnvIdentity(t *testing.T) {
	env := map[string]string{"NAMESPACE": "shop", "INGRESS_NAME": "eg", "POD_NAME": "cart-0"}
	o := Options{Identity: Identity{Service: "cart", Pod: "overridden"}}
	if err := o.FromEnv(func(name string) string { return env[name] }); err != nil {
		t.Fatal(err)
	}
	if o.Identity != identity {
		t.Errorf("identity %+v, want %+v", o.Identity, identity)
	}
}

func TestFromEnvNamesTheVariableThatIsWrong(t *testing.T) {
	cert, key, _ := writeKeyPair(t)
	for variable, env := range map[string]map[string]string{
		"HTTP_PORT":          {"HTTP_PORT": "http"},
		"UDP_PORT":           {"UDP_ECHO_SERVER": "1", "UDP_PORT": "70000"},
		"H2C_PORT":           {"H2C_PORT": "-1"},
		"TLS_SERVER_CERT":    {"TLS_SERVER_CERT": "missing", "TLS_SERVER_PRIVKEY": key},
		"TLS_CLIENT_CACERTS": {"TLS_SERVER_CERT": cert, "TLS_SERVER_PRIVKEY": key, "TLS_CLIENT_CACERTS": key},
	} {
		var o Options
		err := o.FromEnv(func(name string) string { return env[name] })
		if err == nil || !strings.Contains(err.Error(), variable) {
			t.Errorf("error %v, want one that names %s", err, variable)
		}
	}
}

// BackendTLSPolicy's client certificates are seen by the backend.
func TestClientCertificateIsToldOf(t *testing.T) {
	cert, key, _ := writeKeyPair(t)
	caFile, _, clientPair := writeKeyPair(t)
	env := map[string]string{
		"TLS_SERVER_CERT": cert, "TLS_SERVER_PRIVKEY": key, "TLS_CLIENT_CACERTS": caFile,
		"HTTP_PORT": "0", "H2C_PORT": "0", "HTTPS_PORT": "0",
	}
	var o Options
	if err := o.FromEnv(func(name string) string { return env[name] }); err != nil {
		t.Fatal(err)
	}
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if s.CertificatePEM() != nil {
		t.Error("the server claims to have made the certificate")
	}
	roots := x509.NewCertPool()
	certPEM, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots.AppendCertsFromPEM(certPEM)
	url := "https://localhost:" + port(t, s.Addr(HTTPS)) + "/"
	for _, certificates := range [][]tls.Certificate{nil, {clientPair}} {
		c := &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{RootCAs: roots, Certificates: certificates},
		}}
		_, body := do(t, c, "GET", url, nil)
		if got, want := strings.Contains(body, "BEGIN CERTIFICATE"), certificates != nil; got != want {
			t.Errorf("a client certificate is told of: %v, want %v: %s", got, want, body)
		}
	}
}
