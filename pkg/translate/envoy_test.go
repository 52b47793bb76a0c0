package translate_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/egctl/egctl/internal/testcert"
	"github.com/egctl/egctl/internal/testenvoy"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

// echo is what the test's backends answer: the request as they saw it.
type echo struct {
	Backend, Method, Host, Path, Body string
	Header                            http.Header
}

// backends are real servers on this machine.
type backends struct {
	mu   sync.Mutex
	seen map[string]int // requests by backend
	by   map[string]int // requests by X-Id
}

func (b *backends) count(name string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen[name]
}

// handler echoes. X-Sleep delays, X-Fail-First fails the first request of an X-Id.
func (b *backends) handler(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Id")
		b.mu.Lock()
		b.seen[name]++
		b.by[id]++
		first := b.by[id] == 1
		b.mu.Unlock()
		if r.Header.Get("Upgrade") == "websocket" {
			upgrade(w)
			return
		}
		if d, err := time.ParseDuration(r.Header.Get("X-Sleep")); err == nil {
			select {
			case <-time.After(d):
			case <-r.Context().Done():
			}
		}
		w.Header().Set("X-Backend", name)
		w.Header().Add("X-Twice", "backend")
		if code := r.Header.Get("X-Fail-First"); code != "" && first {
			var status int
			if _, err := fmt.Sscan(code, &status); err != nil {
				status = http.StatusTeapot // which no test expects
			}
			w.WriteHeader(status)
			return
		}
		body, _ := io.ReadAll(r.Body)
		_ = json.NewEncoder(w).Encode(echo{name, r.Method, r.Host, r.RequestURI, string(body), r.Header})
	})
}

func upgrade(w http.ResponseWriter) {
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	_ = rw.Flush() // a client that is gone is the test's to notice
	line, _ := rw.ReadString('\n')
	fmt.Fprintf(rw, "echo %s", line)
	_ = rw.Flush()
}

// authorise is an HTTP authorisation service.
func authorise(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Asked", r.URL.Path)
	w.Header().Set("X-Saw", r.Header.Get("X-Token")+"/"+r.Header.Get("X-Secret"))
	w.Header().Set("X-User", "alice")
	if r.Header.Get("Authorization") != "Bearer good" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	fmt.Fprint(w, "a body that is nobody's business")
}

// proxy is an Envoy with the translation of some objects.
type proxy struct {
	http, https string // addresses
	httpPort    string
	*backends
}

// startGateway runs Envoy with objects, in which PORT and TLSPORT stand for
// free ports, and the Services web, api, h2, auth, dead and half.
func startGateway(t *testing.T, objects string) *proxy {
	t.Helper()
	envoy := testenvoy.Path(t)
	g := &proxy{backends: &backends{seen: map[string]int{}, by: map[string]int{}}}
	dead := testenvoy.FreePort(t)
	all := []string{class}
	for name, h := range map[string]http.Handler{
		"web": g.handler("web"), "api": g.handler("api"), "auth": http.HandlerFunc(authorise),
	} {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		port := s.Listener.Addr().(*net.TCPAddr).Port
		all = append(all, service(name, port))
		if name == "web" {
			all = append(all, service("half", port, dead))
		}
	}
	all = append(all, service("dead", dead), certificate())
	port, tlsPort := testenvoy.FreePort(t), testenvoy.FreePort(t)
	g.httpPort = fmt.Sprint(port)
	g.http, g.https = fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("127.0.0.1:%d", tlsPort)
	all = append(all, strings.NewReplacer("TLSPORT", fmt.Sprint(tlsPort), "PORT", fmt.Sprint(port)).Replace(objects))

	s := settings()
	s.ListenAddress = "127.0.0.1"
	tr := translate.New(s)
	for _, o := range decode(t, []byte(strings.Join(all, "\n---\n"))) {
		tr.Store.Apply(store.Put(o))
	}
	changes := tr.Update()
	boot := newStatic(t)
	boot.add("", changes, nil)
	run(t, envoy, boot.write(), g.http)
	return g
}

// run keeps Envoy running until the test ends, and waits for an address.
func run(t *testing.T, envoy, file, address string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, envoy, "-c", file, "--concurrency", "1", "--use-dynamic-base-id", "-l", "error")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cancel()
		<-ended //nolint:errcheck // it was killed
	})
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("Envoy ended: %v\n%s", err, said.String())
		default:
		}
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return
		}
	}
	t.Fatal("Envoy does not listen")
}

const class = `apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: eg}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}`

// service has one EndpointSlice for each port of this machine.
func service(name string, ports ...int) string {
	out := fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec:\n  ports: [{name: http, port: 80}]", name)
	for i, port := range ports {
		out += fmt.Sprintf(`
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %s-%d, labels: {kubernetes.io/service-name: %s}}
addressType: IPv4
endpoints: [{addresses: [127.0.0.1]}]
ports: [{name: http, port: %d}]`, name, i, name, port)
	}
	return out
}

// certificate is a Secret for *.example.com.
func certificate() string {
	p := testcert.SelfSigned("*.example.com")
	return fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: cert}\ntype: kubernetes.io/tls\ndata:\n  tls.crt: %s\n  tls.key: %s",
		base64.StdEncoding.EncodeToString(p.Certificate), base64.StdEncoding.EncodeToString(p.Key))
}

// answer is a response with what the backend saw, if one did.
type answer struct {
	Status int
	Header http.Header
	Echo   echo
}

// ask sends a request: "METHOD path", with headers as "Name: value".
func (g *proxy) ask(t *testing.T, host, request string, headers ...string) answer {
	t.Helper()
	return ask(t, http.DefaultTransport, "http://"+g.http, host, request, headers...)
}

func ask(t *testing.T, via http.RoundTripper, base, host, request string, headers ...string) answer {
	t.Helper()
	method, path, _ := strings.Cut(request, " ")
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader("hello")
	}
	req, err := http.NewRequest(method, base+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	for _, h := range headers {
		n, v, _ := strings.Cut(h, ": ")
		req.Header.Add(n, v)
	}
	res, err := via.RoundTrip(req)
	if err != nil {
		t.Fatalf("%s of %s: %v", request, host, err)
	}
	defer res.Body.Close()
	a := answer{Status: res.StatusCode, Header: res.Header}
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = json.Unmarshal(data, &a.Echo) // not all answers are a backend's
	for k, v := range res.Trailer {
		a.Header[k] = v
	}
	return a
}

// want checks a header of the answer; "" means that it must be absent.
func (a answer) want(t *testing.T, status int, headers ...string) {
	t.Helper()
	if a.Status != status {
		t.Errorf("status %d, want %d", a.Status, status)
	}
	for _, h := range headers {
		n, v, _ := strings.Cut(h, ":")
		if got := strings.Join(a.Header.Values(n), ", "); got != strings.TrimSpace(v) {
			t.Errorf("header %s is %q, want %q", n, got, strings.TrimSpace(v))
		}
	}
}

// plainHTTP2 speaks HTTP/2 without TLS, as gRPC clients do.
func plainHTTP2() *http.Transport {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return &http.Transport{Protocols: p}
}

// trusting connects to a fixed address whatever the server name.
func trusting(address, serverName string) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: serverName},
	}
}

// websocket upgrades a connection and says a line.
func websocket(t *testing.T, address, host string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprintf(c, "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n", host)
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %d", res.StatusCode)
	}
	fmt.Fprintln(c, "ping")
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}
