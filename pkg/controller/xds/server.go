package xds

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	encoded "github.com/egctl/egctl/pkg/translate/xds"
)

// DefaultWarmTimeout is used where Options names none. Envoy itself gives up on
// the first fetch of a resource after 15 s.
const DefaultWarmTimeout = 10 * time.Second

// DefaultDrainTime is Envoy's own default of --drain-time-s.
const DefaultDrainTime = 600 * time.Second

// Options configure a Server.
type Options struct {
	// Identify turns the authenticated peer in ctx into the key of the snapshot
	// that it may read. What node says of itself is no proof of anything: only
	// a server whose socket admits nobody else may go by it. An error refuses
	// the stream; its text is logged and not sent. Without Identify, nobody is
	// served.
	Identify func(ctx context.Context, node *corev3.Node) (gateway string, err error)
	// Logger may be nil.
	Logger *slog.Logger
	// WarmTimeout is how long listeners and routes wait for the clusters that
	// they refer to; DefaultWarmTimeout if zero.
	WarmTimeout time.Duration
	// DrainTime is how long a proxy lets the connections of a listener live
	// that was changed or removed: its --drain-time-s. Clusters that such a
	// listener names stay for as long. DefaultDrainTime if zero.
	DrainTime time.Duration
}

// Server is the cache and the ADS server on top of it.
type Server struct {
	identify func(context.Context, *corev3.Node) (string, error)
	observer observers
	logger   *slog.Logger
	warm     time.Duration
	drain    time.Duration

	moved broadcast

	// mu makes an Update atomic: streams read under it, Update writes.
	mu        sync.RWMutex
	revision  uint64
	gateways  map[string]*gateway
	endpoints map[string]*encoded.Resource
	// lapsed are endpoints that are gone, and stay while a gateway that is gone, too,
	// names them.
	lapsed set
	// naming says which gateways' snapshots name an assignment.
	naming map[string]map[*gateway]struct{}
}

// gateway is what the proxies of one Gateway share.
type gateway struct {
	known bool // an Update has named it
	// gone says that there is no such gateway any more. Its snapshot stays until the
	// last of its proxies has gone, too: what drains still needs its listeners, and
	// the one for probes most of all.
	gone     bool
	snapshot *encoded.Snapshot
	revision uint64
	streams  map[*stream]struct{}
}

