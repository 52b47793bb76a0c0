package xds

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	encoded "github.com/egctl/egctl/pkg/translate/xds"
)

// body encodes a version and references as Envoy's messages encode strings.
func body(version int, refs ...string) []byte {
	b := protowire.AppendTag(nil, 100, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(version))
	for _, r := range refs {
		b = protowire.AppendTag(b, 101, protowire.BytesType)
		b = protowire.AppendString(b, r)
	}
	return b
}

func edsCluster(name string, version int) *encoded.Resource {
	b := protowire.AppendTag(nil, clusterTypeField, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(clusterv3.Cluster_EDS))
	return encoded.NewResource(encoded.ClusterType, name, append(b, body(version)...))
}

// envoy is a model of how Envoy behaves as a delta client: it watches the
// assignment of each cluster and the routes of each listener; withholds the
// acknowledgement of clusters while one warms; keeps a replaced listener, and
// the routes it uses, for a while; and refuses whatever is called bad.
type envoy struct {
	random   *rand.Rand
	m        *machine
	now      time.Time
	inbound  []*response
	outbound []func() // requests on their way
	held     [kinds]map[string]*encoded.Resource
	warm     set // clusters that have had an assignment since they changed
	active   map[string]*encoded.Resource
	draining []*encoded.Resource
	watching [kinds]set
	withheld []*discoveryv3.DeltaDiscoveryRequest
}

func (e *envoy) request(k kind, req *discoveryv3.DeltaDiscoveryRequest) {
	req.TypeUrl = string(k.url())
	e.outbound = append(e.outbound, func() { e.m.request(k, req, e.now) })
}

func refsOf(r *encoded.Resource) (refs []string) {
	fields(r.Body, func(n protowire.Number, _ uint64, b []byte) {
		if n == 101 {
			refs = append(refs, string(b))
		}
	})
	return refs
}

func bad(r *encoded.Resource) bool { return slices.Contains(refsOf(r), "bad") }

// watch tells the server which names of a type are of interest from now on.
func (e *envoy) watch(k kind, names set) {
	var req discoveryv3.DeltaDiscoveryRequest
	for _, n := range keys(names) {
		if _, ok := e.watching[k][n]; !ok {
			req.ResourceNamesSubscribe = append(req.ResourceNamesSubscribe, n)
		}
	}
	for _, n := range keys(e.watching[k]) {
		if _, ok := names[n]; !ok {
			req.ResourceNamesUnsubscribe = append(req.ResourceNamesUnsubscribe, n)
			delete(e.held[k], n)
		}
	}
	e.watching[k] = names
	if len(req.ResourceNamesSubscribe)+len(req.ResourceNamesUnsubscribe) > 0 {
		e.request(k, &req)
	}
}

func (e *envoy) apply(r *response) {
	var faults []string
	for _, res := range r.resources {
		if bad(res) {
			faults = append(faults, res.Name)
		}
	}
	partial := r.kind == clusters || r.kind == listeners
	for _, res := range r.resources {
		if bad(res) {
			if !partial {
				break // what follows is not applied
			}
			continue
		}
		if _, ok := e.watching[r.kind][res.Name]; !ok && !partial {
			continue // it lost interest meanwhile
		}
		e.held[r.kind][res.Name] = res
		if r.kind == clusters {
			delete(e.warm, res.Name)
		}
		if r.kind == assignments {
			e.warm[res.Name] = struct{}{}
		}
	}
	if len(faults) == 0 || partial {
		for _, name := range r.removed {
			switch r.kind {
			case routes, secrets: // ignored
			case assignments:
				e.warm[name] = struct{}{}
			default:
				delete(e.held[r.kind], name)
			}
		}
	}
	e.settle()
	ack := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: string(r.kind.url()), ResponseNonce: r.nonce}
	if len(faults) > 0 {
		message := "bad"
		if partial {
			message = map[kind]string{clusters: "Error adding/updating cluster(s) ", listeners: "Error adding/updating listener(s) "}[r.kind] + strings.Join(faults, ": bad\n")
		}
		ack.ErrorDetail = &rpcstatus.Status{Message: message}
	}
	if r.kind == clusters {
		e.withheld = append(e.withheld, ack)
	} else {
		e.request(r.kind, ack)
	}
	e.settle()
}

