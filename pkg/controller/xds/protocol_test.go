package xds_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/egctl/egctl/pkg/controller/xds"
	encoded "github.com/egctl/egctl/pkg/translate/xds"
)

func TestWildcards(t *testing.T) {
	for _, test := range []struct {
		name  string
		names []string
	}{{"older form", nil}, {"star", []string{"*"}}, {"star and a name", []string{"*", "a"}}} {
		t.Run(test.name, func(t *testing.T) {
			s, path := serve(t, xds.Options{})
			update(s, "g", snapshot(cluster(t, "a", 0), cluster(t, "b", 0)))
			c := dial(t, path, "g")
			c.subscribe(encoded.ClusterType, test.names...)
			r := c.accept("Cluster +a +b")
			if got, want := r.GetResources()[0].GetVersion(), cluster(t, "a", 0).Version(); got != want {
				t.Errorf("version %q, want the hash %q", got, want)
			}
			update(s, "g", snapshot(cluster(t, "a", 0), cluster(t, "b", 1), cluster(t, "c", 0)))
			c.accept("Cluster +b +c")
			c.quiet()
		})
	}
}

func TestAWildcardCanBeGivenUp(t *testing.T) {
	s, path := serve(t, xds.Options{})
	update(s, "g", snapshot(cluster(t, "a", 0), cluster(t, "b", 0)))
	c := dial(t, path, "g")
	c.subscribe(encoded.ClusterType, "*", "a")
	c.accept("Cluster +a +b")
	c.unsubscribe(encoded.ClusterType, "*")
	c.quiet()
	update(s, "g", snapshot(cluster(t, "a", 1), cluster(t, "b", 1)))
	c.accept("Cluster +a")
}

// A client that gives up a name but not its wildcard does not know whether the
// wildcard covers the name, and is told.
func TestGivingUpANameUnderAWildcard(t *testing.T) {
	s, path := serve(t, xds.Options{})
	update(s, "g", snapshot(cluster(t, "a", 0)))
	c := dial(t, path, "g")
	c.subscribe(encoded.ClusterType, "*", "a", "x")
	c.accept("Cluster +a -x")
	c.unsubscribe(encoded.ClusterType, "a")
	c.accept("Cluster +a")
}

func TestAnEmptyConfigurationIsAnswered(t *testing.T) {
	s, path := serve(t, xds.Options{})
	update(s, "g", snapshot())
	c := dial(t, path, "g")
	c.subscribe(encoded.ClusterType)
	c.accept("Cluster")
	c.subscribe(encoded.ListenerType)
	c.accept("Listener")
	c.quiet()
}

// A controller that has just started knows nothing, and must not say that
// there is nothing.
func TestAnUnknownGatewayIsNotAnswered(t *testing.T) {
	s, path := serve(t, xds.Options{})
	c := dial(t, path, "g")
	c.send(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl: string(encoded.ClusterType), InitialResourceVersions: map[string]string{"a": cluster(t, "a", 0).Version()},
	})
	c.subscribe(encoded.RouteType, "r")
	c.quiet()
	update(s, "g", snapshot(cluster(t, "a", 0), cluster(t, "b", 0)))
	c.accept("Cluster +b")
	c.accept("RouteConfiguration -r")
}

// A proxy whose gateway is deleted drains with what it has, also if it has to
// connect again; what comes after the last one has ended knows nothing of it.
func TestADeletedGatewayKeepsItsProxies(t *testing.T) {
	s, path := serve(t, xds.Options{})
	update(s, "g", snapshot(cluster(t, "a", 0), bareListener(t, "ready", 19003)), assignment(t, "a", 1))
	connect := func() *client {
		t.Helper()
		c := dial(t, path, "g")
		c.subscribe(encoded.ClusterType)
		c.accept("Cluster +a")
		c.subscribe(encoded.EndpointType, "a")
		c.accept("ClusterLoadAssignment +a")
		c.subscribe(encoded.ListenerType)
		c.accept("Listener +ready")
		return c
	}
	one, two := connect(), connect()
	s.Update(xds.Change{Snapshots: map[string]*encoded.Snapshot{"g": nil}, Endpoints: map[string]*encoded.Resource{"a": nil}})
	one.quiet()
	two.close()
	eventually(t, "one proxy is left", func() bool { return len(s.Synced("g")) == 1 })
	again := connect()
	one.close()
	again.close()
	eventually(t, "the gateway is forgotten", func() bool { return len(s.Gateways()) == 0 })
	late := dial(t, path, "g")
	late.subscribe(encoded.ClusterType)
	late.quiet()

	// One of the same name is another gateway, and what the last one had is gone.
	update(s, "g", snapshot(cluster(t, "a", 0)))
	late.accept("Cluster +a")
	late.subscribe(encoded.EndpointType, "a")
	late.accept("ClusterLoadAssignment -a")
}

