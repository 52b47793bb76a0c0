package local_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/egctl/egctl/internal/testenvoy"
	"github.com/egctl/egctl/pkg/echo"
	"github.com/egctl/egctl/pkg/translate/testworld"
)

// routed is a gateway with a listener and a route of each kind, in front of two
// backends, "one" and "two", that speak every protocol.
type routed struct {
	*gateway
	ports map[string]int // of listeners, by name
	roots *x509.CertPool // of the gateway's own certificates
	one   *echo.Server
	heard *buffer // what "two" says of its requests
}

const routedGateway = `
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
  allowedListeners: {namespaces: {from: Same}}
  listeners:
  - {name: http, protocol: HTTP, port: AT_http}
  - {name: privileged, protocol: HTTP, port: AT_privileged}
  - {name: https, protocol: HTTPS, port: AT_https, hostname: web.example.com, tls: {certificateRefs: [{name: web}]}}
  - {name: https-wild, protocol: HTTPS, port: AT_https, hostname: "*.example.com", tls: {certificateRefs: [{name: wild}]}}
  - {name: pass, protocol: TLS, port: AT_pass, tls: {mode: Passthrough}}
  - {name: term, protocol: TLS, port: AT_term, hostname: web.example.com, tls: {mode: Terminate, certificateRefs: [{name: web}]}}
  - {name: tcp, protocol: TCP, port: AT_tcp}
  - {name: udp, protocol: UDP, port: AT_udp}
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: more}
spec:
  parentRef: {name: eg}
  listeners: [{name: set, protocol: HTTP, port: AT_set}]
`

const routedRoutes = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{name: eg, sectionName: http}, {name: eg, sectionName: https}, {name: eg, sectionName: https-wild}, {name: eg, sectionName: privileged}]
  hostnames: [web.example.com, other.example.com]
  rules:
  - backendRefs: [{name: one, port: 80}]
  - matches: [{path: {value: /headers}}]
    filters:
    - type: RequestHeaderModifier
      requestHeaderModifier: {set: [{name: x-set, value: gateway}], add: [{name: x-add, value: more}], remove: [x-remove]}
    - type: ResponseHeaderModifier
      responseHeaderModifier: {set: [{name: x-answer, value: gateway}]}
    backendRefs: [{name: one, port: 80}]
  - matches: [{path: {value: /old}}]
    filters: [{type: URLRewrite, urlRewrite: {hostname: new.example.com, path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}}]
    backendRefs: [{name: one, port: 80}]
  - matches: [{path: {value: /moved}}]
    filters: [{type: RequestRedirect, requestRedirect: {scheme: https, hostname: there.example.com, statusCode: 301}}]
  - matches: [{path: {value: /mirrored}}]
    filters: [{type: RequestMirror, requestMirror: {backendRef: {name: two, port: 80}}}]
    backendRefs: [{name: one, port: 80}]
  - matches: [{path: {value: /weighted}}]
    backendRefs: [{name: one, port: 80, weight: 1}, {name: two, port: 80, weight: 1}]
  - matches: [{path: {value: /exact}, method: POST, headers: [{name: x-color, value: red}], queryParams: [{name: q, value: "1"}]}]
    backendRefs: [{name: two, port: 80}]
  - matches: [{path: {value: /ws}}]
    backendRefs: [{name: one, port: 80}]
  - matches: [{path: {value: /h2c}}]
    backendRefs: [{name: one, port: 81}]
  - matches: [{path: {value: /tls}}]
    backendRefs: [{name: one, port: 443}]
  - matches: [{path: {value: /missing}}]
    backendRefs: [{name: nobody, port: 80}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: one}
