package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/egctl/egctl/internal/testenvoy"
	"github.com/egctl/egctl/pkg/echo"
)

func TestQuickstart(t *testing.T) {
	testenvoy.Path(t)
	p := launch(t, "quickstart", "--local", "--once")
	if code := p.exit(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, p.err.String())
	}
	var seen echo.Response
	if err := json.Unmarshal([]byte(p.out.String()), &seen); err != nil || seen.Host != "www.example.com" || seen.Service != "backend" || seen.Path != "/" {
		t.Errorf("%v: the answer is %s", err, p.out.String())
	}
	for _, want := range []string{`$ curl -H "Host: www.example.com" http://127.0.0.1:`, "HTTP/1.1 200 OK"} {
		if !strings.Contains(p.err.String(), want) {
			t.Errorf("there is no %q in:\n%s", want, p.err.String())
		}
	}
}

func TestNoEnvoy(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "no-envoy")
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, []byte("#!/bin/sh\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"quickstart", "--local", "--once", "--envoy-path", missing}, 1, missing},
		{[]string{"quickstart", "--local", "--once", "--envoy-path", broken}, 1, broken},
		{[]string{"run", "-f", t.TempDir(), "--envoy-path", missing}, 1, missing},
		{[]string{"run", "-f", missing}, 1, missing},
		{[]string{"run"}, 2, "-f"},
		{[]string{"run", "-f", t.TempDir(), "--backend", "web=1"}, 2, "--backend"},
	} {
		if strings.Contains(strings.Join(tc.args, " "), "-f "+missing) {
			testenvoy.Path(t)
		}
		p := launch(t, tc.args...)
		if code := p.exit(); code != tc.code || !strings.Contains(p.err.String(), "error: ") || !strings.Contains(p.err.String(), tc.want) {
			t.Errorf("%v: exit code %d, want %d and %q:\n%s", tc.args, code, tc.code, tc.want, p.err.String())
		}
	}
}

const routeText = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: NAME}
spec:
  parentRefs: [{name: eg}]
  hostnames: [NAME.example.com]
  rules:
  - backendRefs: [{name: web, port: 8080}]
`

func route(name string) string { return strings.ReplaceAll(routeText, "NAME", name) }

func gatewayOn(port int) string {
	return fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: eg}
spec:
  gatewayClassName: eg
  listeners:
  - {name: http, protocol: HTTP, port: %d}
`, port)
}

// serve runs egctl over a folder with one route, web.
func serve(t *testing.T, more ...string) (p *process, f folder, port int) {
	t.Helper()
	return serveFrom(t, backend(t), more...)
}

// serveFrom is serve with another backend.
func serveFrom(t *testing.T, backend string, more ...string) (p *process, f folder, port int) {
	t.Helper()
	testenvoy.Path(t)
	f, port = folder{t, t.TempDir()}, testenvoy.FreePort(t)
	f.write("gateway.yaml", gatewayOn(port))
	f.write("web.yaml", route("web"))
	p = launch(t, append([]string{"run", "-f", f.dir, "--backend", "web:8080=" + backend}, more...)...)
	p.eventually("the route", func() bool { return status(port, "web.example.com", "/") == 200 })
	return p, f, port
}

// TestRunEndsGently sends SIGTERM while a request is under way: it is answered,
// egctl exits with 0, and nothing is left behind.
func TestRunEndsGently(t *testing.T) {
	egctl(t) // the build has temporary files of its own
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	arrived, proceed := make(chan struct{}), make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(arrived)
			<-proceed
		}
	}))
	t.Cleanup(web.Close)
	p, _, port := serveFrom(t, web.Listener.Addr().String())
	pids := p.children()
	answer := make(chan int, 1)
	go func() { answer <- status(port, "web.example.com", "/slow") }()
	<-arrived
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(time.Second, func() { close(proceed) }) // whoever does not wait has ended by then
	if got := <-answer; got != 200 {
		t.Errorf("the request under way got %d", got)
	}
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, p.err.String())
	}
	p.gone(pids)
	left, err := os.ReadDir(temporary)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// TestRunIsKilled: whatever ends egctl ends its Envoy.
func TestRunIsKilled(t *testing.T) {
	p, _, port := serve(t)
	pids := p.children()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.exit()
	p.gone(pids)
	if got := status(port, "web.example.com", "/"); got != 0 {
		t.Errorf("somebody still answers: %d", got)
	}
}

// TestRunTwice runs a second egctl on the ports of the first.
func TestRunTwice(t *testing.T) {
	_, f, port := serve(t)
	second := launch(t, "run", "-f", f.dir, "--backend", "web:8080="+backend(t))
	second.says(fmt.Sprintf("gateway.yaml:7:34: error EG6001: Gateway default/eg: spec.listeners[0].port: port %d: cannot bind '127.0.0.1:%d': Address already in use", port, port))
	if strings.Contains(second.err.String(), "listens on") {
		t.Errorf("it says that it listens:\n%s", second.err.String())
	}
	if got := status(port, "web.example.com", "/"); got != 200 {
		t.Errorf("the first answers %d", got)
	}
}

