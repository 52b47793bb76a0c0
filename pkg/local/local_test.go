package local_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/egctl/egctl/internal/testenvoy"
	"github.com/egctl/egctl/pkg/controller/source/file"
	"github.com/egctl/egctl/pkg/echo"
	"github.com/egctl/egctl/pkg/local"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/validate"
)

// gateway is a running gateway over a folder of manifests.
type gateway struct {
	t        testing.TB
	dir      string
	port     int // of the HTTP listener
	errs     *buffer
	stop     func()
	backends map[string]int
}

// buffer is a console that a test can read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// start runs a gateway with the given files and waits until it serves.
func start(t testing.TB, backends []string, files map[string]string) *gateway {
	t.Helper()
	return startWith(t, backends, files, func(*local.Options) {})
}

// startWith is start with further options.
func startWith(t testing.TB, backends []string, files map[string]string, more func(*local.Options)) *gateway {
	t.Helper()
	g := &gateway{t: t, dir: t.TempDir(), port: testenvoy.FreePort(t), errs: &buffer{}, backends: map[string]int{}}
	for _, name := range backends {
		g.backends[name] = startEcho(t, name)
	}
	for name, text := range files {
		g.write(name, text)
	}
	v, err := validate.New()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan struct{}, 8)
	done := make(chan error, 2)
	level := slog.LevelWarn
	if testing.Verbose() {
		level = slog.LevelDebug
	}
	options := local.Options{
		Files: &file.Options{Paths: []string{g.dir}, Validator: v},
		Envoy: testenvoy.Path(t), Out: io.Discard, Err: g.errs, DrainTime: time.Second, Concurrency: 2, PortShift: 10000,
		Logger: slog.New(slog.NewTextHandler(g.errs, &slog.HandlerOptions{Level: level})),
		Ready:  func(store.Key) { ready <- struct{}{} },
	}
	more(&options)
	go func() { done <- local.Run(ctx, options) }()
	g.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the gateway ended with: %v", err)
		}
	})
	t.Cleanup(g.stop)
	select {
	case <-ready:
	case err := <-done:
		done <- err
		t.Fatalf("the gateway ended with %v:\n%s", err, g.errs)
	case <-time.After(60 * time.Second):
		t.Fatalf("the gateway is not ready:\n%s", g.errs)
	}
	return g
}

// write replaces a file of the folder. HTTP_PORT and PORT_OF_x in the text are
// filled in.
func (g *gateway) write(name, text string) {
	g.t.Helper()
	text = strings.ReplaceAll(text, "HTTP_PORT", fmt.Sprint(g.port))
	for b, p := range g.backends {
		text = strings.ReplaceAll(text, "PORT_OF_"+b, fmt.Sprint(p))
	}
	tmp := filepath.Join(g.dir, name+".tmp")
	if err := os.WriteFile(tmp, []byte(text), 0o644); err != nil {
		g.t.Fatal(err)
	}
	if err := os.Rename(tmp, filepath.Join(g.dir, name)); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gateway) remove(name string) {
	g.t.Helper()
	if err := os.Remove(filepath.Join(g.dir, name)); err != nil {
		g.t.Fatal(err)
	}
}

// get asks the gateway and returns the status and what the backend saw.
func (g *gateway) get(host, path string) (int, echo.Response) {
	req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", g.port, path), nil)
	if err != nil {
		g.t.Fatal(err)
	}
	req.Host = host
	resp, err := client.Do(req)
	if err != nil {
		return 0, echo.Response{}
	}
	defer resp.Body.Close()
	var seen echo.Response
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, seen
	}
	if resp.StatusCode == http.StatusOK {
		if err := json.Unmarshal(body, &seen); err != nil {
			return 0, seen
		}
	}
	return resp.StatusCode, seen
}

var client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16}}

// eventually waits for something to come true.
func (g *gateway) eventually(what string, ok func() bool) {
	g.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			g.t.Fatalf("%s did not come true; the console says:\n%s", what, g.errs)
		}
	}
}

func startEcho(t testing.TB, name string) int {
	t.Helper()
	s, err := echo.Start(context.Background(), echo.Options{
		Addresses: map[echo.Protocol]string{echo.HTTP: "127.0.0.1:0"},
		Identity:  echo.Identity{Namespace: "default", Pod: name, Service: name},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Shutdown(ctx)
	})
	return s.Addr(echo.HTTP).(*net.TCPAddr).Port
}

