package xds

import (
	"maps"
	"slices"
	"strconv"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	encoded "github.com/egctl/egctl/pkg/translate/xds"
)

// maxFlight bounds the responses of clusters in flight.
const maxFlight = 4

// machine decides what a proxy is told, and when. It belongs to one goroutine
// and knows neither locks nor the network: requests and changes go in,
// responses come out. The order is drawn in the package's documentation.
type machine struct {
	// known: the gateway has, or had, a snapshot. Until then there are no answers.
	known     bool
	snapshot  *encoded.Snapshot
	revision  uint64
	endpoints func(name string) *encoded.Resource

	started time.Time
	warm    time.Duration
	subs    [kinds]*subscription
	nonce   uint64

	// unfed holds assignments of clusters that were sent before the proxy, on
	// this stream, asked for them. It warms those clusters, so that it needs
	// the assignments even if it says that it has them.
	unfed set
	// cold holds the clusters that routes must wait for.
	cold map[string]cold
	// lingering holds removed route configurations to which the proxy is still
	// subscribed, and which it therefore still uses.
	lingering map[string][]*encoded.Resource
	// draining holds clusters to which a listener refers that was replaced or
	// removed, and until when its connections may still use them.
	draining map[string]time.Time
	drain    time.Duration
	// recognised are resources that the proxy was found to hold already, until
	// somebody is told.
	recognised []*encoded.Resource
}

type cold struct {
	assignment string // "" if the cluster has no need of one
	since      time.Time
}

func newMachine(now time.Time, warm, drain time.Duration, endpoints func(string) *encoded.Resource) *machine {
	m := &machine{
		started: now, warm: warm, drain: drain, endpoints: endpoints,
		unfed: set{}, cold: map[string]cold{}, lingering: map[string][]*encoded.Resource{}, draining: map[string]time.Time{},
	}
	for k := range kinds {
		m.subs[k] = newSubscription(k)
	}
	return m
}

// stall is how long an acknowledgement of clusters is waited for before more
// are sent.
func (m *machine) stall() time.Duration { return m.warm / 10 }

// wanted returns the resource of a name that this proxy may read.
func (m *machine) wanted(k kind, name string) *encoded.Resource {
	if k != assignments {
		return find(m.snapshot.Of(k.url()), name)
	}
	if _, ok := slices.BinarySearch(assignmentsOf(m.snapshot), name); !ok {
		return nil
	}
	return m.endpoints(name)
}

// adopt takes the newest snapshot, of which the names in changed differ from
// the one before; everything may, if this is the first.
func (m *machine) adopt(snapshot *encoded.Snapshot, revision uint64, changed *[kinds]set, now time.Time) {
	first := !m.known
	m.known, m.snapshot, m.revision = true, snapshot, revision
	for k, sub := range m.subs {
		if !sub.opened {
			continue
		}
		if first {
			m.recognise(sub)
			m.reviewAll(kind(k), now)
			continue
		}
		for name := range changed[k] {
			m.review(kind(k), name, now)
		}
	}
}

func (m *machine) review(k kind, name string, now time.Time) {
	sub, want := m.subs[k], m.wanted(k, name)
	sub.review(name, want)
	if k != clusters {
		return
	}
	if _, ok := m.cold[name]; want == nil {
		delete(m.cold, name)
	} else if !ok && !sub.runs(name) && sub.wants(name) && !sub.isRefused(name, want) {
		m.cold[name] = cold{assignment: assignmentOf(want), since: now}
	}
}

// reviewAll looks at every name that the proxy may read or claims to hold.
func (m *machine) reviewAll(k kind, now time.Time) {
	sub := m.subs[k]
	for _, list := range [...][]string{keys(sub.held), keys(sub.names)} {
		for _, name := range list {
			m.review(k, name, now)
		}
	}
	if !sub.wildcard {
		return
	}
	if k == assignments {
		for _, name := range assignmentsOf(m.snapshot) {
			m.review(k, name, now)
		}
		return
	}
	for _, r := range m.snapshot.Of(k.url()) {
		m.review(k, r.Name, now)
	}
}

// answer is what a request said about an earlier response.
type answer struct {
	acked    bool
	revision uint64
	accepted []*encoded.Resource
	// message and refused belong to a refusal whose cause is known.
	message string
	refused []*encoded.Resource
	blamed  bool
}

// request takes a request of the proxy. The answer is nil if it was none to a
// response in flight.
func (m *machine) request(k kind, req *discoveryv3.DeltaDiscoveryRequest, now time.Time) *answer {
	sub := m.subs[k]
	a := m.answered(sub, req, now)
	review, everything := sub.subscribe(req)
	if k == assignments {
		for _, name := range req.GetResourceNamesSubscribe() {
			if _, ok := m.unfed[name]; ok {
				sub.ask(name)
				delete(m.unfed, name)
			}
		}
	}
	if m.known {
		m.recognise(sub)
		if everything {
			m.reviewAll(k, now)
		}
		for _, name := range review {
			m.review(k, name, now)
		}
	}
	for _, name := range sub.unsubscribe(req.GetResourceNamesUnsubscribe()) {
		sub.ask(name)
	}
	if k == routes {
		for _, name := range req.GetResourceNamesUnsubscribe() {
			delete(m.lingering, name)
		}
	}
	return a
}

// recognise gives a body to what the proxy reported to hold, where it is what
// it is to hold.
func (m *machine) recognise(sub *subscription) {
	if len(sub.flight) > 0 || sub.sent > 0 {
		return // only what was reported at the beginning lacks a body
	}
	for name, held := range sub.held {
		if want := m.wanted(sub.kind, name); held.Body == nil && want != nil && want.Hash == held.Hash {
			sub.held[name] = want
			m.recognised = append(m.recognised, want)
		}
	}
}