// TestRunCompletes serves a lone route: class, Gateway and endpoints are made up
// and said to be.
func TestRunCompletes(t *testing.T) {
	testenvoy.Path(t)
	f := folder{t, t.TempDir()}
	f.write("web.yaml", route("web"))
	p := launch(t, "run", "-f", f.dir, "--port-shift", fmt.Sprint(freeShift(t)), "--backend", "web:8080="+backend(t))
	p.says("note: made up GatewayClass", "Gateway default/eg", "listens on 127.0.0.1:", "(for port 80, which needs privileges)")
	var port int
	_, rest, _ := strings.Cut(p.err.String(), "listens on 127.0.0.1:")
	if _, err := fmt.Sscan(strings.SplitN(rest, " ", 2)[0], &port); err != nil {
		t.Fatal(err)
	}
	p.eventually("the route", func() bool { return status(port, "web.example.com", "/") == 200 })
}

func freeShift(t *testing.T) int { return testenvoy.FreePort(t) - 443 }

// TestRunReports: what is wrong is said with file and line, and costs nothing
// else.
func TestRunReports(t *testing.T) {
	p, f, port := serve(t)
	f.write("malformed.yaml", "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: x\nspec: [\n")
	p.says("malformed.yaml:", "error EG1")
	f.write("refused.yaml", strings.Replace(route("odd"), "  - backendRefs", `  - matches: [{path: {type: RegularExpression, value: "/\\p{Letter}+"}}]
    backendRefs`, 1)+"---\n"+route("new"))
	p.eventually("the neighbour", func() bool { return status(port, "new.example.com", "/") == 200 })
	p.says("refused.yaml:1:1: error EG6001: HTTPRoute default/odd", "Letter")
	if strings.Contains(p.err.String(), "HTTPRoute default/new") {
		t.Errorf("the neighbour is accused:\n%s", p.err.String())
	}
	if got := status(port, "web.example.com", "/"); got != 200 {
		t.Errorf("web got %d", got)
	}
	// What is deleted and comes back mended is another object.
	if err := os.Remove(filepath.Join(f.dir, "refused.yaml")); err != nil {
		t.Fatal(err)
	}
	p.eventually("the end of new", func() bool { return status(port, "new.example.com", "/") == 404 })
	f.write("refused.yaml", route("odd"))
	p.eventually("the mended route", func() bool { return status(port, "odd.example.com", "/") == 200 })
}

// TestFilesUnderLoad does to the files of a route that is under load what
// editors and tools do, and demands that no request fails.
func TestFilesUnderLoad(t *testing.T) {
	p, f, port := serve(t, "-R")
	ctx, cancel := context.WithCancel(context.Background())
	var sent, failed atomic.Int64
	var group sync.WaitGroup
	var doing, first atomic.Value
	doing.Store("nothing yet")
	for range 3 {
		group.Go(func() {
			for ctx.Err() == nil {
				sent.Add(1)
				if got := status(port, "web.example.com", "/"); got != http.StatusOK {
					failed.Add(1)
					first.CompareAndSwap(nil, fmt.Sprintf("%d while %s", got, doing.Load()))
				}
			}
		})
	}
	path := filepath.Join(f.dir, "web.yaml")
	for i := range 10 { // truncate, then write in two pieces
		doing.Store(fmt.Sprintf("writing in pieces, %d", i))
		text := route("web") + fmt.Sprintf("# %d\n", i)
		w, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(i) * 10 * time.Millisecond)
		for _, piece := range []string{text[:120], text[120:]} {
			if _, err := w.WriteString(piece); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Millisecond)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5 { // to and fro, into a folder that is new
		doing.Store(fmt.Sprintf("moving to and fro, %d", i))
		sub := filepath.Join(f.dir, fmt.Sprintf("sub%d", i))
		if err := os.Mkdir(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, step := range [][2]string{{path, filepath.Join(sub, "web.yaml")}, {filepath.Join(sub, "web.yaml"), path}} {
			if err := os.Rename(step[0], step[1]); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	doing.Store("writing many")
	for i := range 1000 {
		f.write(fmt.Sprintf("many-%d.yaml", i), route(fmt.Sprintf("many-%d", i)))
	}
	p.eventually("the last of many", func() bool { return status(port, "many-999.example.com", "/") == 200 })
	cancel()
	group.Wait()
	if n := failed.Load(); n > 0 || sent.Load() < 100 {
		t.Errorf("%d of %d requests failed, the first with %v; egctl says:\n%s", n, sent.Load(), first.Load(), p.err.String())
	}
}
