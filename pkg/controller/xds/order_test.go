package xds_test

import (
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/egctl/egctl/pkg/controller/xds"
	encoded "github.com/egctl/egctl/pkg/translate/xds"
)

// running is a proxy that runs listener l, route r to cluster a, and a itself.
func running(t *testing.T, o xds.Options, observers ...xds.Observer) (*xds.Server, *client, *encoded.Resource) {
	t.Helper()
	s, path := serve(t, o, observers...)
	l := bareListener(t, "l", 80)
	update(s, "g", snapshot(cluster(t, "a", 0), route(t, "r", "a"), l), assignment(t, "a", 1))
	c := dial(t, path, "g")
	c.subscribe(encoded.ClusterType)
	c.accept("Cluster +a")
	c.subscribe(encoded.EndpointType, "a")
	c.accept("ClusterLoadAssignment +a")
	c.subscribe(encoded.ListenerType)
	c.accept("Listener +l")
	c.subscribe(encoded.RouteType, "r")
	c.accept("RouteConfiguration +r")
	c.quiet()
	return s, c, l
}

func TestMakeBeforeBreak(t *testing.T) {
	s, c, l := running(t, xds.Options{})
	update(s, "g", snapshot(cluster(t, "b", 0), route(t, "r", "b"), l), assignment(t, "b", 2))

	cds := c.expect("Cluster +b") // and a stays
	c.quiet()                     // the route waits for the cluster
	c.subscribe(encoded.EndpointType, "b")
	eds := c.expect("ClusterLoadAssignment +b")
	c.ack(cds)
	c.quiet() // and for its endpoints
	c.ack(eds)
	rds := c.expect("RouteConfiguration +r")
	c.quiet() // a goes only when the route without it is acknowledged
	c.ack(rds)
	c.accept("Cluster -a")
	// Its assignment goes last; a proxy that unsubscribes hears no more of it.
	c.accept("ClusterLoadAssignment -a")
	c.quiet()
}

func TestRoutesWaitOnlyForTheirOwnClusters(t *testing.T) {
	s, path := serve(t, xds.Options{})
	update(s, "g", snapshot(cluster(t, "a", 0), cluster(t, "b", 0), route(t, "r1", "a"), route(t, "r2", "a")),
		assignment(t, "a", 1), assignment(t, "b", 1))
	c := dial(t, path, "g")
	c.subscribe(encoded.ClusterType)
	c.accept("Cluster +a +b")
	c.subscribe(encoded.EndpointType, "a", "b")
	c.accept("ClusterLoadAssignment +a +b")
	c.subscribe(encoded.ListenerType)
	c.accept("Listener")
	c.subscribe(encoded.RouteType, "r1", "r2")
	c.accept("RouteConfiguration +r1 +r2")
	update(s, "g", snapshot(cluster(t, "a", 0), cluster(t, "b", 0), cluster(t, "new", 0), route(t, "r1", "b"), route(t, "r2", "new")))
	c.expect("Cluster +new")
	c.accept("RouteConfiguration +r1")
	c.quiet()
}

func TestWaitingEnds(t *testing.T) {
	s, c, l := running(t, xds.Options{WarmTimeout: 200 * time.Millisecond})
	start := time.Now()
	update(s, "g", snapshot(cluster(t, "a", 0), cluster(t, "b", 0), route(t, "r", "b"), l))
	c.expect("Cluster +b") // and no answer
	c.accept("RouteConfiguration +r")
	if waited := time.Since(start); waited < 190*time.Millisecond || waited > 2*time.Second {
		t.Errorf("the route came after %v, want 200 ms", waited)
	}
}

// Envoy withholds the acknowledgement of clusters while one is warming. One
// that cannot must not hold up its neighbours for the whole timeout.
func TestAStuckClusterDoesNotHoldUpTheNext(t *testing.T) {
	s, c, l := running(t, xds.Options{WarmTimeout: 2 * time.Second})
	start := time.Now()
	stuck := snapshot(cluster(t, "a", 0), cluster(t, "stuck", 0), route(t, "r", "a"), l)
	update(s, "g", stuck)
	c.expect("Cluster +stuck")
	update(s, "g", snapshot(cluster(t, "a", 0), cluster(t, "b", 0), cluster(t, "stuck", 0), route(t, "r", "b"), l), assignment(t, "b", 2))
	c.expect("Cluster +b")
	c.subscribe(encoded.EndpointType, "b")
	c.accept("ClusterLoadAssignment +b")
	c.accept("RouteConfiguration +r")
	if waited := time.Since(start); waited > time.Second {
		t.Errorf("the neighbour's route came after %v", waited)
	}
}

func TestListenersPassTheirAddressOnInOneResponse(t *testing.T) {
	s, c, _ := running(t, xds.Options{})
	c.subscribe(encoded.RouteType, "r2")
	c.accept("RouteConfiguration -r2")
	update(s, "g", snapshot(cluster(t, "a", 0), route(t, "r2", "a"), bareListener(t, "m", 80)))
	lds := c.expect("Listener +m -l")
	c.accept("RouteConfiguration +r2")
	c.quiet() // r may be in use until the listener is gone
	c.ack(lds)
	c.accept("RouteConfiguration -r")
	c.quiet()
}