func TestNames(t *testing.T) {
	s, path := serve(t, xds.Options{WarmTimeout: 50 * time.Millisecond})
	update(s, "g", snapshot(cluster(t, "a", 0), secret(t, "s", "1"), secret(t, "u", "1")), assignment(t, "a", 1))
	c := dial(t, path, "g")
	c.subscribe(encoded.SecretType, "s", "missing")
	c.accept("Secret +s -missing")
	c.subscribe(encoded.EndpointType, "a")
	c.accept("ClusterLoadAssignment +a")

	// What was not subscribed to is not sent.
	update(s, "g", snapshot(cluster(t, "a", 0), secret(t, "s", "1"), secret(t, "u", "2")))
	c.quiet()
	// What was missing comes when it is there.
	update(s, "g", snapshot(cluster(t, "a", 0), secret(t, "s", "1"), secret(t, "missing", "1")))
	c.accept("Secret +missing")
	// What was unsubscribed from is silent, and whole when asked for again.
	c.unsubscribe(encoded.EndpointType, "a")
	c.quiet()
	update(s, "g", snapshot(cluster(t, "a", 0)), assignment(t, "a", 2))
	c.accept("Secret -missing -s")
	c.quiet()
	c.subscribe(encoded.EndpointType, "a")
	c.accept("ClusterLoadAssignment +a")
	c.subscribe(encoded.EndpointType, "a")
	c.accept("ClusterLoadAssignment +a")
}

func TestReconnectSendsTheDifference(t *testing.T) {
	s, path := serve(t, xds.Options{WarmTimeout: 300 * time.Millisecond})
	update(s, "g", snapshot(cluster(t, "kept", 0), cluster(t, "changed", 1), cluster(t, "new", 0), route(t, "r", "kept"), bareListener(t, "l", 80)),
		assignment(t, "kept", 1), assignment(t, "changed", 2))
	c := dial(t, path, "g")
	c.send(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl: string(encoded.ClusterType), ResourceNamesSubscribe: []string{"*"},
		InitialResourceVersions: map[string]string{
			"kept":    cluster(t, "kept", 0).Version(),
			"changed": cluster(t, "changed", 0).Version(),
			"gone":    "from-another-server",
		},
	})
	// The removal waits: this proxy may still have routes to the cluster.
	c.accept("Cluster +changed +new")
	c.send(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl: string(encoded.EndpointType), ResourceNamesSubscribe: []string{"kept", "changed", "new"},
		InitialResourceVersions: map[string]string{
			"kept": assignment(t, "kept", 1).Version(), "changed": assignment(t, "changed", 2).Version(),
		},
	})
	// The proxy warms the changed cluster and needs its endpoints for that,
	// although it has them.
	c.accept("ClusterLoadAssignment +changed -new")
	c.send(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl: string(encoded.ListenerType), InitialResourceVersions: map[string]string{"l": bareListener(t, "l", 80).Version()},
	})
	c.send(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl: string(encoded.RouteType), ResourceNamesSubscribe: []string{"r"},
		InitialResourceVersions: map[string]string{"r": route(t, "r", "gone").Version()},
	})
	c.accept("RouteConfiguration +r")
	c.accept("Cluster -gone")
	c.quiet()
}

func TestIdentity(t *testing.T) {
	s, path := serve(t, xds.Options{})
	s.Update(xds.Change{
		Snapshots: map[string]*encoded.Snapshot{
			"a": snapshot(cluster(t, "ca", 0), secret(t, "key-a", "1")),
			"b": snapshot(cluster(t, "cb", 0), secret(t, "key-b", "1"), route(t, "rb", "cb")),
		},
		Endpoints: map[string]*encoded.Resource{"ca": assignment(t, "ca", 1), "cb": assignment(t, "cb", 2)},
	})
	c := dial(t, path, "a")
	c.subscribe(encoded.SecretType, "key-a", "key-b", "nobody's")
	c.accept("Secret +key-a -key-b -nobody's")
	c.subscribe(encoded.EndpointType, "ca", "cb")
	c.accept("ClusterLoadAssignment +ca -cb")
	c.subscribe(encoded.RouteType, "rb")
	c.accept("RouteConfiguration -rb")
	c.subscribe(encoded.ClusterType)
	c.accept("Cluster +ca")
	c.accept("ClusterLoadAssignment +ca") // to warm the cluster
	// Claiming to have something opens no door either.
	d := dial(t, path, "a")
	d.send(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl: string(encoded.EndpointType), ResourceNamesSubscribe: []string{"cb", "*"},
		InitialResourceVersions: map[string]string{"cb": "1"},
	})
	d.accept("ClusterLoadAssignment +ca")
	s.Update(xds.Change{Endpoints: map[string]*encoded.Resource{"cb": assignment(t, "cb", 3)}})
	c.quiet()
	d.quiet()

	intruder := dial(t, path, "intruder")
	intruder.subscribe(encoded.SecretType, "key-a")
	if _, ok := <-intruder.responses; ok || status.Code(intruder.err) != codes.PermissionDenied {
		t.Errorf("an intruder got %v, want PermissionDenied", intruder.err)
	}
	if strings.Contains(intruder.err.Error(), "no such proxy") {
		t.Error("the reason is told to the intruder")
	}
}

