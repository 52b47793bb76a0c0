package shutdown

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/egctl/egctl/internal/testenvoy"
	"github.com/egctl/egctl/pkg/envoy"
)

const config = `
admin: {address: {socket_address: {address: 127.0.0.1, port_value: %[1]d}}}
static_resources:
  listeners:
  - name: http
    address: {socket_address: {address: 127.0.0.1, port_value: %[2]d}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http
          route_config:
            virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: backend, timeout: 60s}}]}]
          http_filters:
          - name: health
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.health_check.v3.HealthCheck
              pass_through_mode: false
              headers: [{name: ":path", string_match: {exact: /ready}}]
          - name: router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: backend
    load_assignment:
      cluster_name: backend
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %[3]d}}}}]}]
`

// proxy is a running Envoy.
type proxy struct {
	port  int
	admin *envoy.Admin
}

func start(t *testing.T, backend int) *proxy {
	t.Helper()
	p := &proxy{port: testenvoy.FreePort(t)}
	p.start(t, testenvoy.FreePort(t), backend)
	eventually(t, "Envoy is ready", p.ready)
	return p
}

// start returns what is closed when Envoy has ended.
func (p *proxy) start(t *testing.T, admin, backend int) (ended <-chan struct{}) {
	t.Helper()
	binary := testenvoy.Path(t)
	p.admin = envoy.NewAdmin("tcp", fmt.Sprintf("127.0.0.1:%d", admin))
	cmd := exec.Command(binary, "--config-yaml", fmt.Sprintf(config, admin, p.port, backend), "--use-dynamic-base-id",
		"--concurrency", "1", "--log-level", "error", "--drain-strategy", "immediate")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-over
	})
	return over
}

// ready is what a load balancer asks.
func (p *proxy) ready() bool {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/ready", p.port))
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

// TestDrainUnderLoad ends one of two proxies while clients ask. A load balancer opens
// new connections to those that are ready, as a Service does.
func TestDrainUnderLoad(t *testing.T) {
	for name, delay := range map[string]time.Duration{"at once": 0, "with a delay": time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				time.Sleep(5 * time.Millisecond)
				_, _ = io.WriteString(w, "ok")
			}))
			t.Cleanup(server.Close)
			backend := server.Listener.Addr().(*net.TCPAddr).Port
			proxies := []*proxy{start(t, backend), start(t, backend)}

			var turn, requests atomic.Int64
			var away [2]atomic.Bool
			ctx, cancel := context.WithCancel(t.Context())
			var all sync.WaitGroup
			all.Go(func() {
				for ; ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
					for i, p := range proxies {
						away[i].Store(!p.ready())
					}
				}
			})
			dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
				i := int(turn.Add(1)) % 2
				if away[i].Load() {
					i = 1 - i
				}
				return (&net.Dialer{}).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", proxies[i].port))
			}
			for i := range 4 {
				// New connections, and kept ones.
				client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: i == 0}}
				all.Go(func() {
					defer client.CloseIdleConnections()
					for ctx.Err() == nil {
						resp, err := client.Post("http://proxy/", "text/plain", strings.NewReader("x")) // which a client does not send twice
						requests.Add(1)
						if err != nil {
							t.Errorf("a request failed: %v", err)
							continue
						}
						body, err := io.ReadAll(resp.Body)
						_ = resp.Body.Close()
						if err != nil || string(body) != "ok" {
							t.Errorf("a request failed: %s %q %v", resp.Status, body, err)
						}
					}
				})
			}
			eventually(t, "both are used", func() bool {
				a, errA := proxies[0].admin.ActiveConnections(ctx)
				b, errB := proxies[1].admin.ActiveConnections(ctx)
				return errors.Join(errA, errB) == nil && a > 0 && b > 0
			})
			begin := time.Now()
			file := filepath.Join(t.TempDir(), "ready")
			err := Drain(ctx, DrainOptions{
				DrainTimeout: 20 * time.Second, MinDrainDuration: 2 * time.Second, HealthCheckFailureDelay: delay,
				Admin: proxies[0].admin, ReadyFile: file,
			})
			took := time.Since(begin)
			if _, stat := os.Stat(file); err != nil || stat != nil {
				t.Errorf("got %v, and the file: %v", err, stat)
			}
			if took < 2*time.Second || took > 15*time.Second {
				t.Errorf("it took %v", took)
			}
			if _, err := proxies[0].admin.Post(ctx, "/quitquitquit"); err != nil {
				t.Error(err)
			}
			time.Sleep(200 * time.Millisecond)
			cancel()
			all.Wait()
			t.Logf("%d requests, drained in %v", requests.Load(), took)
			if requests.Load() < 100 {
				t.Error("that is too little to show anything")
			}
		})
	}
}

