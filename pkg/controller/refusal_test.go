package controller

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	ads "github.com/egctl/egctl/pkg/controller/xds"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
	"github.com/egctl/egctl/pkg/translate/testworld"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// bench drives refusals with a real translator and an Envoy that refuses tables
// with certain routes.
type bench struct {
	t        *testing.T
	tr       *translate.Translator
	r        *refusals
	revision uint64
	table    *xds.Resource
	gw       string
	bad      map[string]bool
	answers  int
}

func newBench(t *testing.T, routes int) *bench {
	f := testworld.Fleet{Gateways: 1, Routes: routes}
	b := &bench{t: t, tr: translate.New(translate.DefaultSettings()), r: newRefusals(), bad: map[string]bool{}}
	b.put(testworld.Changes(f.Objects()...)...)
	b.settle()
	return b
}

// put applies changes and notes what is sent.
func (b *bench) put(changes ...store.Change) {
	changes = append(changes, forgotten(changes, b.tr.Store)...)
	b.tr.Store.Apply(changes...)
	for k, s := range b.tr.Update().Snapshots {
		b.revision++
		b.gw = translate.FleetName(k)
		b.r.sent(b.gw, s)
		b.table = s.Routes[0]
	}
	if more := b.r.unmoved(b.tr.Store); len(more) > 0 {
		b.put(more...)
	}
}

