package xds_test

import (
	"context"
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

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/egctl/egctl/internal/testenvoy"
	encoded "github.com/egctl/egctl/pkg/translate/xds"
)

const bootstrap = `
node: {id: %[1]s-proxy, cluster: %[1]s}
admin: {address: {pipe: {path: %[3]s}}}
dynamic_resources:
  ads_config: {api_type: DELTA_GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: xds}}]}
  cds_config: {ads: {}, resource_api_version: V3}
  lds_config: {ads: {}, resource_api_version: V3}
static_resources:
  clusters:
  - name: xds
    connect_timeout: 1s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
    load_assignment:
      cluster_name: xds
      endpoints: [{lb_endpoints: [{endpoint: {address: {pipe: {path: %[2]s}}}}]}]
`

// proxy is a running Envoy.
type proxy struct {
	t     *testing.T
	admin *http.Client
	log   string
}

func startEnvoy(t *testing.T, gateway, socket string) *proxy {
	t.Helper()
	binary := testenvoy.Path(t)
	dir := t.TempDir()
	admin := filepath.Join(dir, "admin.sock")
	config := filepath.Join(dir, "bootstrap.yaml")
	if err := os.WriteFile(config, []byte(fmt.Sprintf(bootstrap, gateway, socket, admin)), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, log: filepath.Join(dir, "log"), admin: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", admin)
		},
	}}}
	log, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-c", config, "--use-dynamic-base-id", "--concurrency", "2", "--log-level", "warning", "--drain-time-s", "1")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		_ = log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(p.log)
			t.Logf("Envoy said:\n%s", text)
		}
	})
	return p
}

// dump returns a page of the admin interface.
func (p *proxy) dump(path string) string {
	p.t.Helper()
	resp, err := p.admin.Get("http://admin" + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// backend is a real server that answers its name.
func backend(t *testing.T, name string) (port int) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) }))
	t.Cleanup(s.Close)
	return s.Listener.Addr().(*net.TCPAddr).Port
}

func connectionManager(routeConfig string) *hcmv3.HttpConnectionManager {
	return &hcmv3.HttpConnectionManager{
		StatPrefix:     "http",
		RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{RouteConfigName: routeConfig, ConfigSource: adsSource()}},
		HttpFilters: []*hcmv3.HttpFilter{{
			Name: "router", ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: pack(&routerv3.Router{})},
		}},
	}
}

func httpListener(t testing.TB, name string, port int, routeConfig string, change ...func(*listenerv3.Listener)) *encoded.Resource {
	l := &listenerv3.Listener{Name: name, Address: address(port), FilterChains: []*listenerv3.FilterChain{{
		Filters: []*listenerv3.Filter{{
			Name: "hcm", ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: pack(connectionManager(routeConfig))},
		}},
	}}}
	for _, c := range change {
		c(l)
	}
	return encode(t, encoded.ListenerType, name, l)
}

// get asks once, on a connection of its own, and returns the body, or what
// went wrong.
func get(url string, transport *http.Transport) string {
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	resp, err := client.Get(url)
	if err != nil {
		return "error: " + err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "error: " + err.Error()
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Sprintf("status %d: %s", resp.StatusCode, body)
	}
	return string(body)
}

func once(url string) string { return get(url, &http.Transport{DisableKeepAlives: true}) }

// load asks continuously, half of it on kept connections, until stopped.
type load struct {
	count    atomic.Int64
	mu       sync.Mutex
	failures []string
	stop     func()
}

func startLoad(t *testing.T, url string) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{}
	var all sync.WaitGroup
	for i := range 4 {
		transport := &http.Transport{DisableKeepAlives: i%2 == 0}
		all.Go(func() {
			defer transport.CloseIdleConnections()
			for ctx.Err() == nil {
				body := get(url, transport)
				l.count.Add(1)
				if !strings.HasPrefix(body, "backend") {
					l.mu.Lock()
					l.failures = append(l.failures, time.Now().Format("05.000 ")+body)
					l.mu.Unlock()
				}
			}
		})
	}
	l.stop = sync.OnceFunc(func() { cancel(); all.Wait() })
	t.Cleanup(l.stop)
	return l
}

// finish stops the load and demands that nothing failed.
func (l *load) finish(t *testing.T, atLeast int64) {
	t.Helper()
	l.stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.failures); n > 0 {
		t.Errorf("%d of %d requests failed: %s", n, l.count.Load(), strings.Join(l.failures[:min(n, 10)], "\n"))
	}
	if n := l.count.Load(); n < atLeast {
		t.Errorf("only %d requests were made; the test shows little", n)
	}
	t.Logf("%d requests", l.count.Load())
}

func synced(t *testing.T, s interface {
	WaitSynced(context.Context, string) error
}, gateway string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	if err := s.WaitSynced(ctx, gateway); err != nil {
		t.Fatal(err)
	}
}

func source(name string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: name}}
}