spec:
  targetRefs: [{group: "", kind: Service, name: one, sectionName: https}]
  validation: {hostname: one.default.svc, caCertificateRefs: [{group: "", kind: ConfigMap, name: ca}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: grpc}
spec:
  parentRefs: [{name: eg, sectionName: http}]
  hostnames: [grpc.example.com]
  rules:
  - matches: [{method: {service: gateway_api_conformance.echo_basic.grpcecho.GrpcEcho, method: Echo}}]
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-set, value: gateway}]}}]
    backendRefs: [{name: one, port: 90}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {name: pass}
spec:
  parentRefs: [{name: eg, sectionName: pass}]
  hostnames: [one.default.svc]
  rules: [{backendRefs: [{name: one, port: 9443}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {name: term}
spec:
  parentRefs: [{name: eg, sectionName: term}]
  hostnames: [web.example.com]
  rules: [{backendRefs: [{name: one, port: 9000}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: tcp}
spec:
  parentRefs: [{name: eg, sectionName: tcp}]
  rules: [{backendRefs: [{name: two, port: 9000}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: UDPRoute
metadata: {name: udp}
spec:
  parentRefs: [{name: eg, sectionName: udp}]
  rules: [{backendRefs: [{name: two, port: 9053}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: set}
spec:
  parentRefs: [{group: gateway.networking.k8s.io, kind: ListenerSet, name: more}]
  rules: [{backendRefs: [{name: two, port: 80}]}]
`

// fullBackend is an echo server of all protocols with its Service and endpoints.
// It logs its requests to heard.
func fullBackend(t *testing.T, name string, heard io.Writer) (*echo.Server, string) {
	t.Helper()
	// Ports of the Service by protocol of the server.
	kinds := []struct {
		protocol echo.Protocol
		port     int
		more     string
	}{
		{echo.HTTP, 80, ""}, {echo.H2C, 81, ", appProtocol: kubernetes.io/h2c"}, {echo.HTTPS, 443, ""}, {echo.GRPC, 90, ""},
		{echo.TCP, 9000, ""}, {echo.TLS, 9443, ""}, {echo.UDP, 9053, ", protocol: UDP"},
	}
	addresses := map[echo.Protocol]string{}
	for _, k := range kinds {
		addresses[k.protocol] = "127.0.0.1:0"
	}
	s, err := echo.Start(context.Background(), echo.Options{
		Addresses: addresses, Identity: echo.Identity{Namespace: "default", Pod: name, Service: name},
		Logger: slog.New(slog.NewTextHandler(heard, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Shutdown(ctx) // its clients may not have gone
	})
	var ports, endpoints strings.Builder
	for _, k := range kinds {
		_, port, err := net.SplitHostPort(s.Addr(k.protocol).String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&ports, "  - {name: %s, port: %d%s}\n", k.protocol, k.port, k.more)
		fmt.Fprintf(&endpoints, "- {name: %s, port: %s%s}\n", k.protocol, port, k.more)
	}
	return s, fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: %[1]s}
spec:
  ports:
%[2]s
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %[1]s-1, labels: {kubernetes.io/service-name: %[1]s}}
addressType: IPv4
endpoints: [{addresses: [127.0.0.1]}]
ports:
%[3]s`, name, ports.String(), endpoints.String())
}

func startRouted(t *testing.T) *routed {
	t.Helper()
	r := &routed{ports: map[string]int{}, roots: x509.NewCertPool(), heard: &buffer{}}
	text := routedGateway
	for _, name := range []string{"http", "https", "pass", "term", "tcp", "udp", "set"} {
		r.ports[name] = testenvoy.FreePort(t)
		text = strings.ReplaceAll(text, "AT_"+name+"}", fmt.Sprint(r.ports[name])+"}")
		text = strings.ReplaceAll(text, "AT_"+name+",", fmt.Sprint(r.ports[name])+",")
	}
	privileged, shifted := freePrivileged(t)
	r.ports["privileged"] = shifted
	text = strings.ReplaceAll(text, "AT_privileged", fmt.Sprint(privileged))
	certificates := ""
	for name, host := range map[string]string{"web": "web.example.com", "wild": "*.example.com"} {
		p := testworld.NewPair(host)
		r.roots.AppendCertsFromPEM([]byte(p.Certificate))
		certificates += "---\n" + strings.Replace(secret(p), "name: cert", "name: "+name, 1)
	}
	var one, two string
	r.one, one = fullBackend(t, "one", io.Discard)
	_, two = fullBackend(t, "two", r.heard)
	ca, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "ca"},
		"data": map[string]any{"ca.crt": string(r.one.CertificatePEM())},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.gateway = start(t, nil, map[string]string{
		"gateway.yaml": text, "routes.yaml": routedRoutes, "one.yaml": one, "two.yaml": two, "cert.yaml": certificates, "ca.json": string(ca),
	})
	r.port = r.ports["http"]
	return r
}

// freePrivileged finds a port below 1024 whose shifted port is free.
func freePrivileged(t *testing.T) (port, shifted int) {
	t.Helper()
	for port = 1023; port > 900; port-- {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+10000))
		if err == nil {
			l.Close()
			return port, port + 10000
		}
	}
	t.Fatal("no port is free")
	return 0, 0
}

// ask sends a request to a listener and returns the answer and what the backend
// saw.
func (r *routed) ask(t *testing.T, method, url, host string, header map[string]string) (*http.Response, echo.Response) {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	for k, v := range header {
		req.Header.Set(k, v)
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: r.roots, ServerName: header["sni"]}, DisableKeepAlives: true,
	}
	resp, err := (&http.Client{Timeout: 30 * time.Second, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}).Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", method, url, err, r.errs)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var seen echo.Response
	_ = json.Unmarshal(body, &seen) // an answer that is not the backend's leaves it empty
	return resp, seen
}

func (r *routed) url(listener, path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d%s", r.ports[listener], path)
}