func (m *machine) answered(sub *subscription, req *discoveryv3.DeltaDiscoveryRequest, now time.Time) *answer {
	if req.GetResponseNonce() == "" {
		return nil
	}
	r := sub.land(req.GetResponseNonce())
	if r == nil {
		return nil
	}
	if len(r.resources)+len(r.removed) > bulk {
		defer sub.compact()
		m.unfed = maps.Collect(maps.All(m.unfed))
	}
	if sub.kind == listeners {
		defer m.drainReplaced(m.replacedBy(r), now)
	}
	a := &answer{revision: r.revision, acked: req.GetErrorDetail() == nil}
	if a.acked {
		a.accepted = r.resources
		for _, res := range r.resources {
			sub.accept(res)
			if sub.kind == routes {
				delete(m.lingering, res.Name)
			}
		}
		for _, name := range r.removed {
			sub.drop(name)
		}
		sub.acked = r.revision
		return a
	}
	a.message = req.GetErrorDetail().GetMessage()
	a.refused, a.blamed = sub.refuse(r, a.message)
	return a
}

// next returns the responses that may go now.
func (m *machine) next(now time.Time) []*response {
	if !m.known {
		return nil
	}
	m.warmUp(now)
	var out []*response
	for _, step := range [...]func(*subscription, time.Time) *response{m.offer, m.withdraw} {
		for _, sub := range m.subs {
			if !sub.opened || m.blocked(sub, now) {
				continue
			}
			r := step(sub, now)
			if r == nil {
				continue
			}
			m.nonce++
			r.kind, r.revision, r.at, r.nonce = sub.kind, m.revision, now, strconv.FormatUint(m.nonce, 10)
			sub.launch(r)
			out = append(out, r)
		}
	}
	return out
}

func (m *machine) blocked(sub *subscription, now time.Time) bool {
	if len(sub.flight) == 0 {
		return false
	}
	return sub.kind != clusters || len(sub.flight) >= maxFlight || now.Before(sub.flight[len(sub.flight)-1].at.Add(m.stall()))
}

// offer builds a response of what is added and changed, and for listeners of
// what is removed.
func (m *machine) offer(sub *subscription, _ time.Time) *response {
	var list []string
	if len(sub.probes) > 0 {
		list, sub.probes = sub.probes[0], sub.probes[1:]
		for _, name := range list {
			sub.ask(name) // nothing is certain about what the proxy holds
		}
	} else {
		list = keys(sub.dirty)
	}
	r, held, waitFor := &response{}, false, m.waitFor(sub, len(list))
	for _, name := range list {
		want := m.wanted(sub.kind, name)
		switch {
		case !sub.wants(name) || !sub.differs(name, want):
			delete(sub.dirty, name)
		case want == nil && sub.has(name) && sub.kind != assignments:
			// What the proxy may still use goes in its turn, asked for or not.
			// Not so an assignment that is waited for to warm a cluster that is
			// itself gone again: Envoy acknowledges no cluster before that.
			delete(sub.dirty, name)
			sub.withdrawn[name] = struct{}{}
		case want == nil:
			r.removed = append(r.removed, name)
		case waitFor.any(want.Body):
			held = true
			sub.keepDirty(name)
		default:
			r.resources = append(r.resources, want)
			m.warmAgain(sub, want)
		}
	}
	if sub.kind == listeners && !held {
		r.removed = append(r.removed, keys(sub.withdrawn)...)
	}
	if len(r.resources) == 0 && len(r.removed) == 0 && (!sub.owed || held) {
		return nil
	}
	return r
}

// waitFor returns the cold clusters, to which no listener or route that is
// offered may refer.
func (m *machine) waitFor(sub *subscription, offers int) *references {
	refs := newReferences()
	if offers == 0 {
		return refs
	}
	if sub.kind == listeners || sub.kind == routes {
		for name := range m.cold {
			refs.add(name)
		}
	}
	return refs
}

// warmAgain has the assignment of a cluster sent after it where the proxy has
// it already: Envoy warms a changed cluster anew, and a new one that shares an
// assignment, but asks only for names that it does not watch yet.
func (m *machine) warmAgain(sub *subscription, cluster *encoded.Resource) {
	if sub.kind != clusters {
		return
	}
	eds := m.subs[assignments]
	switch name := assignmentOf(cluster); {
	case name == "":
	case eds.wants(name):
		eds.ask(name)
	default:
		m.unfed[name] = struct{}{}
	}
}

// warmUp takes the clusters out of cold that need no more waiting for.
func (m *machine) warmUp(now time.Time) {
	if len(m.cold) == 0 {
		return
	}
	cds, eds := m.subs[clusters], m.subs[assignments]
	stalled := len(cds.flight) > 0 && !now.Before(cds.flight[0].at.Add(m.stall()))
	for name, c := range m.cold {
		fed := c.assignment == "" || eds.done(c.assignment)
		// Envoy subscribes to the assignment of a cluster that it has accepted;
		// if it is fed, then what holds the acknowledgement up is another one.
		accepted := cds.runs(name) || stalled && c.assignment != "" && cds.offered[name] != nil
		if accepted && fed || cds.isRefused(name, m.wanted(clusters, name)) || !now.Before(c.since.Add(m.warm)) {
			delete(m.cold, name)
		}
	}
	if len(m.cold) == 0 {
		m.cold = map[string]cold{} // it may have been large: see bulk
	}
}
