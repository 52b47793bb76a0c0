package xds

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	encoded "github.com/egctl/egctl/pkg/translate/xds"
)

// fleet is a server with proxies that acknowledge everything at once, without
// a network in between: what is measured is the control plane's own work,
// encoding of responses excluded.
type fleet struct {
	server  *Server
	streams []*stream
	shots   map[string]*encoded.Snapshot
}

func newFleet(gateways, clustersEach, proxiesEach int) *fleet {
	f := &fleet{server: NewServer(Options{}), shots: map[string]*encoded.Snapshot{}}
	endpoints := map[string]*encoded.Resource{}
	for g := range gateways {
		s := &encoded.Snapshot{}
		var refs []string
		for c := range clustersEach {
			name := fmt.Sprintf("namespace-%03d/service-%05d/8080", g, c)
			refs = append(refs, name)
			s.Clusters = append(s.Clusters, edsCluster(name, 0))
			s.Assignments = append(s.Assignments, name)
			endpoints[name] = encoded.NewResource(encoded.EndpointType, name, body(0))
		}
		s.Routes = []*encoded.Resource{encoded.NewResource(encoded.RouteType, "routes", body(0, refs...))}
		s.Listeners = []*encoded.Resource{encoded.NewResource(encoded.ListenerType, "listener", body(0, "routes"))}
		f.shots[fmt.Sprint(g)] = s
	}
	f.server.Update(Change{Snapshots: f.shots, Endpoints: endpoints})
	for g := range gateways {
		for p := range proxiesEach {
			now := time.Now()
			st := &stream{
				server: f.server, key: fmt.Sprint(g), nodeID: fmt.Sprint(p), connected: now, kick: make(chan struct{}, 1),
				machine: newMachine(now, f.server.warm, f.server.drain, f.server.endpoint),
			}
			f.server.connect(st)
			f.streams = append(f.streams, st)
			for k, names := range map[kind][]string{
				clusters: nil, assignments: f.shots[st.key].Assignments, listeners: nil, routes: {"routes"},
			} {
				st.handle(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: string(k.url()), ResourceNamesSubscribe: slices.Clone(names)})
			}
		}
	}
	f.settle()
	return f
}

// settle lets every proxy that was woken take and acknowledge what there is,
// and returns the number of responses.
func (f *fleet) settle() (responses int) {
	for _, st := range f.streams {
		for {
			out, _ := st.step()
			if len(out) == 0 {
				break
			}
			for _, r := range out {
				responses++
				st.handle(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: string(r.kind.url()), ResponseNonce: r.nonce})
			}
		}
	}
	return responses
}

func (f *fleet) run(b *testing.B, want int, change func(i int) Change) {
	b.Helper()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		f.server.Update(change(i))
		if got := f.settle(); got != want {
			b.Fatalf("%d responses, want %d", got, want)
		}
	}
}

func BenchmarkEndpointFlap(b *testing.B) {
	for _, proxies := range []int{1, 100} {
		b.Run(fmt.Sprintf("clusters=5000/proxies=%d", proxies), func(b *testing.B) {
			f := newFleet(1, 5000, proxies)
			name := f.shots["0"].Assignments[2500]
			f.run(b, proxies, func(i int) Change {
				return Change{Endpoints: map[string]*encoded.Resource{name: encoded.NewResource(encoded.EndpointType, name, body(i))}}
			})
		})
	}
}

func BenchmarkRouteChange(b *testing.B) {
	for _, proxies := range []int{1, 100} {
		b.Run(fmt.Sprintf("clusters=5000/proxies=%d", proxies), func(b *testing.B) {
			f := newFleet(1, 5000, proxies)
			f.run(b, proxies, func(i int) Change {
				s := *f.shots["0"]
				s.Routes = []*encoded.Resource{encoded.NewResource(encoded.RouteType, "routes", body(i, s.Assignments...))}
				return Change{Snapshots: map[string]*encoded.Snapshot{"0": &s}}
			})
		})
	}
}

// BenchmarkClusterChange has a list of clusters that shares no memory with the
// one before, so that it is walked.
func BenchmarkClusterChange(b *testing.B) {
	f := newFleet(1, 5000, 1)
	f.run(b, 2, func(i int) Change {
		s := *f.shots["0"]
		s.Clusters = slices.Clone(s.Clusters)
		s.Clusters[2500] = edsCluster(s.Clusters[2500].Name, i)
		return Change{Snapshots: map[string]*encoded.Snapshot{"0": &s}}
	})
}

func BenchmarkHundredGateways(b *testing.B) {
	f := newFleet(100, 50, 1)
	f.run(b, 1, func(i int) Change {
		s := *f.shots["42"]
		s.Routes = []*encoded.Resource{encoded.NewResource(encoded.RouteType, "routes", body(i, s.Assignments...))}
		return Change{Snapshots: map[string]*encoded.Snapshot{"42": &s}}
	})
}

// BenchmarkMemory reports what a connected proxy costs.
func BenchmarkMemory(b *testing.B) {
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for b.Loop() {
		base := newFleet(1, 5000, 0)
		before := heap()
		f := newFleet(1, 5000, 50)
		b.ReportMetric(float64(heap()-before)/50, "B/proxy")
		runtime.KeepAlive(f)
		runtime.KeepAlive(base)
	}
}