func TestSlowConsumerGetsTheNewestState(t *testing.T) {
	s, path := serve(t, xds.Options{})
	update(s, "g", snapshot(cluster(t, "a", 0), cluster(t, "b", 0)), assignment(t, "a", 1), assignment(t, "b", 1))
	c := dial(t, path, "g")
	c.subscribe(encoded.EndpointType, "a", "b")
	r := c.expect("ClusterLoadAssignment +a +b")
	for port := 2; port <= 100; port++ {
		s.Update(xds.Change{Endpoints: map[string]*encoded.Resource{"a": assignment(t, "a", port)}})
	}
	// There and back again: nothing to tell about b.
	s.Update(xds.Change{Endpoints: map[string]*encoded.Resource{"b": assignment(t, "b", 9)}})
	s.Update(xds.Change{Endpoints: map[string]*encoded.Resource{"b": assignment(t, "b", 1)}})
	c.quiet()
	// Another type is not held up.
	c.subscribe(encoded.SecretType, "x")
	c.accept("Secret -x")
	c.ack(r)
	r = c.accept("ClusterLoadAssignment +a")
	if got, want := r.GetResources()[0].GetVersion(), assignment(t, "a", 100).Version(); got != want {
		t.Errorf("got version %s, want the newest, %s", got, want)
	}
	c.quiet()
}

func TestAStrayNonceIsNoAnswer(t *testing.T) {
	s, path := serve(t, xds.Options{})
	update(s, "g", snapshot(cluster(t, "a", 0)), assignment(t, "a", 1))
	c := dial(t, path, "g")
	c.subscribe(encoded.EndpointType, "a")
	r := c.expect("ClusterLoadAssignment +a")
	c.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: string(encoded.EndpointType), ResponseNonce: "not " + r.GetNonce()})
	s.Update(xds.Change{Endpoints: map[string]*encoded.Resource{"a": assignment(t, "a", 2)}})
	c.quiet()
	c.ack(r)
	c.accept("ClusterLoadAssignment +a")
}

func TestSynced(t *testing.T) {
	rec := &recorder{}
	s, path := serve(t, xds.Options{}, rec)
	update(s, "g", snapshot(cluster(t, "a", 0), bareListener(t, "l", 80)), assignment(t, "a", 1))

	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.WaitSynced(short, "g"); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no proxy is connected") {
		t.Errorf("without proxies: %v", err)
	}
	c := dial(t, path, "g")
	c.subscribe(encoded.ClusterType)
	c.accept("Cluster +a")
	c.subscribe(encoded.EndpointType, "a")
	c.accept("ClusterLoadAssignment +a")
	c.subscribe(encoded.ListenerType)
	r := c.expect("Listener +l")
	short, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.WaitSynced(short, "g"); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "g-proxy") {
		t.Errorf("before the last acknowledgement: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- s.WaitSynced(t.Context(), "g") }()
	c.ack(r)
	if err := <-done; err != nil {
		t.Error(err)
	}
	proxies := s.Synced("g")
	if len(proxies) != 1 || proxies[0].Types[encoded.ListenerType].Acked != 1 || proxies[0].NodeID != "g-proxy" {
		t.Errorf("state %+v", proxies)
	}
	// From the moment Update returns, the old acknowledgement is not enough.
	update(s, "g", snapshot(cluster(t, "a", 0), bareListener(t, "l", 81)))
	if s.Synced("g")[0].Settled() {
		t.Error("settled right after an update")
	}
	c.accept("Listener +l")
	if err := s.WaitSynced(t.Context(), "g"); err != nil {
		t.Error(err)
	}
	c.close()
	eventually(t, "the observer hears of the end", func() bool { return rec.has("disconnected g g-proxy") })
	for _, e := range []string{"connected g g-proxy", "acked g Cluster 1", "acked g Listener 1", "acked g Listener 2"} {
		if !rec.has(e) {
			t.Errorf("missing event %q in %q", e, rec.events)
		}
	}
	if len(s.Synced("g")) != 0 {
		t.Error("the proxy is still listed")
	}
}
