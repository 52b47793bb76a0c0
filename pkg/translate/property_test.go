package translate_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"testing"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
	"github.com/egctl/egctl/pkg/translate/testworld"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// state is everything a consumer of changes has put together.
type state struct {
	snapshots map[store.Key]*xds.Snapshot
	fleets    map[store.Key]*translate.Fleet
	endpoints map[string]*xds.Resource
	reports   map[store.Key]translate.Report
}

func newState() *state {
	return &state{map[store.Key]*xds.Snapshot{}, map[store.Key]*translate.Fleet{}, map[string]*xds.Resource{}, map[store.Key]translate.Report{}}
}

func (s *state) apply(ch translate.Changes) {
	for k, v := range ch.Snapshots {
		if v == nil {
			delete(s.snapshots, k)
		} else {
			s.snapshots[k] = v
		}
	}
	for k, v := range ch.Fleets {
		if v == nil {
			delete(s.fleets, k)
		} else {
			s.fleets[k] = v
		}
	}
	for k, v := range ch.Endpoints {
		if v == nil {
			delete(s.endpoints, k)
		} else {
			s.endpoints[k] = v
		}
	}
	for k, v := range ch.Reports {
		if v.Status == nil && v.Findings == nil {
			delete(s.reports, k)
		} else {
			s.reports[k] = v
		}
	}
}

// difference says where two states differ; empty if they do not.
func (s *state) difference(o *state) string {
	if len(s.snapshots) != len(o.snapshots) || len(s.endpoints) != len(o.endpoints) {
		return fmt.Sprintf("%d snapshots and %d load assignments, want %d and %d", len(s.snapshots), len(s.endpoints), len(o.snapshots), len(o.endpoints))
	}
	for k, want := range o.snapshots {
		have := s.snapshots[k]
		for _, t := range []xds.Type{xds.ListenerType, xds.RouteType, xds.ClusterType, xds.SecretType} {
			if d := differentResources(have.Of(t), want.Of(t)); d != "" {
				return k.String() + ": " + d
			}
		}
		if !reflect.DeepEqual(have.Assignments, want.Assignments) {
			return fmt.Sprintf("%s: assignments %v, want %v", k, have.Assignments, want.Assignments)
		}
	}
	if len(s.fleets) != len(s.snapshots) || !equality.Semantic.DeepEqual(s.fleets, o.fleets) {
		return fmt.Sprintf("fleets %v, want %v", describe(s.fleets), describe(o.fleets))
	}
	for n, want := range o.endpoints {
		if d := differentResources([]*xds.Resource{s.endpoints[n]}, []*xds.Resource{want}); d != "" {
			return d
		}
	}
	for k, want := range o.reports {
		if have := s.reports[k]; len(have.Findings)+len(want.Findings) > 0 && !reflect.DeepEqual(have.Findings, want.Findings) || !reflect.DeepEqual(have.Status, want.Status) {
			return fmt.Sprintf("%s: report\n%+v\nwant\n%+v", k, have, want)
		}
	}
	return ""
}

// describe prints fleets.
func describe(fleets map[store.Key]*translate.Fleet) []string {
	var all []string
	for _, k := range sortedKeys(fleets) {
		all = append(all, fmt.Sprintf("%+v with %+v", *fleets[k], *fleets[k].Parameters))
	}
	return all
}

func differentResources(have, want []*xds.Resource) string {
	if len(have) != len(want) {
		return fmt.Sprintf("%d resources, want %d", len(have), len(want))
	}
	for i, w := range want {
		h := have[i]
		if h == nil || h.Name != w.Name || string(h.Body) != string(w.Body) || !reflect.DeepEqual(h.Origins, w.Origins) {
			return fmt.Sprintf("%s %s differs", w.Type, w.Name)
		}
	}
	return ""
}

// TestIncrementalEqualsFull drives a translator through random events on a small
// world, where dangling references and conflicts are common, and demands after
// each few of them that what its consumers have put together is, byte for byte,
// what a new translator makes of the same objects. EGCTL_PROPERTY_SEED and
// EGCTL_PROPERTY_EVENTS choose another walk.
func TestIncrementalEqualsFull(t *testing.T) {
	events := number("EGCTL_PROPERTY_EVENTS", 24000)
	seed := number("EGCTL_PROPERTY_SEED", 1)
	const walks = 4
	for walk := range walks {
		t.Run(strconv.Itoa(walk), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(uint64(seed), uint64(walk)))
			w := testworld.New(rng)
			live := translate.New(settings())
			have := newState()
			for done := 0; done < events/walks; {
				changes := w.Step(1 + rng.IntN(6))
				done += len(changes)
				live.Store.Apply(changes...)
				have.apply(live.Update())

				full := translate.New(settings())
				full.Store.Apply(w.All()...)
				want := newState()
				want.apply(full.Update())
				if d := have.difference(want); d != "" {
					t.Fatalf("after %d events (seed %d, walk %d): %s\nlast events: %v", done, seed, walk, d, changes)
				}
			}
		})
	}
}

// TestMemoryIsReturned creates and deletes a world and demands that nothing is
// remembered of it.
func TestMemoryIsReturned(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	w := testworld.New(rng)
	tr := translate.New(settings())
	tr.Update()
	empty := tr.Stats().Nodes
	for range 300 {
		tr.Store.Apply(w.Step(5)...)
		tr.Update()
	}
	if tr.Stats().Nodes <= empty {
		t.Fatal("the world is empty: the test proves nothing")
	}
	tr.Store.Apply(w.Clear()...)
	tr.Update()
	if n := tr.Stats().Nodes; n > empty {
		t.Errorf("%d results are remembered after everything was deleted, %d before", n, empty)
	}
}

func number(env string, def int) int {
	if n, err := strconv.Atoi(os.Getenv(env)); err == nil {
		return n
	}
	return def
}
