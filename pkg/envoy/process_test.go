package envoy

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// staticBootstrap serves HTTP on a free port and sends all of it to upstream.
func staticBootstrap(adminSocket, upstream string) []byte {
	host, port, _ := strings.Cut(upstream, ":")
	return fmt.Appendf(nil, `
admin: {address: {pipe: {path: %s, mode: 384}}}
static_resources:
  listeners:
  - name: web
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {path: /direct}
                direct_response: {status: 200, body: {inline_string: hello}}
              - match: {prefix: /}
                route: {cluster: upstream}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: upstream
    connect_timeout: 1s
    load_assignment:
      cluster_name: upstream
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: %s, port_value: %s}}}
`, adminSocket, host, port)
}

// shortDir is a folder whose path leaves room for a socket's name.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "envoy")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func config(t *testing.T, upstream string) ProcessConfig {
	t.Helper()
	dir := filepath.Join(shortDir(t), "eg")
	return ProcessConfig{
		Binary: realEnvoy(t), Dir: dir, Concurrency: 1, DrainTime: 5 * time.Second,
		Bootstrap: staticBootstrap(filepath.Join(dir, "admin.sock"), upstream),
	}
}

func start(t *testing.T, cfg ProcessConfig) *Process {
	t.Helper()
	// t.Context ends before clean-up: what a failed test leaves running ends with it.
	p, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Wait() })
	return p
}

func ready(t *testing.T, p *Process) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := p.Ready(ctx); err != nil {
		t.Fatal(err)
	}
}

// listener returns the address on which the static listener ended up.
func listener(t *testing.T, p *Process) string {
	t.Helper()
	body, err := p.Admin().Get(t.Context(), "/listeners?format=json")
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Statuses []struct {
			Local struct {
				Socket struct {
					Address string `json:"address"`
					Port    int    `json:"port_value"`
				} `json:"socket_address"`
			} `json:"local_address"`
		} `json:"listener_statuses"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || len(answer.Statuses) != 1 {
		t.Fatalf("/listeners: %v: %s", err, body)
	}
	s := answer.Statuses[0].Local.Socket
	return net.JoinHostPort(s.Address, strconv.Itoa(s.Port))
}

func running(pid int) bool { return syscall.Kill(pid, 0) == nil }

// TestServesAndDiesWithContext: the plain life of an Envoy.
func TestServesAndDiesWithContext(t *testing.T) {
	t.Parallel()
	cfg := config(t, "127.0.0.1:1")
	ctx, cancel := context.WithCancelCause(t.Context())
	p, err := Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	ready(t, p)
	pid := p.State().PID
	if body := get(t, "http://"+listener(t, p)+"/direct"); body != "hello" {
		t.Errorf("got %q", body)
	}
	for path, want := range map[string]os.FileMode{cfg.Dir: 0o700, filepath.Join(cfg.Dir, "bootstrap.yaml"): 0o600, filepath.Join(cfg.Dir, "admin.sock"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v; want %v: others must not read it", path, info.Mode().Perm(), err, want)
		}
	}
	why := errors.New("enough")
	cancel(why)
	if err := p.Wait(); !errors.Is(err, why) {
		t.Errorf("Wait says %v, want %v", err, why)
	}
	if running(pid) {
		t.Errorf("Envoy %d still runs", pid)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestComesBack: an Envoy that is killed serves again within a second.
func TestComesBack(t *testing.T) {
	t.Parallel()
	cfg := config(t, "127.0.0.1:1")
	var mu sync.Mutex
	var phases []string
	cfg.OnState = func(s State) {
		mu.Lock()
		defer mu.Unlock()
		phases = append(phases, string(s.Phase))
	}
	p := start(t, cfg)
	ready(t, p)
	first := p.State().PID
	killed := time.Now()
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another Envoy is ready", 10*time.Second, func() bool {
		s := p.State()
		return s.Phase == Ready && s.PID != first
	})
	t.Logf("back after %s", time.Since(killed).Round(time.Millisecond))
	s := p.State()
	if s.Restarts != 1 || s.Err == nil || !strings.Contains(s.Err.Error(), "signal: killed") {
		t.Errorf("state %+v, want one restart because of a kill", s)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if got, want := strings.Join(phases, " "), "Starting Ready BackingOff Starting Ready Draining Stopped"; got != want {
		t.Errorf("phases %s, want %s", got, want)
	}
}

// TestBadBootstrap: an Envoy that cannot start is tried again at growing
// intervals, and what it complains about is passed on.
func TestBadBootstrap(t *testing.T) {
	t.Parallel()
	cfg := config(t, "127.0.0.1:1")
	cfg.Bootstrap = []byte(strings.Replace(string(cfg.Bootstrap), "cluster: upstream", "cluster: nowhere", 1))
	cfg.BackOff = BackOff{Initial: 10 * time.Millisecond, Max: 40 * time.Millisecond, Stable: time.Minute}
	var mu sync.Mutex
	var delays []time.Duration
	cfg.OnState = func(s State) {
		mu.Lock()
		defer mu.Unlock()
		if s.Phase == BackingOff {
			delays = append(delays, s.Delay)
		}
	}
	var log logBuffer
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	p := start(t, cfg)
	eventually(t, "four tries", 10*time.Second, func() bool { return p.State().Restarts >= 4 })
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	err := p.Ready(ctx)
	if err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("Ready says %v, want Envoy's complaint", err)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Errorf("Stop: %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if got := fmt.Sprint(delays[:4]); got != "[10ms 20ms 40ms 40ms]" {
		t.Errorf("waits %s", got)
	}
	if out := log.String(); !strings.Contains(out, "level=ERROR") || !strings.Contains(out, "component=") || !strings.Contains(out, "nowhere") {
		t.Errorf("log without Envoy's complaint:\n%s", out)
	}
}

type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	good := staticBootstrap("/tmp/a.sock", "127.0.0.1:1")
	for want, cfg := range map[string]ProcessConfig{
		"no such file":     {Binary: "/nowhere/envoy", Bootstrap: good, Dir: t.TempDir()},
		"no admin address": {Binary: "/bin/true", Bootstrap: []byte("node: {id: a}"), Dir: t.TempDir()},
	} {
		if _, err := Start(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}

// TestNoOrphan: Envoy ends when the process that runs it is killed.
func TestNoOrphan(t *testing.T) {
	t.Parallel()
	cfg := config(t, "127.0.0.1:1")
	text, err := json.Marshal(runJob{Binary: cfg.Binary, Bootstrap: string(cfg.Bootstrap), Dir: cfg.Dir})
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := newCommand(exe, runEnv+"="+string(text))
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || !running(pid) {
		t.Fatalf("the parent printed %q (%v)", line, err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // it was killed
	eventually(t, "Envoy is gone", 10*time.Second, func() bool { return !alive(pid) })
}

// alive is running, but a zombie that its new parent has not yet collected
// counts as dead.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}

func TestBackOff(t *testing.T) {
	b := BackOff{}.withDefaults()
	for n, want := range map[int]time.Duration{1: 100 * time.Millisecond, 2: 200 * time.Millisecond, 5: 1600 * time.Millisecond, 10: 30 * time.Second, 1000: 30 * time.Second} {
		if got := b.after(n); got != want {
			t.Errorf("after %d deaths %s, want %s", n, got, want)
		}
	}
}
