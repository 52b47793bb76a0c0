package xds_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/egctl/egctl/pkg/controller/xds"
	encoded "github.com/egctl/egctl/pkg/translate/xds"
)

// byNodeCluster is an Identify for tests: node.cluster is the gateway, and
// "intruder" is nobody's proxy.
func byNodeCluster(_ context.Context, node *corev3.Node) (string, error) {
	if node.GetCluster() == "intruder" {
		return "", errors.New("no such proxy")
	}
	return node.GetCluster(), nil
}

// serve starts a server on a unix socket and returns it with the socket's path.
func serve(t *testing.T, o xds.Options, observers ...xds.Observer) (*xds.Server, string) {
	t.Helper()
	if o.Identify == nil {
		o.Identify = byNodeCluster
	}
	path := filepath.Join(t.TempDir(), "p", "xds.sock")
	listener, err := xds.ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	server := xds.NewServer(o)
	for _, o := range observers {
		server.Observe(o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return server, path
}

// client is a proxy played by hand, request by request.
type client struct {
	t         *testing.T
	stream    discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	responses chan *discoveryv3.DeltaDiscoveryResponse
	err       error
	node      *corev3.Node
	close     func()
}

func dial(t *testing.T, path, gateway string) *client {
	t.Helper()
	conn, err := grpc.NewClient("unix://"+path, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{
		t: t, stream: stream, responses: make(chan *discoveryv3.DeltaDiscoveryResponse),
		node: &corev3.Node{Id: gateway + "-proxy", Cluster: gateway},
	}
	var once sync.Once
	c.close = func() { once.Do(func() { cancel(); _ = conn.Close() }) }
	t.Cleanup(c.close)
	go func() {
		defer close(c.responses)
		for {
			r, err := stream.Recv()
			if err != nil {
				c.err = err
				return
			}
			select {
			case c.responses <- r:
			case <-ctx.Done():
				return
			}
		}
	}()
	return c
}

func (c *client) send(req *discoveryv3.DeltaDiscoveryRequest) {
	c.t.Helper()
	req.Node, c.node = c.node, nil // only on the first message
	if err := c.stream.Send(req); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

func (c *client) subscribe(t encoded.Type, names ...string) {
	c.t.Helper()
	c.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: string(t), ResourceNamesSubscribe: names})
}

func (c *client) unsubscribe(t encoded.Type, names ...string) {
	c.t.Helper()
	c.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: string(t), ResourceNamesUnsubscribe: names})
}

func (c *client) ack(r *discoveryv3.DeltaDiscoveryResponse) {
	c.t.Helper()
	c.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: r.GetTypeUrl(), ResponseNonce: r.GetNonce()})
}

func (c *client) nack(r *discoveryv3.DeltaDiscoveryResponse, message string) {
	c.t.Helper()
	c.send(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl: r.GetTypeUrl(), ResponseNonce: r.GetNonce(), ErrorDetail: &rpcstatus.Status{Code: 13, Message: message},
	})
}

func (c *client) recv() *discoveryv3.DeltaDiscoveryResponse {
	c.t.Helper()
	select {
	case r, ok := <-c.responses:
		if !ok {
			c.t.Fatalf("stream ended: %v", c.err)
		}
		return r
	case <-time.After(5 * time.Second):
		c.t.Fatal("no response within 5 s")
		return nil
	}
}

// expect receives a response and compares it with what it should be, as
// describe writes it.
func (c *client) expect(want string) *discoveryv3.DeltaDiscoveryResponse {
	c.t.Helper()
	r := c.recv()
	if got := describe(r); got != want {
		c.t.Fatalf("got %q, want %q", got, want)
	}
	return r
}

// accept is expect and an acknowledgement.
func (c *client) accept(want string) *discoveryv3.DeltaDiscoveryResponse {
	c.t.Helper()
	r := c.expect(want)
	c.ack(r)
	return r
}

// quiet demands that nothing comes.
func (c *client) quiet() {
	c.t.Helper()
	select {
	case r, ok := <-c.responses:
		if !ok {
			c.t.Fatalf("stream ended: %v", c.err)
		}
		c.t.Fatalf("got %q, want nothing", describe(r))
	case <-time.After(60 * time.Millisecond):
	}
}

