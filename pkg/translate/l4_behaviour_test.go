package translate_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/egctl/egctl/internal/testenvoy"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

const l4Gateway = `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: eg}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: eg}
spec:
  gatewayClassName: eg
  tls:
    backend: {clientCertificateRef: {name: client}}
    frontend:
      default: {}
      perPort:
      - {port: $required, tls: {validation: {caCertificateRefs: [{group: "", kind: ConfigMap, name: ca}]}}}
      - {port: $optional, tls: {validation: {mode: AllowInsecureFallback, caCertificateRefs: [{group: "", kind: ConfigMap, name: ca}]}}}
  listeners:
  - {name: http, protocol: HTTP, port: $http}
  - {name: pass, protocol: TLS, port: $mixed, hostname: pass.example.com, tls: {mode: Passthrough}}
  - {name: term, protocol: TLS, port: $mixed, hostname: term.example.com, tls: {certificateRefs: [{name: server}]}}
  - {name: https, protocol: HTTPS, port: $mixed, hostname: https.example.com, tls: {certificateRefs: [{name: server}]}}
  - {name: wide, protocol: TLS, port: $mixed, hostname: "*.example.com", tls: {mode: Passthrough}}
  - {name: inner, protocol: TLS, port: $mixed, hostname: "*.inner.example.com", tls: {mode: Passthrough}}
  - {name: required, protocol: HTTPS, port: $required, tls: {certificateRefs: [{name: server}]}}
  - {name: optional, protocol: HTTPS, port: $optional, tls: {certificateRefs: [{name: server}]}}
  - {name: tcp, protocol: TCP, port: $tcp}
  - {name: udp, protocol: UDP, port: $udp}
  - {name: m-any, protocol: HTTPS, port: $misdirected, tls: {certificateRefs: [{name: server}]}}
  - {name: m-second, protocol: HTTPS, port: $misdirected, hostname: second-example.org, tls: {certificateRefs: [{name: server}]}}
  - {name: m-wild, protocol: HTTPS, port: $misdirected, hostname: "*.wildcard.org", tls: {certificateRefs: [{name: server}]}}
  - {name: m-fourth, protocol: HTTPS, port: $misdirected, hostname: fourth-example.wildcard.org, tls: {certificateRefs: [{name: server}]}}
---
apiVersion: v1
kind: Secret
metadata: {name: server}
data: {tls.crt: $base64(server.crt), tls.key: $base64(server.key)}
---
apiVersion: v1
kind: Secret
metadata: {name: client}
data: {tls.crt: $base64(client.crt), tls.key: $base64(client.key)}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: ca}
data: {ca.crt: $text(ca.crt)}
---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {name: pass}
spec:
  parentRefs: [{name: eg, sectionName: pass}, {name: eg, sectionName: wide}]
  hostnames: ["*.example.com"]
  rules: [{backendRefs: [{name: secure, port: 1}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {name: term}
spec:
  parentRefs: [{name: eg, sectionName: term}]
  hostnames: [term.example.com]
  rules: [{backendRefs: [{name: one, port: 1}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: plain}
spec:
  parentRefs: [{name: eg, sectionName: https}, {name: eg, sectionName: required}, {name: eg, sectionName: optional}]
  rules: [{backendRefs: [{name: plain, port: 1}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: secure}
spec:
  parentRefs: [{name: eg, sectionName: http}]
  rules:
  - matches: [{path: {value: /verified}}]
    backendRefs: [{name: secure, port: 1}]
  - matches: [{path: {value: /uri}}]
    backendRefs: [{name: uri, port: 1}]
  - matches: [{path: {value: /wrong-name}}]
    backendRefs: [{name: wrong-name, port: 1}]
  - matches: [{path: {value: /wrong-ca}}]
    backendRefs: [{name: wrong-ca, port: 1}]
  - matches: [{path: {value: /rolling}}]
    backendRefs: [{name: rolling, port: 1}]
  - matches: [{path: {value: /leaving}}]
    backendRefs: [{name: leaving, port: 1}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: other-ca}
data: {ca.crt: $text(other-ca.crt)}
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: secure}
spec:
  targetRefs: [{group: "", kind: Service, name: secure}]
  validation: {hostname: backend.example.com, caCertificateRefs: [{group: "", kind: ConfigMap, name: ca}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: uri}
spec:
  targetRefs: [{group: "", kind: Service, name: uri}]
  validation: {hostname: backend.example.org, subjectAltNames: [{type: URI, uri: "spiffe://example.com/server"}], caCertificateRefs: [{group: "", kind: ConfigMap, name: ca}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: wrong-name}
spec:
  targetRefs: [{group: "", kind: Service, name: wrong-name}]
  validation: {hostname: backend.example.org, caCertificateRefs: [{group: "", kind: ConfigMap, name: ca}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: wrong-ca}
spec:
  targetRefs: [{group: "", kind: Service, name: wrong-ca}]
  validation: {hostname: backend.example.com, caCertificateRefs: [{group: "", kind: ConfigMap, name: other-ca}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: tcp}
spec:
  parentRefs: [{name: eg}]
  rules: [{backendRefs: [{name: one, port: 1, weight: 2}, {name: two, port: 1, weight: 1}, {name: missing, port: 1, weight: 1}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: UDPRoute
metadata: {name: udp}
spec:
  parentRefs: [{name: eg}]
  rules: [{backendRefs: [{name: udp-one, port: 1, weight: 2}, {name: udp-two, port: 1, weight: 1}, {name: missing, port: 1, weight: 1}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: m-1}
spec:
  parentRefs: [{name: eg, sectionName: m-any}]
  hostnames: [example.org]
  rules: [{backendRefs: [{name: plain, port: 1}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: m-2}
spec:
  parentRefs: [{name: eg, sectionName: m-second}, {name: eg, sectionName: m-wild}, {name: eg, sectionName: m-fourth}]
  rules: [{backendRefs: [{name: plain, port: 1}]}]
`

