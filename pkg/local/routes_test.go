package local_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

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
func fullBackend(t *testing.T, name string) (*echo.Server, string) {
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
	r := &routed{ports: map[string]int{}, roots: x509.NewCertPool()}
	text := routedGateway
	for _, name := range []string{"http", "https", "pass", "term", "tcp", "udp", "set"} {
		r.ports[name] = freePort(t)
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
	r.one, one = fullBackend(t, "one")
	_, two = fullBackend(t, "two")
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

// TestRoutesCarryTraffic sends traffic of every kind through one gateway.
func TestRoutesCarryTraffic(t *testing.T) {
	r := startRouted(t)
	web := "web.example.com"

	t.Run("HTTPRoute", func(t *testing.T) {
		for name, tc := range map[string]struct {
			method, path string
			header       map[string]string
			status       int
			check        func(*http.Response, echo.Response) bool
		}{
			"plain": {"GET", "/a?b=c", nil, 200, func(_ *http.Response, s echo.Response) bool { return s.Path == "/a?b=c" && s.Host == web }},
			"headers": {"GET", "/headers", map[string]string{"x-set": "client", "x-add": "some", "x-remove": "x"}, 200, func(a *http.Response, s echo.Response) bool {
				return s.Headers.Get("x-set") == "gateway" && strings.Join(s.Headers.Values("x-add"), ",") == "some,more" &&
					s.Headers.Get("x-remove") == "" && a.Header.Get("x-answer") == "gateway"
			}},
			"rewrite": {"GET", "/old/page?x=1", nil, 200, func(_ *http.Response, s echo.Response) bool {
				return s.Path == "/new/page?x=1" && s.Host == "new.example.com"
			}},
			"redirect": {"GET", "/moved/here", nil, 301, func(a *http.Response, _ echo.Response) bool {
				return a.Header.Get("Location") == "https://there.example.com/moved/here"
			}},
			"mirror":   {"GET", "/mirrored", nil, 200, func(_ *http.Response, s echo.Response) bool { return s.Pod == "one" }},
			"match":    {"POST", "/exact?q=1", map[string]string{"x-color": "red"}, 200, func(_ *http.Response, s echo.Response) bool { return s.Pod == "two" && s.Method == "POST" }},
			"no match": {"POST", "/exact?q=2", map[string]string{"x-color": "red"}, 200, func(_ *http.Response, s echo.Response) bool { return s.Pod == "one" }},
			"h2c":      {"GET", "/h2c", nil, 200, func(_ *http.Response, s echo.Response) bool { return s.Proto == "HTTP/2.0" }},
			"BackendTLSPolicy": {"GET", "/tls", nil, 200, func(_ *http.Response, s echo.Response) bool {
				return s.TLS != nil && s.TLS.ServerName == "one.default.svc"
			}},
			"missing backend": {"GET", "/missing", nil, 500, func(*http.Response, echo.Response) bool { return true }},
		} {
			t.Run(name, func(t *testing.T) {
				resp, seen := r.ask(t, tc.method, r.url("http", tc.path), web, tc.header)
				if resp.StatusCode != tc.status || !tc.check(resp, seen) {
					t.Errorf("got %s %v\nthe backend saw %+v", resp.Status, resp.Header, seen)
				}
			})
		}
	})

	t.Run("weights", func(t *testing.T) {
		pods := map[string]int{}
		for range 60 {
			_, seen := r.ask(t, "GET", r.url("http", "/weighted"), web, nil)
			pods[seen.Pod]++
		}
		if pods["one"] < 5 || pods["two"] < 5 || pods["one"]+pods["two"] != 60 {
			t.Errorf("60 requests went to %v", pods)
		}
	})

	t.Run("HTTPS", func(t *testing.T) {
		url := fmt.Sprintf("https://127.0.0.1:%d/", r.ports["https"])
		for name, tc := range map[string]struct {
			sni, host string
			status    int
		}{
			"own name":                     {web, web, 200},
			"the other listener":           {"other.example.com", "other.example.com", 200},
			"misdirected":                  {"other.example.com", web, 421},
			"misdirected, the other way":   {web, "other.example.com", 421},
			"unknown name of the listener": {"unknown.example.com", "unknown.example.com", 404},
		} {
			t.Run(name, func(t *testing.T) {
				resp, _ := r.ask(t, "GET", url, tc.host, map[string]string{"sni": tc.sni})
				if resp.StatusCode != tc.status {
					t.Errorf("got %s, want %d", resp.Status, tc.status)
				}
				if leaf := resp.TLS.PeerCertificates[0]; leaf.VerifyHostname(tc.sni) != nil {
					t.Errorf("the certificate for %s is %v", tc.sni, leaf.DNSNames)
				}
			})
		}
	})

	t.Run("ListenerSet", func(t *testing.T) {
		if resp, seen := r.ask(t, "GET", r.url("set", "/"), "any.example.com", nil); resp.StatusCode != 200 || seen.Pod != "two" {
			t.Errorf("got %s from %q", resp.Status, seen.Pod)
		}
	})
	t.Run("privileged port", func(t *testing.T) {
		if resp, seen := r.ask(t, "GET", r.url("privileged", "/"), web, nil); resp.StatusCode != 200 || seen.Pod != "one" {
			t.Errorf("got %s from %q", resp.Status, seen.Pod)
		}
		r.eventually("the announcement", func() bool {
			return strings.Contains(r.errs.String(), fmt.Sprintf("127.0.0.1:%d (for port %d", r.ports["privileged"], r.ports["privileged"]-10000))
		})
	})
	t.Run("WebSocket", func(t *testing.T) { r.webSocket(t) })
	t.Run("GRPCRoute", func(t *testing.T) { r.grpc(t) })
	t.Run("TCPRoute", func(t *testing.T) {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.ports["tcp"]))
		if err != nil {
			t.Fatal(err)
		}
		if got := talk(t, conn); got.Pod != "two" || got.IsTLS {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("TLSRoute passes through", func(t *testing.T) {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(r.one.CertificatePEM())
		conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.ports["pass"]), &tls.Config{RootCAs: roots, ServerName: "one.default.svc"})
		if err != nil {
			t.Fatal(err)
		}
		if got := talk(t, conn); got.Pod != "one" || !got.IsTLS {
			t.Errorf("got %+v", got)
		}
		if _, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.ports["pass"]), &tls.Config{RootCAs: roots, ServerName: "one"}); err == nil {
			t.Error("a name of no route was served")
		}
	})
	t.Run("TLSRoute terminates", func(t *testing.T) {
		conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.ports["term"]), &tls.Config{RootCAs: r.roots, ServerName: web})
		if err != nil {
			t.Fatal(err)
		}
		if got := talk(t, conn); got.Pod != "one" || got.IsTLS {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("UDPRoute", func(t *testing.T) { r.udp(t) })
}