// settle does what follows from what is held.
func (e *envoy) settle() {
	e.watch(assignments, maps.Collect(func(yield func(string, struct{}) bool) {
		for n := range e.held[clusters] {
			if !yield(n, struct{}{}) {
				return
			}
		}
	}))
	cold := false
	for n := range e.held[clusters] {
		_, ok := e.warm[n]
		cold = cold || !ok
	}
	if !cold {
		for _, ack := range e.withheld {
			e.request(clusters, ack)
		}
		e.withheld = nil
	}
	uses := set{}
	for name, l := range e.held[listeners] {
		uses[refsOf(l)[0]] = struct{}{}
		if e.held[routes][refsOf(l)[0]] != nil && e.active[name] != l {
			if old := e.active[name]; old != nil {
				e.draining = append(e.draining, old)
			}
			e.active[name] = l
		}
	}
	for name, l := range e.active {
		if e.held[listeners][name] == nil {
			delete(e.active, name)
			e.draining = append(e.draining, l)
		}
	}
	for _, l := range append(slices.Collect(maps.Values(e.active)), e.draining...) {
		uses[refsOf(l)[0]] = struct{}{}
	}
	e.watch(routes, uses)
}

// check demands that every request that could come in now finds a warm cluster.
func (e *envoy) check(t *testing.T) {
	t.Helper()
	for _, l := range append(slices.Collect(maps.Values(e.active)), e.draining...) {
		for _, to := range refsOf(e.held[routes][refsOf(l)[0]]) {
			if e.held[clusters][to] == nil {
				t.Fatalf("listener %s routes to cluster %s, which is not there", l.Name, to)
			}
		}
	}
}

func (e *envoy) start() {
	for _, k := range [...]kind{clusters, listeners} {
		e.request(k, &discoveryv3.DeltaDiscoveryRequest{ResourceNamesSubscribe: []string{"*"}})
	}
}

// reconnect begins a new stream on which everything is declared again.
func (e *envoy) reconnect(endpoints func(string) *encoded.Resource) {
	e.m = newMachine(e.now, time.Hour, time.Hour, endpoints)
	e.inbound, e.outbound, e.withheld = nil, nil, nil
	// A cluster that was warming when the stream broke takes the assignment
	// that Envoy has kept, once its first fetch has timed out.
	for n := range e.held[assignments] {
		e.warm[n] = struct{}{}
	}
	for k := range kinds {
		req := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: string(k.url()), InitialResourceVersions: map[string]string{}}
		for n, r := range e.held[k] {
			req.InitialResourceVersions[n] = r.Version()
		}
		req.ResourceNamesSubscribe = keys(e.watching[k])
		if k == clusters || k == listeners {
			req.ResourceNamesSubscribe = []string{"*"}
		} else if len(req.ResourceNamesSubscribe) == 0 {
			continue
		}
		e.request(k, req)
	}
}

// world makes up snapshots.
type world struct {
	random    *rand.Rand
	version   int
	snapshot  *encoded.Snapshot
	endpoints map[string]*encoded.Resource
}

func (w *world) change() (map[string]*encoded.Resource, *encoded.Snapshot) {
	w.version++
	s := &encoded.Snapshot{}
	tables, backends := set{}, set{}
	for _, name := range []string{"l1", "l2"} {
		if w.random.IntN(4) == 0 {
			continue
		}
		table := fmt.Sprint("table", w.random.IntN(3))
		tables[table] = struct{}{}
		refs := []string{table}
		if w.random.IntN(8) == 0 {
			refs = append(refs, "bad")
		}
		s.Listeners = append(s.Listeners, encoded.NewResource(encoded.ListenerType, name, body(w.random.IntN(2), refs...)))
	}
	for _, table := range keys(tables) {
		var refs []string
		for range 1 + w.random.IntN(2) {
			b := fmt.Sprint("backend", w.random.IntN(6))
			refs = append(refs, b)
			backends[b] = struct{}{}
		}
		if w.random.IntN(8) == 0 {
			refs = append(refs, "bad")
		}
		s.Routes = append(s.Routes, encoded.NewResource(encoded.RouteType, table, body(w.random.IntN(2), refs...)))
	}
	if w.random.IntN(3) == 0 {
		s.Clusters = append(s.Clusters, encoded.NewResource(encoded.ClusterType, "a-broken-one", body(w.version, "bad")))
	}
	for _, b := range keys(backends) {
		s.Clusters = append(s.Clusters, edsCluster(b, w.random.IntN(2)))
		s.Assignments = append(s.Assignments, b)
		if w.random.IntN(4) > 0 {
			w.endpoints[b] = encoded.NewResource(encoded.EndpointType, b, body(w.random.IntN(3)))
		}
	}
	return w.endpoints, s
}