// NewServer returns a server without any snapshot.
func NewServer(o Options) *Server {
	s := &Server{
		identify: o.Identify, logger: o.Logger, warm: o.WarmTimeout, drain: o.DrainTime,
		gateways:  map[string]*gateway{},
		endpoints: map[string]*encoded.Resource{},
		lapsed:    set{},
		naming:    map[string]map[*gateway]struct{}{},
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	if s.warm <= 0 {
		s.warm = DefaultWarmTimeout
	}
	if s.drain <= 0 {
		s.drain = DefaultDrainTime
	}
	if s.identify == nil {
		s.identify = func(context.Context, *corev3.Node) (string, error) { return "", errNoIdentity }
	}
	return s
}

// Observe has an observer told of everything from now on. It must be called
// before the server is served.
func (s *Server) Observe(o Observer) { s.observer = append(s.observer, o) }

var errNoIdentity = errors.New("the server was given no way to identify proxies")

// Change is a set of changes that belong together.
type Change struct {
	// Snapshots by gateway key. Nil means that the gateway is gone: proxies
	// that are still connected keep what they have until they end.
	Snapshots map[string]*encoded.Snapshot
	// Endpoints by name of the load assignment. Nil means that it is gone.
	Endpoints map[string]*encoded.Resource
}

// Update applies a change: every stream sees all of it or none. Update is
// called by one goroutine. It does not wait for any proxy.
func (s *Server) Update(c Change) {
	s.mu.Lock()
	s.revision++
	touched := map[*gateway]*names{}
	for key, snapshot := range c.Snapshots {
		if snapshot == nil {
			s.retire(key)
			continue
		}
		g := s.gateway(key)
		d := diff(g.snapshot, snapshot)
		s.index(g, d[assignments], snapshot)
		if !d.empty() || !g.known {
			touched[g] = d
		}
		g.known, g.gone, g.snapshot = true, false, snapshot
	}
	for name, assignment := range c.Endpoints {
		if assignment == nil && s.onlyGone(name) {
			s.lapsed[name] = struct{}{}
			continue
		}
		delete(s.lapsed, name)
		if encoded.Equal(s.endpoints[name], assignment) {
			continue
		}
		if assignment == nil {
			delete(s.endpoints, name)
		} else {
			s.endpoints[name] = assignment
		}
		for g := range s.naming[name] {
			if touched[g] == nil {
				touched[g] = &names{}
			}
			touched[g][assignments] = append(touched[g][assignments], name)
		}
	}
	for g, d := range touched {
		g.revision = s.revision
		for st := range g.streams {
			st.post(d)
		}
	}
	s.mu.Unlock()
	s.moved.fire()
}

// Retry has the proxies of a gateway told once more what they refused of a type.
// It is for refusals whose cause lies outside of the configuration, such as a
// port that another program had.
func (s *Server) Retry(gateway string, t encoded.Type) {
	k, ok := kindOf(string(t))
	if !ok {
		return
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if g := s.gateways[gateway]; g != nil {
		for st := range g.streams {
			st.retry(k)
		}
	}
}

// gateway returns the entry of a key, and makes it if there is none.
func (s *Server) gateway(key string) *gateway {
	g := s.gateways[key]
	if g == nil {
		g = &gateway{streams: map[*stream]struct{}{}}
		s.gateways[key] = g
	}
	return g
}

// retire notes that a gateway is gone, and drops it if it has no proxy.
func (s *Server) retire(key string) {
	g := s.gateways[key]
	if g == nil {
		return
	}
	g.gone = true
	if len(g.streams) == 0 {
		s.index(g, assignmentsOf(g.snapshot), nil)
		delete(s.gateways, key)
	}
}

// index keeps naming up to date for assignments that came to or went from the
// snapshot of g.
func (s *Server) index(g *gateway, changed []string, now *encoded.Snapshot) {
	for _, name := range changed {
		if _, ok := slices.BinarySearch(assignmentsOf(now), name); ok {
			if s.naming[name] == nil {
				s.naming[name] = map[*gateway]struct{}{}
			}
			s.naming[name][g] = struct{}{}
			continue
		}
		delete(s.naming[name], g)
		if len(s.naming[name]) == 0 {
			delete(s.naming, name)
			if _, ok := s.lapsed[name]; ok {
				delete(s.lapsed, name)
				delete(s.endpoints, name)
			}
		}
	}
}

// onlyGone says whether an assignment is named, and by no gateway that is still
// there.
func (s *Server) onlyGone(name string) bool {
	for g := range s.naming[name] {
		if !g.gone {
			return false
		}
	}
	return len(s.naming[name]) > 0
}

// connect enters a stream under its gateway.
func (s *Server) connect(st *stream) {
	s.mu.Lock()
	st.gateway = s.gateway(st.key)
	st.gateway.streams[st] = struct{}{}
	s.mu.Unlock()
	s.observer.Connected(st.key, st.nodeID)
	s.logger.Info("proxy connected", "gateway", st.key, "node", st.nodeID)
}

func (s *Server) disconnect(st *stream) {
	s.mu.Lock()
	delete(st.gateway.streams, st)
	if g := st.gateway; len(g.streams) == 0 && (g.gone || g.snapshot == nil) {
		s.retire(st.key)
	}
	s.mu.Unlock()
	s.moved.fire()
	s.observer.Disconnected(st.key, st.nodeID)
	s.logger.Info("proxy disconnected", "gateway", st.key, "node", st.nodeID)
}

// endpoint is how machines read assignments; the caller holds mu.
func (s *Server) endpoint(name string) *encoded.Resource { return s.endpoints[name] }
