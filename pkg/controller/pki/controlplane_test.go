package pki

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/egctl/egctl/internal/testenvoy"
	"github.com/egctl/egctl/pkg/controller/identity"
	"github.com/egctl/egctl/pkg/controller/xds"
	"github.com/egctl/egctl/pkg/envoy"
	encoded "github.com/egctl/egctl/pkg/translate/xds"
)

// controlPlane is the real ADS server over TLS, with certificates that rotate: what
// Manager does with Secrets is done here with maps and folders.
type controlPlane struct {
	t       *testing.T
	manager *Manager
	server  *xds.Server
	address *net.TCPAddr
	log     *syncBuffer

	mu        sync.Mutex
	authority *authority
	settled   time.Time
	data      map[string][]byte // of the server
	mounts    map[string]*mounted
	signers   map[string]bool
	leaves    map[string]bool
}

// mounted is the Secret of a fleet, and the folder in its pod.
type mounted struct {
	leaf leaf
	data map[string][]byte
	dir  string
	n    int
}

func newControlPlane(t *testing.T, o Options, limits xds.Limits, identify ...identity.Func) *controlPlane {
	t.Helper()
	identify = append(identify, identity.Certificates("cluster.local"))
	terms, err := o.terms()
	if err != nil {
		t.Fatal(err)
	}
	c := &controlPlane{
		t: t, log: &syncBuffer{}, mounts: map[string]*mounted{}, signers: map[string]bool{}, leaves: map[string]bool{}, settled: time.Now(),
		manager: &Manager{o: o, terms: terms, first: make(chan struct{})},
	}
	c.manager.o.Now = time.Now
	if c.authority, err = newAuthority(time.Now(), terms); err != nil {
		t.Fatal(err)
	}
	c.server = xds.NewServer(xds.Options{
		Identify: identify[0],
		Logger:   slog.New(slog.NewTextHandler(c.log, nil)),
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.address = listener.Addr().(*net.TCPAddr)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		options := append(limits.ServerOptions(), grpc.Creds(credentials.NewTLS(c.manager.ServerTLS())))
		done <- c.server.Serve(ctx, listener, options...)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
		if t.Failed() {
			t.Logf("the server said:\n%s", c.log)
		}
	})
	return c
}

// step is one look at everything, as the leader takes it.
func (c *controlPlane) step() {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	now, terms := time.Now(), c.manager.terms
	known := now.Sub(c.settled) >= terms.propagation && bytes.Equal(c.data[bundleKey], c.authority.pem())
	for _, m := range c.mounts {
		known = known && bytes.Equal(m.data[bundleKey], c.authority.pem())
	}
	var err error
	if c.authority, _, err = c.authority.step(now, terms, known); err != nil {
		c.t.Error(err)
		return
	}
	revise := func(l leaf, data map[string][]byte) (map[string][]byte, bool) {
		next, why, err := c.authority.revise(now, terms, l, data)
		if err != nil {
			c.t.Error(err)
		}
		if !bytes.Equal(next[bundleKey], data[bundleKey]) {
			c.settled = now
		}
		return next, why != ""
	}
	var changed bool
	if c.data, changed = revise(serverLeaf("envoy-gateway-system", "cluster.local"), c.data); changed {
		if err := c.manager.serve(c.data); err != nil {
			c.t.Error(err)
		}
	}
	for _, m := range c.mounts {
		if m.data, changed = revise(m.leaf, m.data); changed {
			m.swap(c.t)
		}
		c.leaves[string(m.data["tls.crt"])] = true
	}
	c.signers[c.authority.signer.cert.SerialNumber.String()] = true
}

// swap brings a changed Secret into the pod as the kubelet does: a new folder, and a
// symbolic link to it that replaces the one before in one move.
func (m *mounted) swap(t *testing.T) {
	t.Helper()
	m.n++
	version := fmt.Sprintf("..v%d", m.n)
	if err := os.Mkdir(filepath.Join(m.dir, version), 0o755); err != nil {
		t.Error(err)
		return
	}
	for name, text := range m.data {
		if text == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(m.dir, version, name), text, 0o600); err != nil {
			t.Error(err)
		}
		link := filepath.Join(m.dir, name)
		if _, err := os.Lstat(link); err == nil {
			continue
		}
		if err := os.Symlink(filepath.Join("..data", name), link); err != nil {
			t.Error(err)
		}
	}
	next := filepath.Join(m.dir, "..data_tmp")
	if err := errors.Join(os.Symlink(version, next), os.Rename(next, filepath.Join(m.dir, "..data"))); err != nil {
		t.Error(err)
	}
	if m.n > 2 {
		if err := os.RemoveAll(filepath.Join(m.dir, fmt.Sprintf("..v%d", m.n-2))); err != nil {
			t.Error(err)
		}
	}
}

