package local_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/egctl/egctl/internal/testenvoy"
	"github.com/egctl/egctl/pkg/translate/testworld"
)

// load sends requests without pause from a few clients and counts.
type load struct {
	cancel context.CancelFunc
	group  sync.WaitGroup
	sent   atomic.Int64
	mu     sync.Mutex
	failed []string
}

// startLoad sends GET requests to url for host. Every second client opens a new
// connection for each request; the others keep theirs.
func startLoad(url, host string, roots *x509.CertPool) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{cancel: cancel}
	for i := range 4 {
		transport := &http.Transport{DisableKeepAlives: i%2 == 1, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: host}}
		c := &http.Client{Transport: transport, Timeout: 10 * time.Second}
		l.group.Add(1)
		go func() {
			defer l.group.Done()
			defer transport.CloseIdleConnections()
			for ctx.Err() == nil {
				l.once(ctx, c, url, host)
			}
		}()
	}
	return l
}

func (l *load) once(ctx context.Context, c *http.Client, url, host string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		l.fail(err.Error())
		return
	}
	req.Host = host
	resp, err := c.Do(req)
	if err != nil {
		if ctx.Err() == nil {
			l.fail(err.Error())
		}
		return
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if ctx.Err() != nil {
		return
	}
	l.sent.Add(1)
	if err != nil || resp.StatusCode != http.StatusOK {
		l.fail(fmt.Sprintf("%s %v", resp.Status, err))
	}
}

func (l *load) fail(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = append(l.failed, time.Now().Format("05.000 ")+what)
}

// stop returns how many requests were answered, and what failed.
func (l *load) stop() (int64, []string) {
	l.cancel()
	l.group.Wait()
	return l.sent.Load(), l.failed
}

const tlsGateway = `
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
  - {name: https, protocol: HTTPS, port: HTTPS_PORT, hostname: web.example.com, tls: {certificateRefs: [{name: cert}]}}
`

func secret(p testworld.Pair) string {
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	return fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: cert}\ntype: kubernetes.io/tls\ndata: {tls.crt: %s, tls.key: %s}\n",
		b64(p.Certificate), b64(p.Key))
}

// TestEditsUnderLoad makes 200 edits of every kind while requests flow by HTTP
// and HTTPS, and demands that not one of them fails.
func TestEditsUnderLoad(t *testing.T) {
	pairs := []testworld.Pair{testworld.NewPair("web.example.com"), testworld.NewPair("web.example.com")}
	roots := x509.NewCertPool()
	for _, p := range pairs {
		roots.AppendCertsFromPEM([]byte(p.Certificate))
	}
	https := testenvoy.FreePort(t)
	withTLS := strings.ReplaceAll(tlsGateway, "HTTPS_PORT", fmt.Sprint(https))
	g := start(t, []string{"one", "two"}, map[string]string{
		"base.yaml": withTLS, "cert.yaml": secret(pairs[0]), "one.yaml": backend("one"), "two.yaml": backend("two"),
		"web.yaml": webRoute("web", "web.example.com", "one", 1),
	})
	loads := []*load{
		startLoad(fmt.Sprintf("http://127.0.0.1:%d/", g.port), "web.example.com", nil),
		startLoad(fmt.Sprintf("https://127.0.0.1:%d/", https), "web.example.com", roots),
	}
	extra := testenvoy.FreePort(t)
	edits := []func(i int){
		func(i int) { g.write("web.yaml", webRoute("web", "web.example.com", []string{"one", "two"}[i%2], 1+i)) },
		func(i int) { g.write("web.yaml", weighted("web.example.com", 1+i%9, 10-i%9)) },
		func(i int) {
			g.write("web.yaml", strings.Replace(webRoute("web", "web.example.com", "two", 1), "  - backendRefs",
				fmt.Sprintf("  - filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-edit, value: \"%d\"}]}}]\n    backendRefs", i), 1))
		},
		func(i int) { g.write("cert.yaml", secret(pairs[i%2])) },
		func(i int) {
			more := ""
			if i%2 == 0 {
				more = fmt.Sprintf("  - {name: extra, protocol: HTTP, port: %d}\n", extra)
			}
			g.write("base.yaml", withTLS+more)
		},
		func(i int) {
			g.write("other.yaml", webRoute("other", fmt.Sprintf("other-%d.example.com", i), "one", 1))
		},
		func(i int) { // the endpoint moves to a new EndpointSlice
			g.write("one.yaml", strings.Replace(backend("one"), "one-1", fmt.Sprintf("one-%d", i), 1))
		},
		func(i int) {
			if i%2 == 0 {
				g.write("three.yaml", strings.ReplaceAll(strings.Replace(backend("one"), "name: one-1", "name: three-1", 1), "name: one", "name: three"))
			} else if err := os.Remove(filepath.Join(g.dir, "three.yaml")); err != nil && !os.IsNotExist(err) {
				t.Error(err)
			}
		},
	}
	for i := range 200 {
		edits[i%len(edits)](i / len(edits))
		time.Sleep(20 * time.Millisecond)
	}
	time.Sleep(300 * time.Millisecond)
	for i, l := range loads {
		sent, failed := l.stop()
		t.Logf("load %d: %d requests", i, sent)
		if len(failed) > 0 {
			t.Errorf("load %d: %d of %d requests failed, the first: %v", i, len(failed), sent, failed[:min(5, len(failed))])
		}
		if sent < 500 {
			t.Errorf("load %d: only %d requests: the test proves little", i, sent)
		}
	}
	if t.Failed() {
		t.Logf("console:\n%s", g.errs)
	}
}

// weighted is a route to both backends.
func weighted(host string, one, two int) string {
	return strings.Replace(webRoute("web", host, "one", one), "weight: "+fmt.Sprint(one)+"}]",
		fmt.Sprintf("weight: %d}, {name: two, port: 8080, weight: %d}]", one, two), 1)
}

// TestKilledEnvoyComesBack kills Envoy under load and demands that it serves
// again, by itself, within a second or two.
func TestKilledEnvoyComesBack(t *testing.T) {
	g := start(t, []string{"one"}, map[string]string{
		"base.yaml": base, "one.yaml": backend("one"), "web.yaml": webRoute("web", "web.example.com", "one", 1),
	})
	l := startLoad(fmt.Sprintf("http://127.0.0.1:%d/", g.port), "web.example.com", nil)
	time.Sleep(200 * time.Millisecond)
	pid := listenerPID(t, g.port)
	begin := time.Now()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	g.eventually("the end of the killed Envoy", func() bool { return syscall.Kill(pid, 0) != nil })
	g.eventually("another Envoy", func() bool { status, _ := g.get("web.example.com", "/"); return status == 200 })
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	sent, _ := l.stop() // requests fail while nobody listens
	if sent == 0 {
		t.Error("there was no load")
	}
}

// listenerPID finds the process that listens on a port of this machine.
func listenerPID(t *testing.T, port int) int {
	t.Helper()
	inode := ""
	data, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Skipf("finding Envoy's process needs Linux: %v", err)
	}
	for _, line := range strings.Split(string(data), "\n") {
		f := strings.Fields(line)
		if len(f) > 9 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) && f[3] == "0A" {
			inode = f[9]
		}
	}
	fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if link, err := os.Readlink(fd); err == nil && link == "socket:["+inode+"]" {
			var pid int
			if _, err := fmt.Sscanf(fd, "/proc/%d/", &pid); err == nil && pid != os.Getpid() {
				return pid
			}
		}
	}
	t.Fatalf("nobody listens on port %d", port)
	return 0
}
