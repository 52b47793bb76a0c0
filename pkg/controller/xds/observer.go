package xds

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	encoded "github.com/egctl/egctl/pkg/translate/xds"
)

// Observer hears what proxies do. Its methods are called from the goroutine of
// a stream, for different streams at the same time; that stream stands still
// until they return.
type Observer interface {
	Connected(gateway, nodeID string)
	Disconnected(gateway, nodeID string)
	// Acked: the proxy accepted these resources of type t, in a response computed
	// from the state after the Update with that number (the first is 1), or before
	// it connected.
	Acked(gateway, nodeID string, t encoded.Type, version uint64, accepted []*encoded.Resource)
	// Sent: a response with so many resources and removals, and so many bytes of
	// resources, is on its way to the proxy.
	Sent(gateway, nodeID string, t encoded.Type, resources, removed, bytes int)
	// Rejected: the proxy refused a response.
	Rejected(Rejection)
}

// observers tells several.
type observers []Observer

func (os observers) Connected(gateway, nodeID string) {
	for _, o := range os {
		o.Connected(gateway, nodeID)
	}
}

func (os observers) Disconnected(gateway, nodeID string) {
	for _, o := range os {
		o.Disconnected(gateway, nodeID)
	}
}

func (os observers) Acked(gateway, nodeID string, t encoded.Type, version uint64, accepted []*encoded.Resource) {
	for _, o := range os {
		o.Acked(gateway, nodeID, t, version, accepted)
	}
}

func (os observers) Sent(gateway, nodeID string, t encoded.Type, resources, removed, bytes int) {
	for _, o := range os {
		o.Sent(gateway, nodeID, t, resources, removed, bytes)
	}
}

func (os observers) Rejected(r Rejection) {
	for _, o := range os {
		o.Rejected(r)
	}
}

// Rejection is a refusal whose cause has been found.
type Rejection struct {
	Gateway, NodeID string
	Type            encoded.Type
	// Message is Envoy's own, cut by it at 4 KiB.
	Message string
	// Resources are the refused ones. It is empty only if a response without
	// resources was refused.
	Resources []*encoded.Resource
}

// ProxyState is how far one connected proxy has come.
type ProxyState struct {
	Gateway, NodeID string
	Connected       time.Time
	// Types holds the types that the proxy has asked for.
	Types map[encoded.Type]TypeState
}

// TypeState is the state of one type on one proxy.
type TypeState struct {
	// Sent and Acked number the Updates from which the last response sent and
	// the last one acknowledged were computed. An Update that changes nothing
	// of the type does not move them: see Pending.
	Sent, Acked uint64
	// Pending counts resources that the proxy has not acknowledged, sent or
	// not. Removals that wait for their turn do not count.
	Pending int
	// Refused names the resources whose newest version the proxy refused.
	Refused []string
}

// Settled says that the proxy has answered for everything that it is to run;
// it may have refused some.
func (p ProxyState) Settled() bool {
	for _, t := range p.Types {
		if t.Pending > 0 {
			return false
		}
	}
	// Envoy asks for listeners only when its first clusters are warm.
	_, listening := p.Types[encoded.ListenerType]
	return listening
}

// RejectedError reports that proxies have answered for everything, but refused
// some of it.
type RejectedError struct {
	Gateway string
	// Refused maps node IDs to the names of refused resources.
	Refused map[string][]string
}

func (e *RejectedError) Error() string {
	var parts []string
	for node, refused := range e.Refused {
		parts = append(parts, fmt.Sprintf("proxy %s refused %s", node, strings.Join(refused, ", ")))
	}
	slices.Sort(parts)
	return fmt.Sprintf("gateway %s: %s", e.Gateway, strings.Join(parts, "; "))
}

// Synced returns the state of every connected proxy of a gateway, ordered by
// node ID, as of the last Update.
func (s *Server) Synced(gateway string) []ProxyState {
	s.mu.RLock()
	defer s.mu.RUnlock()
	g := s.gateways[gateway]
	if g == nil {
		return nil
	}
	proxies := make([]ProxyState, 0, len(g.streams))
	for st := range g.streams {
		proxies = append(proxies, st.state())
	}
	slices.SortFunc(proxies, func(a, b ProxyState) int { return strings.Compare(a.NodeID, b.NodeID) })
	return proxies
}

// Gateways returns the keys of those that have a snapshot or a connected proxy,
// sorted.
func (s *Server) Gateways() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return keys(s.gateways)
}

// WaitSynced waits until at least one proxy of the gateway is connected and
// all that are have acknowledged the last Update. It returns a *RejectedError
// when all have answered but not all agreed, and otherwise the error of ctx
// with what was still missing.
func (s *Server) WaitSynced(ctx context.Context, gateway string) error {
	for {
		moved := s.moved.wait()
		proxies := s.Synced(gateway)
		waiting := "no proxy is connected"
		if len(proxies) > 0 {
			waiting = ""
		}
		refused := map[string][]string{}
		for _, p := range proxies {
			if !p.Settled() {
				waiting = fmt.Sprintf("proxy %s has not acknowledged", p.NodeID)
			}
			for _, t := range p.Types {
				if len(t.Refused) > 0 {
					refused[p.NodeID] = append(refused[p.NodeID], t.Refused...)
				}
			}
		}
		switch {
		case waiting == "" && len(refused) > 0:
			return &RejectedError{Gateway: gateway, Refused: refused}
		case waiting == "":
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("gateway %s: %s: %w", gateway, waiting, context.Cause(ctx))
		case <-moved:
		}
	}
}

// broadcast wakes all who wait for the next event. It costs nothing while
// nobody does.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{}
}

func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *broadcast) fire() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}
