package xds

import (
	"maps"
	"slices"
	"strconv"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	encoded "github.com/egctl/egctl/pkg/translate/xds"
)

type set = map[string]struct{}

// subscription is what is known of one type on one stream: what the proxy
// wants to hear of, what it holds, and what is still to be said.
type subscription struct {
	kind kind
	// opened: the proxy has asked for the type.
	opened bool
	// owed: an answer is due even if there is nothing to say. Envoy waits for
	// the first answer to a wildcard.
	owed     bool
	wildcard bool
	names    set

	// held is what the proxy last accepted. A resource that it reported on
	// reconnecting and that is not current has a hash, but no body.
	held map[string]*encoded.Resource
	// offered is what is in flight; nil stands for a removal.
	offered map[string]*encoded.Resource
	// refused is what the proxy last refused of a name; nil, a removal.
	refused map[string]*encoded.Resource

	// maybe holds versions from refused responses of which it is not known
	// whether the proxy has applied them; held is then what it had before.
	maybe map[string][]*encoded.Resource

	// dirty names are to be sent; those with true even if the proxy holds the
	// same, since it has asked.
	dirty map[string]bool
	// withdrawn names are to be removed from the proxy, in their turn.
	withdrawn set
	// probes are groups of names, each to be sent by itself, to find out which
	// resource was refused.
	probes [][]string

	flight      []*response
	sent, acked uint64
}

// response is one that the proxy has not answered.
type response struct {
	kind      kind
	nonce     string
	revision  uint64
	at        time.Time
	resources []*encoded.Resource
	removed   []string
}

func newSubscription(k kind) *subscription {
	return &subscription{
		kind: k, names: set{}, withdrawn: set{}, dirty: map[string]bool{},
		held: map[string]*encoded.Resource{}, offered: map[string]*encoded.Resource{}, refused: map[string]*encoded.Resource{},
		maybe: map[string][]*encoded.Resource{},
	}
}

func (s *subscription) wants(name string) bool {
	if s.wildcard {
		return true
	}
	_, ok := s.names[name]
	return ok
}

// differs says whether the proxy is to be told of want, which is nil if there
// is no such resource.
func (s *subscription) differs(name string, want *encoded.Resource) bool {
	if s.isRefused(name, want) {
		return false
	}
	if s.dirty[name] {
		return true
	}
	if offered, ok := s.offered[name]; ok {
		return !encoded.Equal(offered, want)
	}
	// After a refusal, what the proxy holds is not certain enough to say
	// nothing, even if it looks the same as what is wanted.
	if _, ok := s.refused[name]; ok || len(s.maybe[name]) > 0 {
		return true
	}
	return !encoded.Equal(s.held[name], want)
}

// isRefused says that the proxy has refused exactly this version: it is not
// sent again, so that there is no endless exchange.
func (s *subscription) isRefused(name string, want *encoded.Resource) bool {
	refused, ok := s.refused[name]
	return ok && encoded.Equal(refused, want)
}

// has says whether the proxy has, or is about to have, some version.
func (s *subscription) has(name string) bool {
	if offered, ok := s.offered[name]; ok {
		return offered != nil
	}
	return s.held[name] != nil || s.refused[name] != nil || len(s.maybe[name]) > 0
}

// runs says that the proxy has accepted some version and is not being told to
// remove it.
func (s *subscription) runs(name string) bool {
	offered, ok := s.offered[name]
	return s.held[name] != nil && (!ok || offered != nil)
}

// review files a name under what is to be done about it.
func (s *subscription) review(name string, want *encoded.Resource) {
	delete(s.withdrawn, name)
	switch {
	case !s.wants(name) || !s.differs(name, want):
		delete(s.dirty, name)
	case want == nil && s.has(name) && (s.kind != assignments || !s.dirty[name]):
		delete(s.dirty, name)
		s.withdrawn[name] = struct{}{}
	default:
		s.keepDirty(name)
	}
}

// keepDirty notes that name has to be sent, and leaves what was noted of it.
func (s *subscription) keepDirty(name string) {
	if _, ok := s.dirty[name]; !ok {
		s.dirty[name] = false
	}
}

// ask makes a name one that must be answered.
func (s *subscription) ask(name string) {
	delete(s.withdrawn, name)
	s.dirty[name] = true
}

// forget drops all knowledge of a name that the proxy is no longer interested
// in: it has dropped the resource too, and wants it anew if it asks again.
func (s *subscription) forget(name string) {
	delete(s.held, name)
	delete(s.offered, name)
	delete(s.refused, name)
	delete(s.maybe, name)
	delete(s.dirty, name)
	delete(s.withdrawn, name)
}

// settled says that everything was sent, and answered.
func (s *subscription) settled() bool { return s.pending() == 0 }

func (s *subscription) pending() int {
	n := len(s.dirty)
	if s.owed {
		n++
	}
	for _, p := range s.probes {
		n += len(p)
	}
	for _, r := range s.flight {
		n += max(1, len(r.resources)+len(r.removed))
	}
	return n
}

