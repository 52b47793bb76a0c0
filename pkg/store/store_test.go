package store_test

import (
	"runtime"
	"slices"
	"testing"

	core "k8s.io/api/core/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
)

func service(name string, port int32) *core.Service {
	s := &core.Service{}
	s.Namespace, s.Name = "default", name
	s.Spec.Ports = []core.ServicePort{{Port: port}}
	return s
}

func key(name string) store.Key {
	return store.ID{Kind: store.Service, Namespace: "default", Name: name}.Key()
}

var byPort = store.NewIndex("services by port", func(_ store.Key, o store.Object) []int32 {
	var ports []int32
	for _, p := range o.(*core.Service).Spec.Ports {
		ports = append(ports, p.Port)
	}
	return ports
}, store.Service)

// TestLookupsFollowMembership asks who serves a port and demands that the
// question is only asked again when the answer can be another.
func TestLookupsFollowMembership(t *testing.T) {
	db := incr.New()
	s := store.New(db, byPort)
	names := incr.NewQuery("names", func(c *incr.Context, port int32) []string {
		var out []string
		for _, k := range byPort.Lookup(c, port) {
			out = append(out, k.Name)
		}
		return out
	})
	ask := func(want ...string) {
		t.Helper()
		if got := names.Get(db.Root(), 80); !slices.Equal(got, want) {
			t.Errorf("port 80 is served by %v, want %v", got, want)
		}
	}
	runs := func() uint64 { return db.Stats().Runs["names"] }

	ask()
	s.Apply(store.Put(service("b", 80)), store.Put(service("a", 80)), store.Put(service("c", 81)))
	ask("a", "b")
	before := runs()
	edited := service("a", 80)
	edited.Labels = map[string]string{"edited": "yes"}
	s.Apply(store.Put(edited), store.Put(service("c", 82)))
	ask("a", "b")
	if runs() != before {
		t.Error("an edit that leaves an object in its entry ran the look-up again")
	}
	s.Apply(store.Put(service("a", 81)), store.Delete(key("b")))
	ask()
}

// TestStatusIsNoInput demands that writing a status, as the controller itself
// does, is not taken for a change of what the user wants.
func TestStatusIsNoInput(t *testing.T) {
	db := incr.New()
	s := store.New(db)
	version := func(generation int64, resource string, hostname gateway.Hostname) *gateway.HTTPRoute {
		r := &gateway.HTTPRoute{}
		r.Namespace, r.Name, r.UID, r.Generation, r.ResourceVersion = "default", "web", "u", generation, resource
		r.Spec.Hostnames = []gateway.Hostname{hostname}
		return r
	}
	if n := len(s.Apply(store.Put(version(1, "1", "a")))); n != 1 {
		t.Errorf("a new object counts as %d changes", n)
	}
	written := version(1, "2", "a")
	written.Status.Parents = []gateway.RouteParentStatus{{ControllerName: "x"}}
	if n := len(s.Apply(store.Put(written))); n != 0 {
		t.Error("a written status counts as a change")
	}
	if got := s.Peek(store.KeyOf(written)); got != store.Object(written) {
		t.Error("the live object is not the one last written")
	}
	if n := len(s.Apply(store.Put(version(2, "3", "b")))); n != 1 {
		t.Error("a new generation does not count as a change")
	}
	again := version(2, "4", "b")
	again.UID = "another"
	if n := len(s.Apply(store.Put(again))); n != 1 {
		t.Error("an object that was deleted and made again does not count as a change")
	}
}

// TestKeysAreCollected demands that names nobody uses any more are forgotten.
func TestKeysAreCollected(t *testing.T) {
	if a, b := key("same"), key("same"); a != b || a == key("other") {
		t.Fatal("equal IDs must have equal keys, others others")
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 200_000 {
		_ = key(string(rune('a'+i%26)) + string(rune(0x4e00+i%20000)) + string(rune(0x4e00+i/20000)))
	}
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapObjects) - int64(before.HeapObjects); grown > 100_000 {
		t.Errorf("%d objects remain of 200000 names that nobody uses", grown)
	}
	runtime.KeepAlive(key("same"))
}
