package xds

import (
	"time"

	encoded "github.com/egctl/egctl/pkg/translate/xds"
)

// withdraw builds a response of removals whose turn has come.
func (m *machine) withdraw(sub *subscription, now time.Time) *response {
	if len(sub.withdrawn) == 0 {
		return nil
	}
	var removed []string
	switch sub.kind {
	case routes:
		if m.through(listeners, now) {
			removed = keys(sub.withdrawn)
			m.linger(removed)
		}
	case clusters:
		if m.through(listeners, now) && m.through(routes, now) {
			removed = m.unused(sub.withdrawn, now)
		}
	case assignments, secrets:
		if m.through(listeners, now) && m.through(clusters, now) && len(m.subs[clusters].withdrawn) == 0 {
			removed = keys(sub.withdrawn)
		}
	case listeners:
		// These go with what replaces them: see offer.
	}
	if len(removed) == 0 {
		return nil
	}
	return &response{removed: removed}
}

// through says that the proxy has answered for all it is to run of a type. One
// that it has not asked for counts as such only some time after the stream has
// begun: a proxy that reconnects asks for its types one after the other, and
// still runs what it ran before.
func (m *machine) through(k kind, now time.Time) bool {
	sub := m.subs[k]
	if !sub.opened {
		return !now.Before(m.started.Add(m.warm))
	}
	return sub.settled() && (k != listeners || len(sub.withdrawn) == 0)
}

// linger remembers what the proxy may still route by after it has been told
// of the removal.
func (m *machine) linger(removed []string) {
	sub := m.subs[routes]
	for _, name := range removed {
		if _, ok := sub.names[name]; ok {
			m.lingering[name] = append(m.lingering[name], sub.possible(name)...)
		}
	}
}

// unused returns those of some clusters that nothing refers to which the proxy
// still runs although it is no longer wanted: the last good version of
// something refused, routes that linger, and listeners that drain.
func (m *machine) unused(withdrawn set, now time.Time) []string {
	refs := newReferences()
	for name := range withdrawn {
		refs.add(name)
	}
	used, all := set{}, false
	keep := func(body []byte) {
		if body == nil {
			all = true // reported on reconnecting; it might refer to any
		}
		refs.in(body, func(name string) bool {
			used[name] = struct{}{}
			return true
		})
	}
	for _, k := range [...]kind{listeners, routes} {
		sub := m.subs[k]
		for _, uncertain := range [...][]string{keys(sub.refused), keys(sub.maybe), keys(sub.withdrawn)} {
			for _, name := range uncertain {
				for _, r := range sub.possible(name) {
					keep(r.Body)
				}
			}
		}
	}
	for _, versions := range m.lingering {
		for _, r := range versions {
			keep(r.Body)
		}
	}
	if all {
		return nil
	}
	var free []string
	for _, name := range keys(withdrawn) {
		if _, ok := used[name]; !ok && !now.Before(m.draining[name]) {
			free = append(free, name)
		}
	}
	return free
}

// replacedBy returns the listeners that the proxy runs and that a response
// changes or removes.
func (m *machine) replacedBy(r *response) []*encoded.Resource {
	var before []*encoded.Resource
	held := m.subs[listeners].held
	for _, res := range r.resources {
		if old := held[res.Name]; old != nil && !encoded.Equal(old, res) {
			before = append(before, old)
		}
	}
	for _, name := range r.removed {
		if old := held[name]; old != nil {
			before = append(before, old)
		}
	}
	return before
}

// drainReplaced notes what connections to listeners that are no longer held
// may still use. Envoy says nothing about the end of a drain, except by its
// route subscriptions: this is for clusters that a listener itself names, such
// as those of a TCP proxy or of an authorization filter.
func (m *machine) drainReplaced(before []*encoded.Resource, now time.Time) {
	for name, until := range m.draining {
		if now.After(until) {
			delete(m.draining, name)
		}
	}
	if len(before) == 0 || m.drain <= 0 {
		return
	}
	refs := newReferences()
	for name := range m.subs[clusters].held {
		refs.add(name)
	}
	for _, old := range before {
		if m.subs[listeners].held[old.Name] == old {
			continue // its replacement was refused
		}
		refs.in(old.Body, func(name string) bool {
			m.draining[name] = now.Add(m.drain)
			return true
		})
	}
}

// wake returns when next is to be called though nothing has happened; zero if
// never.
func (m *machine) wake(now time.Time) time.Time {
	var at time.Time
	consider := func(t time.Time) {
		if t.After(now) && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	for _, c := range m.cold {
		consider(c.since.Add(m.warm))
	}
	cds := m.subs[clusters]
	if n := len(cds.flight); n > 0 && (len(cds.dirty) > 0 || len(cds.probes) > 0 || len(m.cold) > 0) {
		consider(cds.flight[0].at.Add(m.stall()))
		consider(cds.flight[n-1].at.Add(m.stall()))
	}
	for _, sub := range m.subs {
		if len(sub.withdrawn) > 0 {
			consider(m.started.Add(m.warm))
		}
	}
	for name := range m.subs[clusters].withdrawn {
		consider(m.draining[name])
	}
	return at
}