const l4Service = `
---
apiVersion: v1
kind: Service
metadata: {name: %[1]s}
spec: {ports: [{port: 1, protocol: %[2]s}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %[1]s, labels: {kubernetes.io/service-name: %[1]s}}
addressType: IPv4
ports: [{port: %[3]d, protocol: %[2]s}]
endpoints: [{addresses: [127.0.0.1]}]
`

// l4Draining are more endpoints of a Service, all of which terminate.
const l4Draining = `
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %[1]s-draining, labels: {kubernetes.io/service-name: %[1]s}}
addressType: IPv4
ports: [{port: %[2]d}]
endpoints:
- {addresses: [127.0.0.1], conditions: {ready: false, serving: true, terminating: true}}
- {addresses: [127.0.0.2], conditions: {ready: false, serving: false, terminating: true}}
`

// TestConnections sends connections and datagrams through a real Envoy with the
// translated configuration.
func TestConnections(t *testing.T) {
	binary := testenvoy.Path(t)
	files := testPKI()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(files["ca.crt"])
	pair := func(name string) tls.Certificate {
		c, err := tls.X509KeyPair(files[name+".crt"], files[name+".key"])
		if err != nil {
			t.Fatal(err)
		}
		return c
	}

	input := l4Gateway
	add := func(protocol string, port int, names ...string) {
		for _, n := range names {
			input += fmt.Sprintf(l4Service, n, protocol, port)
		}
	}
	add("TCP", serveHTTP(t, nil, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "plain") }), "plain")
	add("TCP", serveHTTP(t, &tls.Config{Certificates: []tls.Certificate{pair("server")}, ClientAuth: tls.RequestClientCert}, func(w http.ResponseWriter, r *http.Request) {
		name := "nobody"
		if len(r.TLS.PeerCertificates) > 0 {
			name = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		fmt.Fprintf(w, "%s by %s", r.TLS.ServerName, name)
	}), "secure", "uri", "wrong-name", "wrong-ca")
	draining := serveHTTP(t, nil, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "draining") })
	add("TCP", serveHTTP(t, nil, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ready") }), "rolling")
	input += fmt.Sprintf(l4Draining, "rolling", draining)
	input += "\n---\napiVersion: v1\nkind: Service\nmetadata: {name: leaving}\nspec: {ports: [{port: 1}]}\n" + fmt.Sprintf(l4Draining, "leaving", draining)
	for _, n := range []string{"one", "two"} {
		add("TCP", serveTCP(t, n), n)
		add("UDP", serveUDP(t, n), "udp-"+n)
	}
	ports := map[string]int{}
	for _, n := range []string{"http", "mixed", "required", "optional", "tcp", "udp", "misdirected"} {
		ports[n] = testenvoy.FreePort(t)
		input = strings.ReplaceAll(input, "$"+n, fmt.Sprint(ports[n]))
	}
	addr := func(name string) string { return fmt.Sprintf("127.0.0.1:%d", ports[name]) }

	s := settings()
	s.ListenAddress = "127.0.0.1"
	tr := translate.New(s)
	for _, o := range decode(t, []byte(input)) {
		tr.Store.Apply(store.Put(o))
	}
	ch := tr.Update()
	boot := newStatic(t)
	boot.add("", ch, nil)
	startEnvoy(t, binary, boot.write(), addr("http"))

	get := func(t *testing.T, at, url string, config *tls.Config) (int, string, error) {
		t.Helper()
		tp := &http.Transport{
			TLSClientConfig:   config,
			ForceAttemptHTTP2: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "tcp", addr(at))
			},
		}
		defer tp.CloseIdleConnections()
		c := &http.Client{Transport: tp, Timeout: 5 * time.Second}
		resp, err := c.Get(url)
		if err != nil {
			return 0, "", err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b), err
	}
	expect := func(t *testing.T, at, url string, config *tls.Config, code int, body string) {
		t.Helper()
		c, b, err := get(t, at, url, config)
		if err != nil || c != code || body != "" && b != body {
			t.Errorf("%s: %d %q %v, want %d %q", url, c, b, err, code, body)
		}
	}

	t.Run("passthrough", func(t *testing.T) {
		expect(t, "mixed", "https://pass.example.com/", &tls.Config{RootCAs: roots}, 200, "pass.example.com by nobody")
		expect(t, "mixed", "https://other.example.com/", &tls.Config{RootCAs: roots}, 200, "other.example.com by nobody")
	})
	t.Run("https", func(t *testing.T) {
		expect(t, "mixed", "https://https.example.com/", &tls.Config{RootCAs: roots}, 200, "plain")
	})
	t.Run("terminate", func(t *testing.T) {
		c, err := tls.Dial("tcp", addr("mixed"), &tls.Config{RootCAs: roots, ServerName: "term.example.com"})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if b, err := io.ReadAll(c); string(b) != "one" {
			t.Errorf("read %q, %v", b, err)
		}
	})
	t.Run("no listener", func(t *testing.T) {
		// "inner" is more specific than "wide" and has no route.
		for _, name := range []string{"example.org", "a.inner.example.com"} {
			if c, err := tls.Dial("tcp", addr("mixed"), &tls.Config{InsecureSkipVerify: true, ServerName: name}); err == nil {
				c.Close()
				t.Errorf("%s was served", name)
			}
		}
	})
	t.Run("client certificate required", func(t *testing.T) {
		for name, ok := range map[string]bool{"": false, "stranger": false, "client": true} {
			config := &tls.Config{RootCAs: roots}
			if name != "" {
				config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { c := pair(name); return &c, nil }
			}
			code, _, err := get(t, "required", "https://any.example.com/", config)
			if (err == nil && code == 200) != ok {
				t.Errorf("with certificate %q: %d %v", name, code, err)
			}
		}
	})
	t.Run("client certificate optional", func(t *testing.T) {
		for _, name := range []string{"", "stranger", "client"} {
			config := &tls.Config{RootCAs: roots}
			if name != "" {
				config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { c := pair(name); return &c, nil }
			}
			expect(t, "optional", "https://any.example.com/", config, 200, "plain")
		}
	})
	t.Run("backend TLS", func(t *testing.T) {
		expect(t, "http", "http://any/verified", nil, 200, "backend.example.com by client")
		expect(t, "http", "http://any/uri", nil, 200, "backend.example.org by client")
		expect(t, "http", "http://any/wrong-name", nil, 503, "")
		expect(t, "http", "http://any/wrong-ca", nil, 503, "")
	})
	t.Run("draining", func(t *testing.T) {
		for range 20 {
			expect(t, "http", "http://any/rolling", nil, 200, "ready")
			expect(t, "http", "http://any/leaving", nil, 200, "draining")
		}
	})
	t.Run("TCP weights", func(t *testing.T) {
		got := map[string]int{}
		for range 200 {
			c, err := net.Dial("tcp", addr("tcp"))
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(c) // a refused connection is reset
			c.Close()
			got[string(b)]++
		}
		if got["one"] < 70 || got["two"] < 25 || got[""] < 25 || got["one"] > 130 {
			t.Errorf("shares %v, want about 100, 50 and 50 refused", got)
		}
	})
	t.Run("UDP weights", func(t *testing.T) {
		got := map[string]int{}
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 120 {
			wg.Go(func() {
				c, err := net.Dial("udp", addr("udp"))
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				b := make([]byte, 16)
				n := 0
				if _, err := c.Write([]byte("who")); err == nil {
					if err := c.SetReadDeadline(time.Now().Add(2 * time.Second)); err == nil {
						n, _ = c.Read(b) // nothing comes back from what is discarded
					}
				}
				mu.Lock()
				got[string(b[:n])]++
				mu.Unlock()
			})
		}
		wg.Wait()
		if got["one"] < 36 || got["two"] < 12 || got[""] < 12 {
			t.Errorf("shares %v, want about 60, 30 and 30 discarded", got)
		}
	})
	// The rows of the conformance test HTTPRouteHTTPSListenerDetectMisdirectedRequests.
	t.Run("misdirected", func(t *testing.T) {
		for _, row := range []struct {
			sni, host string
			code      int
		}{
			{"example.org", "example.org", 200},
			{"example.org", "second-example.org", 421},
			{"example.org", "unknown-example.org", 404},
			{"second-example.org", "second-example.org", 200},
			{"second-example.org", "example.org", 421},
			{"second-example.org", "unknown-example.org", 421},
			{"third-example.wildcard.org", "third-example.wildcard.org", 200},
			{"third-example.wildcard.org", "fith-example.wildcard.org", 200},
			{"third-example.wildcard.org", "fourth-example.wildcard.org", 421},
			{"third-example.wildcard.org", "second-example.org", 421},
			{"third-example.wildcard.org", "unknown-example.org", 421},
			{"fourth-example.wildcard.org", "fourth-example.wildcard.org", 200},
			{"fourth-example.wildcard.org", "fith-example.wildcard.org", 421},
			{"unknown-example.org", "example.org", 200},
			{"unknown-example.org", "unknown-example.org", 404},
		} {
			expect(t, "misdirected", "https://"+row.host+"/", &tls.Config{InsecureSkipVerify: true, ServerName: row.sni}, row.code, "")
		}
	})
}
