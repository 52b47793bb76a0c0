package xds_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/egctl/egctl/internal/testcert"
	"github.com/egctl/egctl/internal/testenvoy"
	"github.com/egctl/egctl/pkg/controller/xds"
	encoded "github.com/egctl/egctl/pkg/translate/xds"
)

func TestEnvoySwapsBackendsWithoutAFailedRequest(t *testing.T) {
	testenvoy.Path(t)
	s, socket := serve(t, xds.Options{})
	ports := []int{backend(t, "backend 0"), backend(t, "backend 1")}
	port := testenvoy.FreePort(t)
	// At first each cluster is new; later they come back while they are leaving.
	nameOf := func(i int) string {
		if i > 50 {
			i %= 2
		}
		return fmt.Sprintf("service/backend-%d", i)
	}
	state := func(i int, routeConfig string) (*encoded.Snapshot, *encoded.Resource) {
		name := nameOf(i)
		return snapshot(cluster(t, name, 0), route(t, routeConfig, name), httpListener(t, "http", port, routeConfig)),
			assignment(t, name, ports[i%2])
	}
	apply := func(i int, routeConfig string) {
		snap, eds := state(i, routeConfig)
		c := xds.Change{Snapshots: map[string]*encoded.Snapshot{"g": snap}, Endpoints: map[string]*encoded.Resource{eds.Name: eds}}
		if i > 0 {
			c.Endpoints[nameOf(i-1)] = nil
		}
		s.Update(c)
	}
	apply(0, "routes")
	p := startEnvoy(t, "g", socket)
	synced(t, s, "g")
	url := fmt.Sprintf("http://127.0.0.1:%d/", port)
	eventually(t, "Envoy answers", func() bool { return once(url) == "backend 0" })

	l := startLoad(t, url)
	for i := 1; i <= 100; i++ {
		routeConfig := "routes"
		if i%25 == 0 {
			routeConfig = fmt.Sprintf("routes-%d", i) // the listener changes too, and drains
		}
		apply(i, routeConfig)
		switch i % 3 {
		case 0: // a burst: the next change meets one that is under way
		case 1:
			time.Sleep(3 * time.Millisecond)
		case 2:
			synced(t, s, "g")
			if want, got := fmt.Sprintf("backend %d", i%2), once(url); got != want {
				// Workers learn of routes a moment after the acknowledgement.
				eventually(t, "the swap is in force", func() bool { return once(url) == want })
			}
		}
	}
	synced(t, s, "g")
	time.Sleep(50 * time.Millisecond)
	l.finish(t, 200)
	if got := once(url); got != "backend 0" {
		t.Errorf("at the end %q answers", got)
	}
	// Drained listeners let go of their clusters; then one is left.
	eventually(t, "old clusters are gone", func() bool {
		return strings.Count(p.dump("/config_dump?resource=dynamic_active_clusters&mask=cluster.name"), "service/backend-") == 1
	})
}

func TestEnvoyWarmsAChangedClusterAtOnce(t *testing.T) {
	testenvoy.Path(t)
	s, socket := serve(t, xds.Options{})
	port := testenvoy.FreePort(t)
	l := httpListener(t, "http", port, "routes")
	eds := assignment(t, "a", backend(t, "backend"))
	update(s, "g", snapshot(cluster(t, "a", 0), route(t, "routes", "a"), l), eds)
	startEnvoy(t, "g", socket)
	synced(t, s, "g")
	url := fmt.Sprintf("http://127.0.0.1:%d/", port)
	eventually(t, "Envoy answers", func() bool { return once(url) == "backend" })
	traffic := startLoad(t, url)
	start := time.Now()
	for v := 1; v <= 10; v++ {
		// A second cluster with the first one's assignment asks for nothing either.
		twin := encode(t, encoded.ClusterType, "twin", &clusterv3.Cluster{
			Name: "twin", ConnectTimeout: durationpb.New(time.Duration(v) * time.Second),
			ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
			EdsClusterConfig:     &clusterv3.Cluster_EdsClusterConfig{EdsConfig: adsSource(), ServiceName: "a"},
		})
		snap := snapshot(cluster(t, "a", v), route(t, "routes", "a", "twin"), l)
		if v%2 == 0 {
			snap = snapshot(cluster(t, "a", v), route(t, "routes", "twin"), l)
			snap.Clusters = append(snap.Clusters, twin)
		}
		update(s, "g", snap)
		synced(t, s, "g")
	}
	traffic.finish(t, 10)
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("ten changes took %v: Envoy waited for endpoints", took)
	}
}