// inTable lists the routes of the newest table.
func (b *bench) inTable() []string {
	names := map[string]bool{}
	for _, k := range changedRoutes(nil, b.table) {
		names[k.Name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// answer has Envoy judge the newest table.
func (b *bench) answer() {
	b.answers++
	for _, name := range b.inTable() {
		if b.bad[name] {
			b.refuse(b.table)
			return
		}
	}
	b.accept(b.table)
}

func (b *bench) accept(table *xds.Resource) {
	b.put(b.r.accepted(b.gw, []*xds.Resource{table}, b.tr.Store)...)
}

func (b *bench) refuse(table *xds.Resource) {
	changes, _ := b.r.refused(&ads.Rejection{Gateway: b.gw, Type: xds.RouteType, Message: "no good", Resources: []*xds.Resource{table}}, b.tr.Store)
	b.put(changes...)
}

// settle has Envoy answer until nothing is undecided.
func (b *bench) settle() {
	b.t.Helper()
	for n := 0; ; n++ {
		before := b.revision
		b.answer()
		if b.revision == before && !b.r.undecided() {
			return
		}
		if n > 200 {
			b.t.Fatal("it never ends")
		}
	}
}

func (b *bench) rejected() string {
	var names []string
	for i := range 50 {
		k := routeKey(name(i))
		if b.tr.Store.Peek(translate.RejectionKey(k)) != nil {
			names = append(names, k.Name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// The fleet's objects are in one namespace.
func routeKey(name string) store.Key {
	f := testworld.Fleet{Gateways: 1, Routes: 1}
	k := store.KeyOf(f.Route(0, 0))
	return store.ID{Kind: k.Kind, Namespace: k.Namespace, Name: name}.Key()
}

// edited is route i with another match.
func edited(i, version int) store.Change {
	f := testworld.Fleet{Gateways: 1, Routes: 1000}
	r := f.Route(i, version)
	r.Generation = int64(version)
	path := fmt.Sprintf("/version-%d", version)
	r.Spec.Rules[0].Matches = []gateway.HTTPRouteMatch{{Path: &gateway.HTTPPathMatch{Value: &path}}}
	return store.Put(r)
}

func name(i int) string {
	f := testworld.Fleet{Gateways: 1, Routes: 1000}
	return f.Route(i, 0).Name
}

func TestCulpritsAreFound(t *testing.T) {
	for title, tc := range map[string]struct {
		edited, bad []int
		answers     int // at most
	}{
		"alone":          {[]int{1}, []int{1}, 3},
		"one of two":     {[]int{1, 2}, []int{2}, 6},
		"both":           {[]int{1, 2}, []int{1, 2}, 8},
		"one of forty":   {seq(40), []int{17}, 25},
		"three of forty": {seq(40), []int{0, 17, 39}, 60},
	} {
		t.Run(title, func(t *testing.T) {
			b := newBench(t, 50)
			all := len(b.inTable())
			var changes []store.Change
			for _, i := range tc.edited {
				changes = append(changes, edited(i, 2))
			}
			want := []string{}
			for _, i := range tc.bad {
				b.bad[name(i)] = true
				want = append(want, name(i))
			}
			slices.Sort(want)
			b.answers = 0
			b.put(changes...)
			b.settle()
			if got := b.rejected(); got != strings.Join(want, " ") {
				t.Errorf("rejected are %q, want %q", got, want)
			}
			if got := len(b.inTable()); got != all-len(tc.bad) {
				t.Errorf("%d routes are served, want %d", got, all-len(tc.bad))
			}
			if b.answers > tc.answers {
				t.Errorf("Envoy was asked %d times, want at most %d", b.answers, tc.answers)
			}
			// A culprit that changes is given another chance.
			b.bad = map[string]bool{}
			b.put(edited(tc.bad[0], 3))
			b.settle()
			if got := len(b.inTable()); got != all-len(tc.bad)+1 {
				t.Errorf("%d routes are served after one was mended, want %d", got, all-len(tc.bad)+1)
			}
		})
	}
}

func seq(n int) []int {
	var list []int
	for i := range n {
		list = append(list, i)
	}
	return list
}

// TestAnswersToOlderTables: while a bad table is on its way, Envoy accepts the
// one before. That must not make the bad one look good.
func TestAnswersToOlderTables(t *testing.T) {
	b := newBench(t, 10)
	b.put(edited(1, 2))
	older := b.table
	b.bad[name(2)] = true
	b.put(edited(2, 2))
	b.accept(older)
	b.answers = 0
	b.settle()
	if got := b.rejected(); got != name(2) || b.answers > 2 {
		t.Errorf("rejected are %q after %d answers, want %q after 2", got, b.answers, name(2))
	}

	// The same while a group is let in: the acceptance of what was sent before
	// says nothing about it.
	b = newBench(t, 10)
	b.bad[name(1)] = true
	b.put(edited(1, 2), edited(2, 2))
	b.answer() // refused: both are out
	out := b.table
	b.answer() // accepted: the first comes in
	b.accept(out)
	b.answers = 0
	b.settle()
	if got := b.rejected(); got != name(1) || b.answers > 4 {
		t.Errorf("rejected are %q after %d answers, want %q after 4", got, b.answers, name(1))
	}
}

// TestEditsDuringATrial: a bad edit that comes while others are tried does not
// make the tried ones culprits.
func TestEditsDuringATrial(t *testing.T) {
	for _, culprit := range []int{1, 2} { // one of them is the second to be tried
		b := newBench(t, 10)
		b.bad[name(culprit)] = true
		b.put(edited(1, 2), edited(2, 2))
		b.answer() // refused: both are out
		b.answer() // accepted: one comes in
		b.bad[name(3)] = true
		b.put(edited(3, 2))
		b.settle()
		if got, want := b.rejected(), name(culprit)+" "+name(3); got != want {
			t.Errorf("rejected are %q, want %q", got, want)
		}
	}
}

// TestNamesakes: a route that is deleted takes its Rejection along.
func TestNamesakes(t *testing.T) {
	b := newBench(t, 10)
	b.bad[name(1)] = true
	b.put(edited(1, 2))
	b.settle()
	b.put(store.Delete(routeKey(name(1))))
	b.settle()
	b.bad = map[string]bool{}
	b.put(edited(1, 2))
	b.settle()
	if !slices.Contains(b.inTable(), name(1)) {
		t.Error("the namesake of a rejected route is not served")
	}
}

// TestLateRefusal refuses a table of a Gateway that is gone: its routes may be on
// other Gateways, where nothing is wrong with them.
func TestLateRefusal(t *testing.T) {
	b := newBench(t, 3)
	table := b.table
	b.r.sent(b.gw, nil)
	b.refuse(table)
	if got := b.rejected(); got != "" {
		t.Errorf("left out %v", got)
	}
	if b.accept(table); len(b.r.gateways) > 0 {
		t.Error("a Gateway that is gone is remembered")
	}
}

// TestAnotherProxyRefuses: a second proxy says what the first has said, or says it
// late. That accuses nobody else.
func TestAnotherProxyRefuses(t *testing.T) {
	b := newBench(t, 10)
	b.bad[name(1)] = true
	b.put(edited(1, 2), edited(2, 2))
	bad := b.table
	rejection := &ads.Rejection{Gateway: b.gw, Type: xds.RouteType, Resources: []*xds.Resource{bad}}
	changes, _ := b.r.refused(rejection, b.tr.Store)
	if again, blamed := b.r.refused(rejection, b.tr.Store); len(again) > 0 || !blamed {
		t.Errorf("the second refusal leads to %v", again)
	}
	b.put(changes...)
	b.answer()
	b.refuse(bad)
	b.settle()
	if got := b.rejected(); got != name(1) {
		t.Errorf("rejected are %q, want %q", got, name(1))
	}
}

// restarted is a bench whose controller has just started: it does not know what
// the proxies run. The routes have been accepted before, as their status says, but
// for those that are fresh.
func restarted(t *testing.T, routes int, bad string, fresh ...int) *bench {
	b := newBench(t, routes)
	b.r, b.bad = newRefusals(), map[string]bool{bad: true}
	f := testworld.Fleet{Gateways: 1, Routes: routes}
	var changes []store.Change
	for i := range routes {
		r := f.Route(i, 2)
		r.Generation = 2
		r.CreationTimestamp = metav1.Unix(int64(1000+i), 0)
		observed := int64(2)
		if slices.Contains(fresh, i) {
			observed = 1
		}
		r.Status.Parents = []gateway.RouteParentStatus{{Conditions: []metav1.Condition{{Type: "Accepted", Status: metav1.ConditionTrue, ObservedGeneration: observed}}}}
		changes = append(changes, store.Put(r))
	}
	b.put(changes...)
	return b
}

// TestRestart: after a restart of the controller a table is refused of which no
// good version is known. What works is not taken away to find the culprit.
func TestRestart(t *testing.T) {
	for title, tc := range map[string]struct {
		culprit int
		fresh   []int
		out     int // routes that are left out at most at any time
	}{
		"changed meanwhile":    {3, []int{3, 7}, 2},
		"youngest":             {39, nil, 1},
		"among the youngest":   {36, nil, 4},
		"it could be anybody":  {0, nil, 40},
		"nothing known at all": {5, seq(40), 40},
	} {
		t.Run(title, func(t *testing.T) {
			b := restarted(t, 40, name(tc.culprit), tc.fresh...)
			most := 0
			for n := 0; n == 0 || b.r.undecided(); n++ {
				b.answer()
				most = max(most, 40-len(b.inTable()))
				if n > 200 {
					t.Fatal("it never ends")
				}
			}
			if got := b.rejected(); got != name(tc.culprit) {
				t.Errorf("rejected are %q, want %q", got, name(tc.culprit))
			}
			if most > tc.out {
				t.Errorf("%d routes were left out, want at most %d", most, tc.out)
			}
		})
	}
}
