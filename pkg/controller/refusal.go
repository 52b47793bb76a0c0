package controller

import (
	"slices"

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
type refusals struct {
	gateways map[string]*trial
}

// maxSent is how many revisions of tables are kept for proxies to accept. If
// one is slower, the oldest are taken as accepted with the next.
const maxSent = 16

// trial is the state of one Gateway. Revisions are numbers of updates of the ADS
// server.
type trial struct {
	// sent are the route tables that were sent and not yet accepted.
	sent []tables
	// good were last accepted, and before are those before them: a table that
	// waits for its clusters is not accepted yet though others of its revision are.
	good, before []*xds.Resource
	groups       [][]store.Key // left out, still to be let in
	inside       []store.Key   // the group that is being tried
	// since is the revision that let them in; 0: it is not sent yet.
	since uint64
}

type tables struct {
	revision uint64
	list     []*xds.Resource
}

func newRefusals() *refusals { return &refusals{gateways: map[string]*trial{}} }

// sent notes what is about to be sent to a Gateway's proxies.
func (r *refusals) sent(gateway string, s *xds.Snapshot, revision uint64) {
	if s == nil {
		delete(r.gateways, gateway)
		return
	}
	t := r.gateways[gateway]
	if t == nil {
		t = &trial{}
		r.gateways[gateway] = t
	}
	if n := len(t.sent); n > 0 && xds.EqualResources(t.sent[n-1].list, s.Routes) || n == 0 && xds.EqualResources(t.good, s.Routes) {
		return // there is nothing new to accept
	}
	if len(t.sent) == maxSent {
		t.sent = slices.Delete(t.sent, 0, 1)
	}
	t.sent = append(t.sent, tables{revision, s.Routes})
	if t.inside != nil && t.since == 0 {
		t.since = revision
	}
}

// unmoved returns the changes that follow where letting routes in has changed no
// table, so that no proxy will say anything about it.
func (r *refusals) unmoved(st *store.Store) []store.Change {
	var changes []store.Change
	for _, t := range r.gateways {
		if t.inside != nil && t.since == 0 {
			t.inside = nil
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

// accepted returns the changes that follow from the acceptance of all route
// tables of a revision. A Gateway that is gone has nothing to say any more.
func (r *refusals) accepted(gateway string, revision uint64, st *store.Store) []store.Change {
	t := r.gateways[gateway]
	if t == nil {
		return nil
	}
	n := 0
	for n < len(t.sent) && t.sent[n].revision <= revision {
		n++
	}
	if n > 0 {
		t.before, t.good = t.good, t.sent[n-1].list
		t.sent = slices.Delete(t.sent, 0, n)
	}
	if t.inside != nil {
		if t.since == 0 || revision < t.since {
			return nil // it is not the answer that is awaited
		}
		t.inside = nil
	}
	return t.next(st)
}

// refused returns the changes that follow from the refusal of route tables. The
// routes of a Gateway that is gone are not blamed: others may serve them.
func (r *refusals) refused(rej *ads.Rejection, st *store.Store) []store.Change {
	t := r.gateways[rej.Gateway]
	if t == nil {
		return nil
	}
	suspects := t.suspects(rej.Resources)
	if tried := t.inside; tried != nil && t.since != 0 {
		t.inside = nil
		if !slices.ContainsFunc(suspects, func(k store.Key) bool { return !slices.Contains(tried, k) }) {
			if len(tried) > 1 {
				t.groups = append(halves(tried), t.groups...)
			}
			return reject(st, rej.Message, tried...)
		}
		for _, k := range tried { // others have changed too: everybody is under suspicion
			if !slices.Contains(suspects, k) {
				suspects = append(suspects, k)
			}
		}
	}
	if len(suspects) > 1 { // else nobody else can have done it
		t.groups = append(halves(suspects), t.groups...)
	}
	return reject(st, rej.Message, suspects...)
}

// suspects lists the routes that differ from what was last accepted.
func (t *trial) suspects(refused []*xds.Resource) []store.Key {
	var keys []store.Key
	for _, res := range refused {
		changed := changedRoutes(find(t.good, res.Name), res)
		if len(changed) == 0 {
			changed = changedRoutes(find(t.before, res.Name), res)
		}
		for _, k := range changed {
			if !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
	}
	return keys
}

func halves(keys []store.Key) [][]store.Key {
	n := len(keys) / 2
	return [][]store.Key{slices.Clone(keys[:n]), slices.Clone(keys[n:])}
}

// next lets the next group in: those of it that are still there and left out.
func (t *trial) next(st *store.Store) []store.Change {
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
			t.since = 0
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