func TestEnvoyRefuses(t *testing.T) {
	testenvoy.Path(t)
	rec := &recorder{}
	s, socket := serve(t, xds.Options{}, rec)
	port, second := testenvoy.FreePort(t), testenvoy.FreePort(t)
	eds := assignment(t, "a", backend(t, "backend"))
	l := httpListener(t, "http", port, "routes")
	good := []*encoded.Resource{cluster(t, "a", 0), route(t, "routes", "a"), l}
	with := func(r ...*encoded.Resource) *encoded.Snapshot { return snapshot(append(r, good...)...) }
	update(s, "g", with(), eds)
	startEnvoy(t, "g", socket)
	synced(t, s, "g")
	url := fmt.Sprintf("http://127.0.0.1:%d/", port)
	eventually(t, "Envoy answers", func() bool { return once(url) == "backend" })
	traffic := startLoad(t, url)

	reported := func(n int, typ encoded.Type, name string) {
		t.Helper()
		eventually(t, fmt.Sprintf("refusal %d", n), func() bool { return len(rec.refused()) >= n })
		got := rec.refused()
		last := got[len(got)-1]
		if len(got) != n || last.Type != typ || rejectedNames(last) != name {
			t.Errorf("refusals %d, the last of %s: %q (%s); want %d, %s %q", len(got), last.Type, rejectedNames(last), last.Message, n, typ, name)
		}
	}
	badRoute := encode(t, encoded.RouteType, "routes", &routev3.RouteConfiguration{Name: "routes", VirtualHosts: []*routev3.VirtualHost{{
		Name: "all", Domains: []string{"*"}, Routes: []*routev3.Route{{
			Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: "("}}},
			Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: "a"}}},
		}},
	}}})
	// A route beside a new listener with routes of its own.
	update(s, "g", snapshot(cluster(t, "a", 0), badRoute, l, route(t, "routes-2", "a"), httpListener(t, "http-2", second, "routes-2")))
	reported(1, encoded.RouteType, "routes")
	eventually(t, "the neighbour serves", func() bool { return once(fmt.Sprintf("http://127.0.0.1:%d/", second)) == "backend" })

	// A listener whose filter chain cannot be built, beside a good one.
	third := testenvoy.FreePort(t)
	update(s, "g", with(
		httpListener(t, "broken", testenvoy.FreePort(t), "routes", func(l *listenerv3.Listener) {
			l.FilterChains[0].Filters[0].Name = "x"
			l.FilterChains[0].Filters[0].ConfigType = nil
		}),
		httpListener(t, "http-3", third, "routes"),
	))
	reported(2, encoded.ListenerType, "broken")
	eventually(t, "the neighbour serves", func() bool { return once(fmt.Sprintf("http://127.0.0.1:%d/", third)) == "backend" })

	// Clusters: one that Envoy cannot build (it names it), and one that does not
	// validate (it refuses the whole response).
	unbuildable := encode(t, encoded.ClusterType, "unbuildable", &clusterv3.Cluster{
		Name: "unbuildable", ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
	})
	update(s, "g", with(cluster(t, "b", 0), unbuildable), assignment(t, "b", 1))
	reported(3, encoded.ClusterType, "unbuildable")
	invalid := encode(t, encoded.ClusterType, "invalid", &clusterv3.Cluster{
		Name: "invalid", ConnectTimeout: durationpb.New(-time.Second),
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
	})
	update(s, "g", with(cluster(t, "b", 1), cluster(t, "c", 0), cluster(t, "d", 0), invalid), assignment(t, "c", 1), assignment(t, "d", 1))
	reported(4, encoded.ClusterType, "invalid")
	eventually(t, "the neighbours are accepted", func() bool {
		for _, p := range s.Synced("g") {
			if !p.Settled() {
				return false
			}
		}
		return true
	})
	update(s, "g", with())
	synced(t, s, "g")
	traffic.finish(t, 10)
}