func TestDrainEndsInTime(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	p := start(t, server.Listener.Addr().(*net.TCPAddr).Port)
	ended := make(chan error, 1)
	go func() {
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/", p.port))
		if err == nil {
			_ = resp.Body.Close()
		}
		ended <- err
	}()
	eventually(t, "a request hangs", func() bool { n, err := p.admin.ActiveConnections(t.Context()); return err == nil && n == 1 })
	if n, err := p.admin.ActiveConnections(t.Context(), uint32(p.port)); err != nil || n != 0 {
		t.Errorf("without the port there are %d, %v", n, err)
	}
	for name, test := range map[string]struct {
		o        DrainOptions
		min, max time.Duration
	}{
		"at its limit":             {DrainOptions{DrainTimeout: 2 * time.Second}, 2 * time.Second, 5 * time.Second},
		"with connections allowed": {DrainOptions{DrainTimeout: 20 * time.Second, ExitAtConnections: 1}, 0, 5 * time.Second},
	} {
		test.o.Admin, test.o.ReadyFile = p.admin, filepath.Join(t.TempDir(), "ready")
		begin := time.Now()
		err := Drain(t.Context(), test.o)
		if took := time.Since(begin); err != nil || took < test.min || took > test.max {
			t.Errorf("%s: got %v after %v", name, err, took)
		}
		if _, err := os.Stat(test.o.ReadyFile); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	close(release)
	if err := <-ended; err != nil {
		t.Errorf("the request that hung has failed: %v", err)
	}
}

// TestDrainOfAnEnvoyThatStarts is about a pod that is deleted while it starts: the
// kubelet's signal is lost on Envoy, which is to drain and to end all the same.
func TestDrainOfAnEnvoyThatStarts(t *testing.T) {
	admin, p := testenvoy.FreePort(t), &proxy{port: testenvoy.FreePort(t)}
	o := DrainOptions{
		DrainTimeout: time.Minute, MinDrainDuration: time.Second, ReadyFile: filepath.Join(t.TempDir(), "ready"),
		Admin: envoy.NewAdmin("tcp", fmt.Sprintf("127.0.0.1:%d", admin)),
	}
	drained := make(chan error, 1)
	go func() { drained <- Drain(t.Context(), o) }()
	time.Sleep(1500 * time.Millisecond)
	ended := p.start(t, admin, testenvoy.FreePort(t))
	select {
	case err := <-drained:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("an Envoy without connections is not drained")
	}
	if p.ready() {
		t.Error("its health check does not fail")
	}
	if err := Quit(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("Envoy does not end")
	}
	if err := Quit(t.Context(), o); err == nil {
		t.Error("an Envoy that has ended was asked to end")
	}
}

// TestDrainWithoutEnvoy must not hold up the end of the pod.
func TestDrainWithoutEnvoy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ready")
	err := Drain(t.Context(), DrainOptions{
		DrainTimeout: 100 * time.Millisecond, ReadyFile: file, Admin: envoy.NewAdmin("tcp", fmt.Sprintf("127.0.0.1:%d", testenvoy.FreePort(t))),
	})
	if err == nil {
		t.Error("nothing is wrong")
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

func TestManager(t *testing.T) {
	serve := func(m *Manager) (url string, stop func() error) {
		t.Helper()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- m.Serve(ctx, l) }()
		return "http://" + l.Addr().String(), func() error { cancel(); return <-done }
	}
	status := func(url string) int {
		t.Helper()
		resp, err := http.Get(url)
		if err != nil {
			t.Error(err)
			return 0
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	file := filepath.Join(t.TempDir(), "ready")
	// Of a container that died.
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	url, stop := serve(&Manager{ReadyFile: file, ReadyTimeout: 20 * time.Second})
	if got := status(url + "/healthz"); got != http.StatusOK {
		t.Errorf("/healthz: %d", got)
	}
	answer, stopped := make(chan int, 1), make(chan error, 1)
	go func() { answer <- status(url + "/shutdown/ready") }()
	time.Sleep(100 * time.Millisecond)
	go func() { stopped <- stop() }()
	select {
	case got := <-answer:
		t.Fatalf("it answers %d before the drain is done", got)
	case err := <-stopped:
		t.Fatalf("it ends while a hook waits: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	if err := done(file); err != nil {
		t.Fatal(err)
	}
	if got := <-answer; got != http.StatusOK {
		t.Errorf("after the drain: %d", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}

	url, stop = serve(&Manager{ReadyFile: filepath.Join(t.TempDir(), "never"), ReadyTimeout: 200 * time.Millisecond})
	if got := status(url + "/shutdown/ready"); got != http.StatusInternalServerError {
		t.Errorf("without a drain: %d", got)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