const base = `
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
  listeners:
  - {name: http, protocol: HTTP, port: HTTP_PORT}
`

// backend is a Service with one endpoint on this machine.
func backend(name string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: %[1]s}
spec: {ports: [{name: http, port: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %[1]s-1, labels: {kubernetes.io/service-name: %[1]s}}
addressType: IPv4
endpoints: [{addresses: [127.0.0.1]}]
ports: [{name: http, port: PORT_OF_%[1]s}]
`, name)
}

func webRoute(name, host, backend string, weight int) string {
	return fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: %s}
spec:
  parentRefs: [{name: eg}]
  hostnames: [%s]
  rules:
  - backendRefs: [{name: %s, port: 8080, weight: %d}]
`, name, host, backend, weight)
}

func TestFollowsFiles(t *testing.T) {
	g := start(t, []string{"one", "two"}, map[string]string{
		"base.yaml": base, "one.yaml": backend("one"), "two.yaml": backend("two"),
		"web.yaml": webRoute("web", "web.example.com", "one", 1),
	})
	if status, seen := g.get("web.example.com", "/path"); status != 200 || seen.Pod != "one" || seen.Path != "/path" {
		t.Fatalf("got %d from %q for %q", status, seen.Pod, seen.Path)
	}
	if status, _ := g.get("other.example.com", "/"); status != 404 {
		t.Errorf("an unknown host got %d, want 404", status)
	}

	g.write("web.yaml", webRoute("web", "web.example.com", "two", 1))
	g.eventually("the edit", func() bool { _, seen := g.get("web.example.com", "/"); return seen.Pod == "two" })

	// A file that does not parse changes nothing, and says where.
	g.write("web.yaml", webRoute("web", "web.example.com", "one", 1)+"  bad: [")
	g.eventually("the complaint", func() bool { return strings.Contains(g.errs.String(), "web.yaml:") })
	g.write("new.yaml", webRoute("new", "new.example.com", "one", 1))
	g.eventually("the neighbour's route", func() bool { _, seen := g.get("new.example.com", "/"); return seen.Pod == "one" })
	if _, seen := g.get("web.example.com", "/"); seen.Pod != "two" {
		t.Errorf("after a bad edit web is served by %q, want the last good %q", seen.Pod, "two")
	}

	// An object that an API server would refuse stays as it was, too.
	g.write("web.yaml", webRoute("web", "web.example.com", "one", -5))
	g.eventually("the complaint", func() bool { return strings.Contains(g.errs.String(), "weight") })
	if _, seen := g.get("web.example.com", "/"); seen.Pod != "two" {
		t.Errorf("after an invalid edit web is served by %q, want the last good %q", seen.Pod, "two")
	}

	if err := os.Remove(filepath.Join(g.dir, "web.yaml")); err != nil {
		t.Fatal(err)
	}
	g.eventually("the removal", func() bool { status, _ := g.get("web.example.com", "/"); return status == 404 })
}

// TestEnvoyRefusal writes a route that no check but Envoy's own can fault: its
// regular expression is fine for Go and unknown to Envoy's RE2.
func TestEnvoyRefusal(t *testing.T) {
	g := start(t, []string{"one"}, map[string]string{
		"base.yaml": base, "one.yaml": backend("one"), "web.yaml": webRoute("web", "web.example.com", "one", 1),
	})
	bad := strings.Replace(webRoute("odd", "odd.example.com", "one", 1), "  - backendRefs", `  - matches: [{path: {type: RegularExpression, value: "/\\p{Letter}+"}}]
    backendRefs`, 1)
	g.write("odd.yaml", bad+"---"+webRoute("new", "new.example.com", "one", 1))
	g.eventually("the neighbour's route", func() bool { status, _ := g.get("new.example.com", "/"); return status == 200 })
	g.eventually("Envoy's words", func() bool {
		return strings.Contains(g.errs.String(), "EG6001") && strings.Contains(g.errs.String(), "odd.yaml:")
	})
	if status, _ := g.get("web.example.com", "/"); status != 200 {
		t.Errorf("web got %d", status)
	}
	g.write("odd.yaml", webRoute("odd", "odd.example.com", "one", 1))
	g.eventually("the mended route", func() bool { status, _ := g.get("odd.example.com", "/"); return status == 200 })
}