func TestEnvoyListenersAndSecrets(t *testing.T) {
	testenvoy.Path(t)
	s, socket := serve(t, xds.Options{})
	port, plain := testenvoy.FreePort(t), testenvoy.FreePort(t)
	eds := assignment(t, "a", backend(t, "backend"))
	https := func() *encoded.Resource {
		return httpListener(t, "https", port, "routes", func(l *listenerv3.Listener) {
			l.FilterChains[0].TransportSocket = &corev3.TransportSocket{Name: "tls", ConfigType: &corev3.TransportSocket_TypedConfig{
				TypedConfig: pack(&tlsv3.DownstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{
					TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{{Name: "cert", SdsConfig: adsSource()}},
				}}),
			}}
		})
	}
	state := func(serial int64, more ...*encoded.Resource) *encoded.Snapshot {
		return snapshot(append(more, cluster(t, "a", 0), route(t, "routes", "a"), https(), certificate(t, "cert", serial))...)
	}
	serial := func() int64 {
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: time.Second}, "tcp", fmt.Sprintf("127.0.0.1:%d", port), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return -1
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	update(s, "g", state(1), eds)
	startEnvoy(t, "g", socket)
	synced(t, s, "g")
	eventually(t, "the first certificate", func() bool { return serial() == 1 })
	for n := int64(2); n <= 10; n++ {
		update(s, "g", state(n))
		for got := serial(); got != n; got = serial() {
			if got != n-1 {
				t.Fatalf("certificate %d while %d follows %d", got, n, n-1)
			}
		}
	}
	// A listener comes and goes, and its address passes to one of another name.
	url := fmt.Sprintf("http://127.0.0.1:%d/", plain)
	update(s, "g", state(10, httpListener(t, "plain", plain, "routes")))
	eventually(t, "the new listener serves", func() bool { return once(url) == "backend" })
	update(s, "g", state(10, httpListener(t, "renamed", plain, "routes")))
	synced(t, s, "g")
	eventually(t, "the renamed listener serves", func() bool { return once(url) == "backend" })
	update(s, "g", state(10))
	synced(t, s, "g")
	eventually(t, "the removed listener is closed", func() bool { return strings.Contains(once(url), "refused") })
	if got := serial(); got != 10 {
		t.Errorf("the other listener shows certificate %d", got)
	}
}

func TestEnvoyOutlivesTheServer(t *testing.T) {
	testenvoy.Path(t)
	socket := filepath.Join(t.TempDir(), "p", "xds.sock")
	start := func() (*xds.Server, func()) {
		listener, err := xds.ListenUnix(socket)
		if err != nil {
			t.Fatal(err)
		}
		s := xds.NewServer(xds.Options{Identify: byNodeCluster})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- s.Serve(ctx, listener) }()
		return s, func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	port := testenvoy.FreePort(t)
	l := httpListener(t, "http", port, "routes")
	s, stop := start()
	update(s, "g", snapshot(cluster(t, "a", 0), route(t, "routes", "a"), l), assignment(t, "a", backend(t, "backend a")))
	startEnvoy(t, "g", socket)
	synced(t, s, "g")
	url := fmt.Sprintf("http://127.0.0.1:%d/", port)
	eventually(t, "Envoy answers", func() bool { return once(url) == "backend a" })
	traffic := startLoad(t, url)
	stop()
	s, stop = start()
	defer stop()
	// It reconnects before the new server knows anything, and then to another
	// configuration.
	eventually(t, "Envoy reconnects", func() bool { return len(s.Synced("g")) == 1 })
	time.Sleep(50 * time.Millisecond)
	update(s, "g", snapshot(cluster(t, "b", 0), route(t, "routes", "b"), l), assignment(t, "b", backend(t, "backend b")))
	synced(t, s, "g")
	eventually(t, "the new configuration is in force", func() bool { return once(url) == "backend b" })
	time.Sleep(100 * time.Millisecond)
	traffic.finish(t, 10)
}

// certificate is a self-signed one with that serial number.
func certificate(t testing.TB, name string, serial int64) *encoded.Resource {
	t.Helper()
	p := testcert.SelfSigned("localhost", func(c *testcert.Template) { c.SerialNumber = big.NewInt(serial) })
	return encode(t, encoded.SecretType, name, &tlsv3.Secret{Name: name, Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
		CertificateChain: source(string(p.Certificate)),
		PrivateKey:       source(string(p.Key)),
	}}})
}