// done says that nothing about a name is open.
func (s *subscription) done(name string) bool {
	if _, ok := s.names[name]; !ok && !s.wildcard {
		return false
	}
	_, dirty := s.dirty[name]
	_, offered := s.offered[name]
	return !dirty && !offered && !slices.ContainsFunc(s.probes, func(p []string) bool { return slices.Contains(p, name) })
}

// launch records that a response was sent.
func (s *subscription) launch(r *response) {
	for _, res := range r.resources {
		s.offered[res.Name] = res
		delete(s.dirty, res.Name)
	}
	for _, name := range r.removed {
		s.offered[name] = nil
		delete(s.dirty, name)
		delete(s.withdrawn, name)
	}
	s.owed = false
	s.sent = r.revision
	s.flight = append(s.flight, r)
}

// land takes the response with that nonce out of the air; nil if there is none.
func (s *subscription) land(nonce string) *response {
	i := slices.IndexFunc(s.flight, func(r *response) bool { return r.nonce == nonce })
	if i < 0 {
		return nil
	}
	r := s.flight[i]
	s.flight = slices.Delete(s.flight, i, i+1)
	for _, res := range r.resources {
		if s.offered[res.Name] == res {
			delete(s.offered, res.Name)
		}
	}
	for _, name := range r.removed {
		if offered, ok := s.offered[name]; ok && offered == nil {
			delete(s.offered, name)
		}
	}
	return r
}

// bulk is the size of a response after which maps that it has filled and
// emptied are made anew: a map keeps the room it once needed, which for every
// proxy would be several times what the proxy holds.
const bulk = 64

func (s *subscription) compact() {
	s.offered, s.dirty, s.withdrawn = maps.Collect(maps.All(s.offered)), maps.Collect(maps.All(s.dirty)), maps.Collect(maps.All(s.withdrawn))
	s.flight = slices.Clip(slices.Clone(s.flight))
}

// accept records that the proxy runs a resource.
func (s *subscription) accept(res *encoded.Resource) {
	if s.wants(res.Name) {
		s.held[res.Name] = res
		delete(s.refused, res.Name)
		delete(s.maybe, res.Name)
	}
}

// drop records that the proxy has removed a resource.
func (s *subscription) drop(name string) {
	delete(s.held, name)
	delete(s.refused, name)
	delete(s.maybe, name)
}

// possible returns the versions of which the proxy runs one.
func (s *subscription) possible(name string) []*encoded.Resource {
	if held := s.held[name]; held != nil {
		return append([]*encoded.Resource{held}, s.maybe[name]...)
	}
	return s.maybe[name]
}

// subscribe takes the interest that a request declares. claimed are the
// versions that the proxy says it holds. It returns the names that must be
// looked at.
func (s *subscription) subscribe(req *discoveryv3.DeltaDiscoveryRequest) (review []string, everything bool) {
	first := !s.opened
	s.opened = true
	claimed := map[string]string{}
	if first {
		claimed = req.GetInitialResourceVersions()
	}
	wildcard := slices.Contains(req.GetResourceNamesSubscribe(), "*") ||
		// The older form of a wildcard; only listeners and clusters know it.
		first && len(req.GetResourceNamesSubscribe()) == 0 && (s.kind == clusters || s.kind == listeners)
	if wildcard && !s.wildcard {
		s.wildcard, everything = true, true
		s.owed = len(claimed) == 0
	}
	for _, name := range req.GetResourceNamesSubscribe() {
		if name == "*" {
			continue
		}
		s.names[name] = struct{}{}
		if _, ok := claimed[name]; ok {
			review = append(review, name)
			continue
		}
		s.ask(name)
	}
	for name, version := range claimed {
		if s.wants(name) {
			s.held[name] = reported(s.kind, name, version)
		}
	}
	return review, everything
}

// reported stands for a resource of which only the version is known.
func reported(k kind, name, version string) *encoded.Resource {
	// A version that is not ours parses to 0, which differs from what is wanted.
	hash, err := strconv.ParseUint(version, 16, 64)
	if err != nil {
		hash = 0
	}
	return &encoded.Resource{Type: k.url(), Name: name, Hash: hash}
}

// unsubscribe ends interest in names. It returns those that the proxy still
// gets through its wildcard and must be told of again: it can't know.
func (s *subscription) unsubscribe(gone []string) (again []string) {
	for _, name := range gone {
		if name == "*" {
			s.wildcard, s.owed = false, false
			for _, known := range [...][]string{keys(s.held), keys(s.offered), keys(s.refused), keys(s.dirty), keys(s.withdrawn)} {
				for _, n := range known {
					if !s.wants(n) {
						s.forget(n)
					}
				}
			}
			continue
		}
		if _, ok := s.names[name]; !ok {
			continue
		}
		delete(s.names, name)
		if s.wildcard {
			again = append(again, name)
			continue
		}
		s.forget(name)
	}
	return again
}

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