// A listener that drains routes its connections by a table that is no longer
// wanted; Envoy is subscribed to it for as long.
func TestClustersOfADrainingListenerStay(t *testing.T) {
	s, c, _ := running(t, xds.Options{})
	update(s, "g", snapshot(cluster(t, "b", 0), route(t, "r2", "b"), bareListener(t, "m", 80)), assignment(t, "b", 1))
	c.accept("Cluster +b")
	c.accept("Listener +m -l")
	c.accept("RouteConfiguration -r")
	c.subscribe(encoded.EndpointType, "b")
	c.accept("ClusterLoadAssignment +b")
	c.subscribe(encoded.RouteType, "r2")
	c.accept("RouteConfiguration +r2")
	c.quiet()
	if err := s.WaitSynced(t.Context(), "g"); err != nil {
		t.Errorf("a drain is not a lack of synchronisation: %v", err)
	}
	c.unsubscribe(encoded.RouteType, "r")
	c.accept("Cluster -a")
}

func TestAListenerThatNamesAClusterWaitsForIt(t *testing.T) {
	s, c, l := running(t, xds.Options{})
	tcp := encode(t, encoded.ListenerType, "tcp", tcpListener("tcp", 9, "b"))
	update(s, "g", snapshot(cluster(t, "a", 0), cluster(t, "b", 0), route(t, "r", "a"), l, tcp), assignment(t, "b", 2))
	c.accept("Cluster +b")
	c.quiet()
	c.subscribe(encoded.EndpointType, "b")
	c.accept("ClusterLoadAssignment +b")
	c.accept("Listener +tcp")
}

func TestAChangedClusterGetsItsEndpointsAgain(t *testing.T) {
	s, c, l := running(t, xds.Options{})
	update(s, "g", snapshot(cluster(t, "a", 1), route(t, "r", "a"), l))
	c.expect("Cluster +a")
	c.accept("ClusterLoadAssignment +a") // before Envoy acknowledges the cluster, which waits for this
	c.quiet()
}

// A cluster that is wanted again while its removal is under way is as new.
func TestAClusterComesBackWhileItLeaves(t *testing.T) {
	s, c, l := running(t, xds.Options{})
	update(s, "g", snapshot(cluster(t, "b", 0), route(t, "r", "b"), l), assignment(t, "b", 2))
	c.accept("Cluster +b")
	c.subscribe(encoded.EndpointType, "b")
	c.accept("ClusterLoadAssignment +b")
	c.accept("RouteConfiguration +r")
	leaving := c.expect("Cluster -a")
	update(s, "g", snapshot(cluster(t, "a", 0), cluster(t, "b", 0), route(t, "r", "a"), l))
	c.quiet()
	c.unsubscribe(encoded.EndpointType, "a")
	c.ack(leaving)
	cds := c.expect("Cluster +a")
	c.quiet()
	c.subscribe(encoded.EndpointType, "a")
	c.accept("ClusterLoadAssignment +a")
	c.ack(cds)
	c.accept("RouteConfiguration +r")
}

// Connections of a listener that was replaced live on for the drain time.
func TestClustersNamedByADrainingListenerStay(t *testing.T) {
	s, c, l := running(t, xds.Options{DrainTime: 300 * time.Millisecond})
	tcp := func(to string) *encoded.Resource {
		return encode(t, encoded.ListenerType, "tcp", tcpListener("tcp", 9, to))
	}
	ready := []*encoded.Resource{cluster(t, "a", 0), cluster(t, "b", 0), route(t, "r", "a"), l}
	update(s, "g", snapshot(append([]*encoded.Resource{tcp("b")}, ready...)...), assignment(t, "b", 2))
	c.accept("Cluster +b")
	c.subscribe(encoded.EndpointType, "b")
	c.accept("ClusterLoadAssignment +b")
	c.accept("Listener +tcp")
	c.quiet()
	update(s, "g", snapshot(cluster(t, "a", 0), route(t, "r", "a"), l, tcp("a")))
	c.accept("Listener +tcp")
	replaced := time.Now()
	c.quiet()
	c.accept("Cluster -b")
	if after := time.Since(replaced); after < 250*time.Millisecond {
		t.Errorf("the cluster went after %v, want the drain time", after)
	}
}

func TestEndpointsAlone(t *testing.T) {
	s, c, _ := running(t, xds.Options{})
	s.Update(xds.Change{Endpoints: map[string]*encoded.Resource{"a": assignment(t, "a", 7), "other": assignment(t, "other", 7)}})
	c.accept("ClusterLoadAssignment +a")
	c.quiet()
}

// A cluster that needs no assignment is warm when it is acknowledged.
func TestAClusterWithoutEDS(t *testing.T) {
	s, c, l := running(t, xds.Options{})
	static := encode(t, encoded.ClusterType, "static", &clusterv3.Cluster{Name: "static"})
	update(s, "g", snapshot(cluster(t, "a", 0), static, route(t, "r", "static", "a"), l))
	c.accept("Cluster +static")
	c.accept("RouteConfiguration +r")
}

func tcpListener(name string, port int, to string) *listenerv3.Listener {
	return &listenerv3.Listener{Name: name, Address: address(port), FilterChains: []*listenerv3.FilterChain{{
		Filters: []*listenerv3.Filter{{Name: "tcp", ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: pack(&tcpv3.TcpProxy{
			StatPrefix: "tcp", ClusterSpecifier: &tcpv3.TcpProxy_Cluster{Cluster: to},
		})}}},
	}}}
}

func pack(m proto.Message) *anypb.Any {
	a, err := anypb.New(m)
	if err != nil {
		panic(err) // only a message that cannot be encoded
	}
	return a
}
