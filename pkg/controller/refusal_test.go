package controller

import (
	"fmt"
	"slices"
	"testing"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	ads "github.com/egctl/egctl/pkg/controller/xds"
	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// bench is a Gateway's proxy that refuses tables with certain routes, and a
// translator that leaves rejected ones out.
type bench struct {
	t        *testing.T
	st       *store.Store
	refusals *refusals
	names    []string
	bad      map[string]bool
	revision uint64
	// inForce are the routes of the last table that was accepted.
	inForce []string
}

const benchGateway = "default/eg"

func newBench(t *testing.T, bad ...string) *bench {
	b := &bench{t: t, st: store.New(incr.New()), refusals: newRefusals(), bad: map[string]bool{}}
	for _, n := range bad {
		b.bad[n] = true
	}
	return b
}

func routeKey(name string) store.Key {
	return store.ID{Kind: store.HTTPRoute, Namespace: "default", Name: name}.Key()
}

func (b *bench) add(name string) {
	r := &gateway.HTTPRoute{}
	r.Namespace, r.Name, r.Generation = "default", name, 1
	r.APIVersion, r.Kind = "gateway.networking.k8s.io/v1", "HTTPRoute"
	b.st.Apply(store.Put(r))
	b.names = append(b.names, name)
}

func (b *bench) rejected() []string {
	var out []string
	for _, n := range b.names {
		if b.st.Peek(translate.RejectionKey(routeKey(n))) != nil {
			out = append(out, n)
		}
	}
	return out
}

// table is that of the routes which are not left out.
func (b *bench) table() (*xds.Resource, []string) {
	vh := &route.VirtualHost{Name: "*", Domains: []string{"*"}}
	var names []string
	for _, n := range b.names {
		if slices.Contains(b.rejected(), n) {
			continue
		}
		origin, err := structpb.NewStruct(map[string]any{"resources": []any{map[string]any{"kind": "HTTPRoute", "namespace": "default", "name": n}}})
		if err != nil {
			b.t.Fatal(err)
		}
		vh.Routes = append(vh.Routes, &route.Route{Name: n, Metadata: &core.Metadata{FilterMetadata: map[string]*structpb.Struct{"envoy-gateway": origin}}})
		names = append(names, n)
	}
	body, err := proto.Marshal(&route.RouteConfiguration{Name: "http-80", VirtualHosts: []*route.VirtualHost{vh}})
	if err != nil {
		b.t.Fatal(err)
	}
	h := uint64(len(body))
	for _, c := range body {
		h = h*31 + uint64(c)
	}
	return &xds.Resource{Type: xds.RouteType, Name: "http-80", Body: body, Hash: h}, names
}

// settle plays controller and proxy until nothing moves any more, and returns
// how many tables it took.
func (b *bench) settle() int {
	for n := 1; n < 200; n++ {
		table, names := b.table()
		b.revision++
		b.refusals.sent(benchGateway, &xds.Snapshot{Routes: []*xds.Resource{table}}, b.revision)
		b.st.Apply(b.refusals.unmoved(b.st)...)
		var follow []store.Change
		if slices.ContainsFunc(names, func(n string) bool { return b.bad[n] }) {
			follow = b.refusals.refused(&ads.Rejection{Gateway: benchGateway, Type: xds.RouteType, Message: "no", Resources: []*xds.Resource{table}}, b.st)
		} else {
			b.inForce = names
			follow = b.refusals.accepted(benchGateway, b.revision, b.st)
		}
		if len(follow) == 0 {
			return n
		}
		b.st.Apply(follow...)
	}
	b.t.Fatal("there is no end to it")
	return 0
}

// TestCulpritsAreFound adds good and bad routes at once: in the end just the bad
// ones are left out, and what served before serves all the time.
func TestCulpritsAreFound(t *testing.T) {
	for _, bad := range [][]string{{"n0"}, {"n15"}, {"n3", "n4"}, {"n0", "n7", "n8", "n15"}} {
		b := newBench(t, bad...)
		b.add("old")
		b.settle()
		for i := range 16 {
			b.add(fmt.Sprintf("n%d", i))
		}
		b.settle()
		if got := b.rejected(); !slices.Equal(got, bad) {
			t.Errorf("left out %v, want %v", got, bad)
		}
		if len(b.inForce) != 17-len(bad) || b.inForce[0] != "old" {
			t.Errorf("with %v bad, in force are %v", bad, b.inForce)
		}
	}
}

// TestLateRefusal refuses a table of a Gateway that is gone: its routes may be on
// other Gateways, where nothing is wrong with them.
func TestLateRefusal(t *testing.T) {
	b := newBench(t)
	b.add("web")
	b.settle()
	table, _ := b.table()
	b.refusals.sent(benchGateway, nil, b.revision+1)
	b.st.Apply(b.refusals.refused(&ads.Rejection{Gateway: benchGateway, Type: xds.RouteType, Resources: []*xds.Resource{table}}, b.st)...)
	if got := b.rejected(); got != nil {
		t.Errorf("left out %v", got)
	}
	if b.refusals.accepted(benchGateway, b.revision, b.st); len(b.refusals.gateways) > 0 {
		t.Error("a Gateway that is gone is remembered")
	}
}