// Whatever changes, in whatever order answers arrive, refusals and reconnects
// included, no listener ever routes to a cluster that the proxy lacks; and when
// changes end, the proxy has everything that it did not refuse.
func TestSimulatedProxyNeverLacksACluster(t *testing.T) {
	for seed := range uint64(400) {
		simulate(t, seed)
		if t.Failed() {
			t.Fatalf("with seed %d", seed)
		}
	}
}

func simulate(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	w := &world{random: random, endpoints: map[string]*encoded.Resource{}}
	lookup := func(n string) *encoded.Resource { return w.endpoints[n] }
	e := &envoy{random: random, now: time.Unix(0, 0), warm: set{}, active: map[string]*encoded.Resource{}}
	e.m = newMachine(e.now, time.Hour, time.Hour, lookup)
	for k := range kinds {
		e.held[k], e.watching[k] = map[string]*encoded.Resource{}, set{}
	}
	e.start()
	revision := uint64(0)
	pump := func() {
		e.inbound = append(e.inbound, e.m.next(e.now)...)
	}
	adopt := func(s *encoded.Snapshot, before map[string]*encoded.Resource) {
		revision++
		var changed [kinds]set
		for k, list := range diff(w.snapshot, s) {
			changed[k] = set{}
			for _, n := range list {
				changed[k][n] = struct{}{}
			}
		}
		for n := range w.endpoints {
			if !encoded.Equal(before[n], w.endpoints[n]) {
				changed[assignments][n] = struct{}{}
			}
		}
		w.snapshot = s
		e.m.adopt(s, revision, &changed, e.now)
		pump()
	}
	for range 400 {
		e.now = e.now.Add(time.Millisecond)
		switch n := random.IntN(20); {
		case n == 0:
			before := maps.Clone(w.endpoints)
			_, s := w.change()
			adopt(s, before)
		case n == 1 && len(e.draining) > 0:
			e.draining = e.draining[1:]
			e.settle()
		case n == 2 && random.IntN(10) == 0 && w.snapshot != nil:
			e.reconnect(lookup)
			e.m.adopt(w.snapshot, revision, &[kinds]set{}, e.now)
		case n < 11 && len(e.inbound) > 0:
			r := e.inbound[0]
			e.inbound = e.inbound[1:]
			e.apply(r)
		case len(e.outbound) > 0:
			send := e.outbound[0]
			e.outbound = e.outbound[1:]
			send()
			pump()
		}
		e.check(t)
		if t.Failed() {
			return
		}
	}
	// Let everything come to an end.
	e.draining = nil
	e.settle()
	for rounds := 0; len(e.inbound)+len(e.outbound) > 0; rounds++ {
		if rounds > 2000 {
			t.Fatal("the exchange does not end")
		}
		if len(e.inbound) > 0 {
			r := e.inbound[0]
			e.inbound = e.inbound[1:]
			e.apply(r)
		} else {
			send := e.outbound[0]
			e.outbound = e.outbound[1:]
			send()
			pump()
		}
		e.draining = nil
		e.settle()
		e.check(t)
	}
	for _, k := range [...]kind{clusters, listeners, routes} {
		for _, want := range w.snapshot.Of(k.url()) {
			if _, watched := e.watching[k][want.Name]; k == routes && !watched || bad(want) {
				continue
			}
			if !encoded.Equal(e.held[k][want.Name], want) {
				t.Errorf("%s %s did not arrive", k.url(), want.Name)
			}
		}
		for name := range e.held[k] {
			if k == listeners && find(w.snapshot.Of(k.url()), name) == nil {
				t.Errorf("%s %s was not removed", k.url(), name)
			}
		}
	}
	for name := range e.held[assignments] {
		if want := w.endpoints[name]; slices.Contains(w.snapshot.Assignments, name) && want != nil && !encoded.Equal(want, e.held[assignments][name]) {
			t.Errorf("assignment %s is not the newest", name)
		}
	}
}