// fleet makes the Secret of a fleet, and returns what is mounted in its pods.
func (c *controlPlane) fleet(name string) envoy.FleetPaths {
	c.t.Helper()
	dir := c.t.TempDir()
	m := &mounted{leaf: leafOf(c.t, name), dir: filepath.Join(dir, "certs")}
	paths := envoy.FleetPaths{CertsDir: m.dir, SDSDir: filepath.Join(dir, "sds"), TokenPath: filepath.Join(dir, "token", "sa-token")}
	files, err := envoy.FleetSDSFiles(c.manager.o.ServerOnly, paths)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, d := range []string{paths.CertsDir, paths.SDSDir, filepath.Dir(paths.TokenPath)} {
		if err := os.Mkdir(d, 0o755); err != nil {
			c.t.Fatal(err)
		}
	}
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(paths.SDSDir, file), []byte(text), 0o600); err != nil {
			c.t.Fatal(err)
		}
	}
	c.mu.Lock()
	c.mounts[name] = m
	c.mu.Unlock()
	c.step()
	return paths
}

// rotate looks at everything again and again until the test ends.
func (c *controlPlane) rotate() (stop func()) {
	over := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				c.step()
			case <-over:
				return
			}
		}
	})
	return sync.OnceFunc(func() { close(over); wg.Wait() })
}

// serve gives a fleet a listener that answers by a backend.
func (c *controlPlane) serve(fleet string, port, backend int, body string) {
	c.t.Helper()
	name := "cluster-of-" + strings.ReplaceAll(fleet, "/", "-")
	c.server.Update(xds.Change{Snapshots: map[string]*encoded.Snapshot{fleet: {
		Clusters: []*encoded.Resource{resource(c.t, encoded.ClusterType, name, &clusterv3.Cluster{
			Name: name, ConnectTimeout: durationpb.New(time.Second),
			ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
			LoadAssignment: &endpointv3.ClusterLoadAssignment{ClusterName: name, Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{{
				HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: address(backend)}},
			}}}}},
		})},
		Listeners: []*encoded.Resource{resource(c.t, encoded.ListenerType, "http", &listenerv3.Listener{
			Name: "http", Address: address(port), FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{{
				Name: "hcm", ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: anyOf(c.t, &hcmv3.HttpConnectionManager{
					StatPrefix: "http",
					RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{RouteConfigName: "routes", ConfigSource: &corev3.ConfigSource{
						ResourceApiVersion: corev3.ApiVersion_V3, ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
					}}},
					HttpFilters: []*hcmv3.HttpFilter{{Name: "router", ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: anyOf(c.t, &routerv3.Router{})}}},
				})},
			}}}},
		})},
		Routes: []*encoded.Resource{resource(c.t, encoded.RouteType, "routes", &routev3.RouteConfiguration{Name: "routes", VirtualHosts: []*routev3.VirtualHost{{
			Name: "all", Domains: []string{"*"}, Routes: []*routev3.Route{{
				Match:                &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
				Action:               &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: name}}},
				ResponseHeadersToAdd: []*corev3.HeaderValueOption{{Header: &corev3.HeaderValue{Key: "version", Value: body}}},
			}},
		}}})},
	}}})
}

func anyOf(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	return must(anypb.New(m))(t)
}

func resource(t *testing.T, typ encoded.Type, name string, m proto.Message) *encoded.Resource {
	t.Helper()
	return must(encoded.Encode(typ, name, m))(t)
}

func address(port int) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: "127.0.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)},
	}}}
}

func backend(t *testing.T) int {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	t.Cleanup(s.Close)
	return s.Listener.Addr().(*net.TCPAddr).Port
}

// startProxy runs an Envoy with the bootstrap of a fleet, under the name that it claims.
func (c *controlPlane) startProxy(claim string, paths envoy.FleetPaths, node string, args ...string) (log *syncBuffer) {
	c.t.Helper()
	binary := testenvoy.Path(c.t)
	text, err := envoy.FleetBootstrap(envoy.FleetBootstrapOptions{
		Fleet: claim, ControllerNamespace: "envoy-gateway-system", FleetPaths: paths, Token: c.manager.o.ServerOnly,
		XDSAddress: c.address.IP.String(), XDSPort: uint32(c.address.Port),
		AdminPort: uint32(testenvoy.FreePort(c.t)), StatsPort: uint32(testenvoy.FreePort(c.t)),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	log = &syncBuffer{}
	cmd := exec.Command(binary, append([]string{
		"--config-yaml", text, "--service-cluster", claim, "--service-node", node,
		"--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning",
	}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if c.t.Failed() {
			c.t.Logf("Envoy %s said:\n%s", node, log)
		}
	})
	return log
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

// version asks once and returns the version of the routes that answered.
func version(client *http.Client, port int) (string, error) {
	resp, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/", port))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK || string(body) != "ok" {
		return "", fmt.Errorf("status %d, body %q, %w", resp.StatusCode, body, err)
	}
	return resp.Header.Get("version"), nil
}
