package controller

import (
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	ads "github.com/egctl/egctl/pkg/controller/xds"
	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// refusals turns what Envoy refuses into Rejections of the routes that caused
// it. Envoy refuses a route table as a whole and keeps the last good one, so the
// routes that changed since then are the suspects. All of them are left out at
// once, which brings everybody else's changes into force; then they are let back
// in by groups, of which those that Envoy refuses are divided: the routes that it
// accepts stay, one that it refuses alone is a culprit.
//
// Which table is good is known from the proxies' answers, and from what they
// report to hold when they connect. What a proxy holds of an earlier controller is
// not known; see [trial.guess].
type refusals struct {
	gateways map[string]*trial
}

// trial is the state of one Gateway. Tables are kept by name.
type trial struct {
	// newest were sent last; good were last accepted, and refused is what was last
	// refused.
	newest, good, refused map[string]*xds.Resource
	groups                [][]store.Key // left out, still to be let in
	inside                []store.Key   // the group that is being tried
	// sent says that tables with the group have been sent, and waiting holds those
	// that no proxy has accepted yet.
	sent    bool
	waiting map[string]bool
}

func newRefusals() *refusals { return &refusals{gateways: map[string]*trial{}} }

// sent notes what is about to be sent to a Gateway's proxies.
func (r *refusals) sent(gateway string, s *xds.Snapshot) {
	if s == nil {
		delete(r.gateways, gateway)
		return
	}
	t := r.gateways[gateway]
	if t == nil {
		t = &trial{good: map[string]*xds.Resource{}, refused: map[string]*xds.Resource{}}
		r.gateways[gateway] = t
	}
	before := t.newest
	t.newest = make(map[string]*xds.Resource, len(s.Routes))
	for _, table := range s.Routes {
		t.newest[table.Name] = table
		if t.inside != nil && !t.sent && !xds.Equal(before[table.Name], table) {
			t.waiting[table.Name] = true
		}
	}
	gone := func(name string, _ *xds.Resource) bool { return t.newest[name] == nil }
	maps.DeleteFunc(t.good, gone)
	maps.DeleteFunc(t.refused, gone)
	maps.DeleteFunc(t.waiting, func(name string, _ bool) bool { return t.newest[name] == nil })
	t.sent = t.sent || len(t.waiting) > 0
}

// unmoved returns the changes that follow where letting routes in has changed no
// table, so that no proxy will say anything about it.
func (r *refusals) unmoved(st *store.Store) []store.Change {
	var changes []store.Change
	for _, t := range r.gateways {
		if t.inside != nil && len(t.waiting) == 0 {
			changes = append(changes, t.next(st)...)
		}
	}
	return changes
}

// undecided says that some routes are left out of which it is not known whether
// they are to blame.
func (r *refusals) undecided() bool {
	for _, t := range r.gateways {
		if t.inside != nil || len(t.groups) > 0 {
			return true
		}
	}
	return false
}

// accepted returns the changes that follow from a proxy's acceptance of route
// tables. A Gateway that is gone has nothing to say any more.
func (r *refusals) accepted(gateway string, list []*xds.Resource, st *store.Store) []store.Change {
	t := r.gateways[gateway]
	if t == nil {
		return nil
	}
	for _, table := range list {
		newest := t.newest[table.Name]
		if newest == nil {
			continue
		}
		t.good[table.Name] = table
		if xds.Equal(newest, table) {
			delete(t.waiting, table.Name)
			delete(t.refused, table.Name)
		}
	}
	if t.inside != nil && (!t.sent || len(t.waiting) > 0) {
		return nil // it is not the answer that is awaited
	}
	return t.next(st)
}

// refused returns the changes that follow from the refusal of route tables, and
// whether routes are to blame at all. The routes of a Gateway that is gone are not
// blamed: others may serve them.
func (r *refusals) refused(rej *ads.Rejection, st *store.Store) (changes []store.Change, blamed bool) {
	t := r.gateways[rej.Gateway]
	if t == nil {
		return nil, true
	}
	var suspects []store.Key
	known, news := true, false
	for _, table := range rej.Resources {
		if !xds.Equal(t.newest[table.Name], table) || xds.Equal(t.refused[table.Name], table) {
			continue // another is on its way, or another proxy has said the same
		}
		t.refused[table.Name], news = table, true
		good := t.good[table.Name]
		changed := changedRoutes(good, table)
		if good == nil {
			changed, known = t.guess(changed, st), false
		}
		for _, k := range changed {
			if !slices.Contains(suspects, k) {
				suspects = append(suspects, k)
			}
		}
	}
	if !news {
		return nil, true
	}
	if tried := t.inside; tried != nil && t.sent {
		t.inside, t.waiting, t.sent = nil, nil, false
		if !slices.ContainsFunc(suspects, func(k store.Key) bool { return !slices.Contains(tried, k) }) {
			if len(tried) > 1 {
				t.groups = append(halves(tried), t.groups...)
			}
			return reject(st, rej.Message, tried...), true
		}
		for _, k := range tried { // others have changed too: everybody is under suspicion
			if !slices.Contains(suspects, k) {
				suspects = append(suspects, k)
			}
		}
	}
	switch {
	case len(suspects) > 1:
		t.groups = append(halves(suspects), t.groups...)
	case len(suspects) == 1 && !known:
		t.groups = append([][]store.Key{suspects}, t.groups...)
	}
	// One that alone has changed is to blame: nobody else can have done it.
	return reject(st, rej.Message, suspects...), len(suspects) > 0
}

// guess picks suspects from the routes of a table of which no good version is
// known: after a restart of the controller, say, while proxies run on with what
// they have. Those that a controller has reported as accepted in their present
// generation are above suspicion, if there are others. If not, all have been in
// force once, and leaving all of them out would end what works: then the youngest
// is left out, then more, twice as many each time, until a proxy accepts.
func (t *trial) guess(keys []store.Key, st *store.Store) []store.Key {
	var fresh []store.Key
	for _, k := range keys {
		if !confirmed(st.Peek(k)) {
			fresh = append(fresh, k)
		}
	}
	if len(fresh) > 0 {
		return fresh
	}
	out := 0
	for _, g := range t.groups {
		out += len(g)
	}
	slices.SortStableFunc(keys, func(a, b store.Key) int { return created(st, b).Compare(created(st, a)) })
	return keys[:min(len(keys), max(1, out))]
}

func created(st *store.Store, k store.Key) time.Time {
	if o := st.Peek(k); o != nil {
		return o.GetCreationTimestamp().Time
	}
	return time.Time{}
}

// confirmed says whether the status of a route tells that its present generation
// was accepted by every parent that has a say in it.
func confirmed(o store.Object) bool {
	status := store.RouteStatus(o)
	if status == nil || len(status.Parents) == 0 {
		return false
	}
	for _, p := range status.Parents {
		c := meta.FindStatusCondition(p.Conditions, string(gateway.RouteConditionAccepted))
		if c == nil || c.Status != metav1.ConditionTrue || c.ObservedGeneration != o.GetGeneration() {
			return false
		}
	}
	return true
}

func halves(keys []store.Key) [][]store.Key {
	n := len(keys) / 2
	return [][]store.Key{slices.Clone(keys[:n]), slices.Clone(keys[n:])}
}

// next lets the next group in: those of it that are still there and left out.
func (t *trial) next(st *store.Store) []store.Change {
	t.inside, t.waiting, t.sent = nil, map[string]bool{}, false
	for len(t.groups) > 0 {
		group := t.groups[0]
		t.groups = t.groups[1:]
		var changes []store.Change
		for _, k := range group {
			if st.Peek(k) != nil && st.Peek(translate.RejectionKey(k)) != nil {
				t.inside = append(t.inside, k)
				changes = append(changes, store.Delete(translate.RejectionKey(k)))
			}
		}
		if t.inside != nil {
			return changes
		}
	}
	return nil
}

// reject returns the changes that leave objects out until they change.
func reject(st *store.Store, message string, keys ...store.Key) []store.Change {
	var changes []store.Change
	for _, k := range keys {
		if o := st.Peek(k); o != nil {
			changes = append(changes, store.PutValue(translate.RejectionKey(k), translate.Rejection{
				Generation: o.GetGeneration(), UID: o.GetUID(), Message: message,
			}))
		}
	}
	return changes
}

// forgotten returns the changes that forget what was said about objects that
// are deleted: one that comes later by the same name is another.
func forgotten(changes []store.Change, st *store.Store) []store.Change {
	var more []store.Change
	for _, c := range changes {
		if k := translate.RejectionKey(c.Key); c.Object == nil && st.Peek(k) != nil {
			more = append(more, store.Delete(k))
		}
	}
	return more
}

func keyOf(o finding.Object) store.Key {
	return store.ID{Kind: store.Kind{Group: o.Group, Kind: o.Kind}, Namespace: o.Namespace, Name: o.Name}.Key()
}