// talk speaks with the TCP echo and returns what it says of itself.
func talk(t *testing.T, conn net.Conn) echo.TCPResponse {
	t.Helper()
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "TEST\n"); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	if line, err := in.ReadString('\n'); err != nil || line != echo.TCPWelcome {
		t.Fatalf("the welcome is %q, %v", line, err)
	}
	line, err := in.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var got echo.TCPResponse
	if err := json.Unmarshal([]byte(line), &got); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return got
}

func (r *routed) webSocket(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, strings.Replace(r.url("http", "/ws"), "http:", "ws:", 1), &websocket.DialOptions{Host: "web.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	for _, text := range []string{"hello", strings.Repeat("long ", 1000)} {
		if err := conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := conn.Read(ctx); err != nil || string(got) != text {
			t.Fatalf("got %q, %v", got, err)
		}
	}
}

func (r *routed) grpc(t *testing.T) {
	conn, err := grpc.NewClient(fmt.Sprintf("passthrough:///127.0.0.1:%d", r.ports["http"]),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("grpc.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), "x-client", "me"), 30*time.Second)
	defer cancel()
	const service = "/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/"
	// What is unknown in an Empty keeps the answer's bytes, in which the test
	// looks for words.
	answer := &emptypb.Empty{}
	if err := conn.Invoke(ctx, service+"Echo", &emptypb.Empty{}, answer); err != nil {
		t.Fatal(err)
	}
	got := string(answer.ProtoReflect().GetUnknown())
	for _, want := range []string{service + "Echo", "grpc.example.com", "x-client", "x-set", "gateway", "one"} {
		if !strings.Contains(got, want) {
			t.Errorf("the answer has no %q: %q", want, got)
		}
	}
	if err := conn.Invoke(ctx, service+"EchoTwo", &emptypb.Empty{}, answer); status.Code(err) != codes.Unimplemented {
		t.Errorf("a method that no rule matches got %v", err)
	}
}

// udp asks until an answer comes: a datagram may be lost.
func (r *routed) udp(t *testing.T) {
	conn, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", r.ports["udp"]))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	buffer := make([]byte, 65535)
	for range 30 {
		if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "ping"); err != nil {
			continue
		}
		n, err := conn.Read(buffer)
		if err != nil {
			continue
		}
		var got echo.UDPResponse
		if err := json.Unmarshal(buffer[:n], &got); err != nil || got.Request != "ping" || got.Pod != "two" {
			t.Errorf("got %q, %v", buffer[:n], err)
		}
		return
	}
	t.Error("no answer")
}

// TestTwoGateways proves that Gateways do not share a fate: each has an Envoy of
// its own, and the end of one is nothing to the other.
func TestTwoGateways(t *testing.T) {
	other := freePort(t)
	second := strings.ReplaceAll(base[strings.Index(base, "---"):], "metadata: {name: eg}", "metadata: {name: second}")
	second = strings.ReplaceAll(second, "HTTP_PORT", fmt.Sprint(other))
	files := map[string]string{
		"base.yaml": base, "one.yaml": backend("one"), "second.yaml": second,
		"web.yaml":   webRoute("web", "web.example.com", "one", 1),
		"other.yaml": strings.Replace(webRoute("other", "web.example.com", "one", 1), "parentRefs: [{name: eg}]", "parentRefs: [{name: second}]", 1),
	}
	g := start(t, []string{"one"}, files)
	two := &gateway{t: t, port: other, errs: g.errs}
	g.eventually("both", func() bool {
		a, _ := g.get("web.example.com", "/")
		b, _ := two.get("web.example.com", "/")
		return a == 200 && b == 200
	})
	if a, b := listenerPID(t, g.port), listenerPID(t, other); a == b {
		t.Errorf("one process, %d, serves both", a)
	}
	l := startLoad(fmt.Sprintf("http://127.0.0.1:%d/", g.port), "web.example.com", nil)
	g.remove("second.yaml")
	g.eventually("the end of the second", func() bool {
		return strings.Contains(g.errs.String(), "second no longer listens") && refusesConnections(other)
	})
	g.write("second.yaml", second)
	g.eventually("the second again", func() bool { s, _ := two.get("web.example.com", "/"); return s == 200 })
	// The first still follows its files.
	g.write("web.yaml", webRoute("web", "new.example.com", "one", 1)+"---"+webRoute("old", "web.example.com", "one", 1))
	g.eventually("an edit of the first", func() bool { s, _ := g.get("new.example.com", "/"); return s == 200 })
	sent, failed := l.stop()
	if sent == 0 || len(failed) > 0 {
		t.Errorf("of %d requests to the first failed %v", sent, failed)
	}
	if n := strings.Count(g.errs.String(), "error:"); n > 0 {
		t.Errorf("the console says %s", g.errs)
	}
}

// TestGatewayComesBack takes a Gateway away and gives it back while its proxy
// still has a connection to drain, which keeps sockets and ports occupied.
func TestGatewayComesBack(t *testing.T) {
	gateway := base[strings.Index(base, "---"):]
	g := start(t, []string{"one"}, map[string]string{
		"class.yaml": base[:strings.Index(base, "---")], "gateway.yaml": gateway, "one.yaml": backend("one"),
		"web.yaml": webRoute("web", "web.example.com", "one", 1),
	})
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", g.port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: web.example.com\r\nContent-Length: 10\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	pid := listenerPID(t, g.port)
	g.remove("gateway.yaml")
	g.eventually("the end of the Gateway", func() bool { return strings.Contains(g.errs.String(), "no longer listens") })
	g.write("gateway.yaml", gateway)
	g.eventually("the Gateway again", func() bool { return strings.Count(g.errs.String(), "listens on") == 2 })
	if s, _ := g.get("web.example.com", "/"); s != 200 {
		t.Errorf("the Gateway answers %d", s)
	}
	if listenerPID(t, g.port) == pid {
		t.Error("the proxy that is to end serves the Gateway that came back")
	}
	if strings.Contains(g.errs.String(), "cannot be started") || strings.Contains(g.errs.String(), "error:") {
		t.Errorf("the console says:\n%s", g.errs)
	}
}

func refusesConnections(port int) bool {
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err == nil {
		c.Close()
	}
	return err != nil
}

// TestPortTaken runs a gateway one of whose ports another program has: it is
// said where it is written, the other port is served, and the taken one is as
// soon as it is free.
func TestPortTaken(t *testing.T) {
	squatter, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer squatter.Close()
	port := squatter.Addr().(*net.TCPAddr).Port
	g := start(t, []string{"one"}, map[string]string{
		"base.yaml": base + fmt.Sprintf("  - {name: taken, protocol: HTTP, port: %d}\n", port),
		"one.yaml":  backend("one"), "web.yaml": webRoute("web", "web.example.com", "one", 1),
	})
	g.eventually("the free port", func() bool { s, _ := g.get("web.example.com", "/"); return s == 200 })
	g.eventually("the complaint", func() bool { return strings.Contains(g.errs.String(), "base.yaml:14:") })
	said := g.errs.String()
	for _, want := range []string{"error EG6001", "spec.listeners[1].port", fmt.Sprintf("port %d", port), "Address already in use", fmt.Sprintf("listens on 127.0.0.1:%d\n", g.port)} {
		if !strings.Contains(said, want) {
			t.Errorf("there is no %q in:\n%s", want, said)
		}
	}
	// An edit elsewhere in the Gateway does not settle it.
	g.write("base.yaml", base+fmt.Sprintf("  - {name: taken, protocol: HTTP, port: %d}\n  - {name: third, protocol: HTTP, port: %d}\n", port, freePort(t)))
	g.eventually("the third listener", func() bool { return strings.Count(g.errs.String(), "listens on") == 2 })
	if strings.Contains(g.errs.String(), "settled") {
		t.Errorf("settled, while the port is taken:\n%s", g.errs)
	}
	squatter.Close()
	two := &gateway{t: t, port: port, errs: g.errs}
	g.eventually("the freed port", func() bool { s, _ := two.get("web.example.com", "/"); return s == 200 })
	g.eventually("the all-clear", func() bool { return strings.Contains(g.errs.String(), "settled: EG6001") })
}

// TestPortIsNotShared runs two gateways on one port: the second must say so and
// not take half of the first one's connections.
func TestPortIsNotShared(t *testing.T) {
	files := map[string]string{"base.yaml": base, "one.yaml": backend("one"), "web.yaml": webRoute("web", "web.example.com", "one", 1)}
	first := start(t, []string{"one"}, files)
	more := maps.Clone(files)
	more["base.yaml"] = strings.ReplaceAll(base, "HTTP_PORT", fmt.Sprint(first.port)) + "  - {name: own, protocol: HTTP, port: HTTP_PORT}\n"
	second := start(t, []string{"one"}, more)
	second.eventually("the complaint", func() bool {
		return strings.Contains(second.errs.String(), fmt.Sprintf("port %d: cannot bind", first.port))
	})
	pid := listenerPID(t, first.port)
	first.stop()
	second.eventually("the port to pass on", func() bool { return !refusesConnections(first.port) && listenerPID(t, first.port) != pid })
}