// describe writes a response as "Cluster +a +b -c".
func describe(r *discoveryv3.DeltaDiscoveryResponse) string {
	parts := []string{r.GetTypeUrl()[strings.LastIndex(r.GetTypeUrl(), ".")+1:]}
	for _, res := range r.GetResources() {
		parts = append(parts, "+"+res.GetName())
	}
	for _, name := range r.GetRemovedResources() {
		parts = append(parts, "-"+name)
	}
	return strings.Join(parts, " ")
}

// recorder is an Observer that remembers.
type recorder struct {
	mu         sync.Mutex
	events     []string
	rejections []xds.Rejection
}

func (r *recorder) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, fmt.Sprintf(format, args...))
}
func (r *recorder) Connected(g, n string)    { r.note("connected %s %s", g, n) }
func (r *recorder) Disconnected(g, n string) { r.note("disconnected %s %s", g, n) }
func (r *recorder) Acked(g, _ string, t encoded.Type, v uint64, _ []*encoded.Resource) {
	r.note("acked %s %s %d", g, t[strings.LastIndex(string(t), ".")+1:], v)
}
func (r *recorder) Sent(string, string, encoded.Type, int, int, int) {}
func (r *recorder) Rejected(x xds.Rejection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rejections = append(r.rejections, x)
}

func (r *recorder) refused() []xds.Rejection {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.rejections)
}

func (r *recorder) has(event string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.events, event)
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 5 s: %s", what)
		}
	}
}

func encode(t testing.TB, typ encoded.Type, name string, m proto.Message) *encoded.Resource {
	t.Helper()
	r, err := encoded.Encode(typ, name, m)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// cluster is an EDS cluster whose assignment has its name; v tells versions apart.
func cluster(t testing.TB, name string, v int) *encoded.Resource {
	return encode(t, encoded.ClusterType, name, &clusterv3.Cluster{
		Name: name, ConnectTimeout: durationpb.New(time.Duration(1+v) * time.Second),
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
		EdsClusterConfig:     &clusterv3.Cluster_EdsClusterConfig{EdsConfig: adsSource()},
	})
}

func adsSource() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
	}
}

// assignment has one endpoint on this machine.
func assignment(t testing.TB, name string, port int) *encoded.Resource {
	return encode(t, encoded.EndpointType, name, &endpointv3.ClusterLoadAssignment{
		ClusterName: name,
		Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{{
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: address(port)}},
		}}}},
	})
}

func address(port int) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: "127.0.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)},
	}}}
}

// route is a route configuration that sends /CLUSTER to each of some clusters.
func route(t testing.TB, name string, to ...string) *encoded.Resource {
	host := &routev3.VirtualHost{Name: "all", Domains: []string{"*"}}
	for _, c := range to {
		host.Routes = append(host.Routes, &routev3.Route{
			Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
			Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: c}}},
		})
	}
	return encode(t, encoded.RouteType, name, &routev3.RouteConfiguration{Name: name, VirtualHosts: []*routev3.VirtualHost{host}})
}

// bareListener is enough for a client that does not look inside.
func bareListener(t testing.TB, name string, port int) *encoded.Resource {
	return encode(t, encoded.ListenerType, name, &listenerv3.Listener{Name: name, Address: address(port)})
}

func secret(t testing.TB, name, value string) *encoded.Resource {
	return encode(t, encoded.SecretType, name, &tlsv3.Secret{
		Name: name, Type: &tlsv3.Secret_GenericSecret{GenericSecret: &tlsv3.GenericSecret{
			Secret: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: value}},
		}},
	})
}

// snapshot sorts resources into a snapshot; assignments are those of its clusters.
func snapshot(resources ...*encoded.Resource) *encoded.Snapshot {
	s := &encoded.Snapshot{}
	slices.SortFunc(resources, func(a, b *encoded.Resource) int { return strings.Compare(a.Name, b.Name) })
	for _, r := range resources {
		switch r.Type {
		case encoded.ListenerType:
			s.Listeners = append(s.Listeners, r)
		case encoded.RouteType:
			s.Routes = append(s.Routes, r)
		case encoded.ClusterType:
			s.Clusters = append(s.Clusters, r)
			s.Assignments = append(s.Assignments, r.Name)
		case encoded.SecretType:
			s.Secrets = append(s.Secrets, r)
		}
	}
	return s
}

func update(s *xds.Server, gateway string, snap *encoded.Snapshot, endpoints ...*encoded.Resource) {
	c := xds.Change{Snapshots: map[string]*encoded.Snapshot{gateway: snap}, Endpoints: map[string]*encoded.Resource{}}
	for _, e := range endpoints {
		c.Endpoints[e.Name] = e
	}
	s.Update(c)
}
