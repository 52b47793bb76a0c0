package xds

import (
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	encoded "github.com/egctl/egctl/pkg/translate/xds"
)

// stream is one connected proxy.
type stream struct {
	server      *Server
	key, nodeID string
	gateway     *gateway
	connected   time.Time
	kick        chan struct{}

	// mu is held for a whole step, so that whoever reads the state sees the
	// inbox either untouched or dealt with. It is taken after the server's.
	mu      sync.Mutex
	inbox   [kinds]set
	machine *machine
}

// service is a Server on one of its listeners.
type service struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	server *Server
	// stopped is closed when that listener is to be served no more.
	stopped <-chan struct{}
}

var _ discoveryv3.AggregatedDiscoveryServiceServer = (*service)(nil)

// errStopped is what proxies are told when their listener is closed.
var errStopped = errors.New("the xDS server has stopped")

// DeltaAggregatedResources serves one proxy until it goes.
func (v *service) DeltaAggregatedResources(conn discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	s, ctx := v.server, conn.Context()
	first, err := conn.Recv()
	if err != nil {
		return ended(err)
	}
	key, err := s.identify(ctx, first.GetNode())
	if err != nil {
		s.logger.Warn("proxy refused", "node", first.GetNode().GetId(), "error", err)
		return status.Error(codes.PermissionDenied, "not a proxy of any gateway")
	}
	now := time.Now()
	st := &stream{
		server: s, key: key, nodeID: first.GetNode().GetId(), connected: now,
		kick: make(chan struct{}, 1), machine: newMachine(now, s.warm, s.drain, s.endpoint),
	}
	s.connect(st)
	defer s.disconnect(st)

	requests, failed := receive(ctx, conn)
	timer := time.NewTimer(0)
	defer timer.Stop()
	st.handle(first)
	for {
		send, wake := st.step()
		for _, r := range send {
			st.server.observer.Sent(st.key, st.nodeID, r.kind.url(), len(r.resources), len(r.removed), r.size())
			if err := conn.Send(r.message()); err != nil {
				return ended(err)
			}
		}
		timer.Stop()
		if !wake.IsZero() {
			timer.Reset(time.Until(wake))
		}
		select {
		case req := <-requests:
			st.handle(req)
		case <-st.kick:
		case <-timer.C:
		case err := <-failed:
			return ended(err)
		case <-v.stopped:
			return status.Error(codes.Unavailable, errStopped.Error())
		case <-ctx.Done():
			if err := context.Cause(ctx); errors.Is(err, errOld) {
				return status.Error(codes.Unavailable, err.Error())
			}
			return ended(status.FromContextError(ctx.Err()).Err())
		}
	}
}

// receive reads requests in a goroutine of its own, which ends with ctx.
func receive(ctx context.Context, conn discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) (<-chan *discoveryv3.DeltaDiscoveryRequest, <-chan error) {
	requests, failed := make(chan *discoveryv3.DeltaDiscoveryRequest), make(chan error, 1)
	go func() {
		for {
			req, err := conn.Recv()
			if err != nil {
				failed <- err
				return
			}
			select {
			case requests <- req:
			case <-ctx.Done():
				return
			}
		}
	}()
	return requests, failed
}

// ended turns the end of a stream by the proxy's doing into no error.
func ended(err error) error {
	if errors.Is(err, io.EOF) || status.Code(err) == codes.Canceled {
		return nil
	}
	return err
}

// handle takes one request and reports what it answers.
func (st *stream) handle(req *discoveryv3.DeltaDiscoveryRequest) {
	k, ok := kindOf(req.GetTypeUrl())
	if !ok {
		st.server.logger.Debug("proxy asks for an unknown type", "gateway", st.key, "node", st.nodeID, "type", req.GetTypeUrl())
		return
	}
	st.server.mu.RLock()
	st.mu.Lock()
	st.drain(time.Now())
	a := st.machine.request(k, req, time.Now())
	recognised, revision := st.machine.recognised, st.machine.revision
	st.machine.recognised = nil
	st.mu.Unlock()
	st.server.mu.RUnlock()
	st.reconnected(recognised, revision)
	switch {
	case a == nil:
	case a.acked:
		st.server.observer.Acked(st.key, st.nodeID, k.url(), a.revision, a.accepted)
	case a.blamed:
		st.server.logger.Warn("proxy refused configuration", "gateway", st.key, "node", st.nodeID,
			"type", k.url(), "resources", len(a.refused), "message", a.message)
		st.server.observer.Rejected(Rejection{
			Gateway: st.key, NodeID: st.nodeID, Type: k.url(), Message: a.message, Resources: a.refused,
		})
	}
}

// reconnected reports what the proxy was found to hold already.
func (st *stream) reconnected(recognised []*encoded.Resource, revision uint64) {
	byType := map[encoded.Type][]*encoded.Resource{}
	for _, r := range recognised {
		byType[r.Type] = append(byType[r.Type], r)
	}
	for t, list := range byType {
		st.server.observer.Acked(st.key, st.nodeID, t, revision, list)
	}
}

// step computes what is to be sent now, and when to look again.
func (st *stream) step() (send []*response, wake time.Time) {
	now := time.Now()
	st.server.mu.RLock()
	st.mu.Lock()
	st.drain(now)
	send = st.machine.next(now)
	wake = st.machine.wake(now)
	recognised, revision := st.machine.recognised, st.machine.revision
	st.machine.recognised = nil
	st.mu.Unlock()
	st.server.mu.RUnlock()
	st.reconnected(recognised, revision)
	st.server.moved.fire()
	return send, wake
}

// drain hands the machine the newest state, of which the inbox says where it
// differs from the last one.
func (st *stream) drain(now time.Time) {
	g, m := st.gateway, st.machine
	if !g.known || m.known && m.revision == g.revision {
		return
	}
	m.adopt(g.snapshot, g.revision, &st.inbox, now)
	st.inbox = [kinds]set{}
}

// post notes names that have changed; the caller holds the server's lock.
func (st *stream) post(d *names) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for k, list := range d {
		if len(list) > 0 && st.inbox[k] == nil {
			st.inbox[k] = make(set, len(list))
		}
		for _, name := range list {
			st.inbox[k][name] = struct{}{}
		}
	}
	select {
	case st.kick <- struct{}{}:
	default:
	}
}

// retry makes refused resources such as are to be sent.
func (st *stream) retry(k kind) {
	st.mu.Lock()
	defer st.mu.Unlock()
	sub := st.machine.subs[k]
	for name := range sub.refused {
		delete(sub.refused, name)
		sub.ask(name)
	}
	select {
	case st.kick <- struct{}{}:
	default:
	}
}

// state tells how far the proxy is.
func (st *stream) state() ProxyState {
	st.mu.Lock()
	defer st.mu.Unlock()
	p := ProxyState{Gateway: st.key, NodeID: st.nodeID, Connected: st.connected, Types: map[encoded.Type]TypeState{}}
	for k, sub := range st.machine.subs {
		if !sub.opened {
			continue
		}
		t := TypeState{Sent: sub.sent, Acked: sub.acked, Pending: sub.pending() + len(st.inbox[k]), Refused: keys(sub.refused)}
		if !st.machine.known {
			t.Pending++
		}
		p.Types[kind(k).url()] = t
	}
	return p
}

// size is that of the resources, in bytes.
func (r *response) size() int {
	n := 0
	for _, res := range r.resources {
		n += len(res.Body)
	}
	return n
}

// message is the response as it goes on the wire; the bodies are shared.
func (r *response) message() *discoveryv3.DeltaDiscoveryResponse {
	m := &discoveryv3.DeltaDiscoveryResponse{
		SystemVersionInfo: strconv.FormatUint(r.revision, 10),
		TypeUrl:           string(r.kind.url()),
		Nonce:             r.nonce,
		RemovedResources:  r.removed,
		Resources:         make([]*discoveryv3.Resource, len(r.resources)),
	}
	for i, res := range r.resources {
		m.Resources[i] = &discoveryv3.Resource{Name: res.Name, Version: res.Version(), Resource: res.Any()}
	}
	return m
}
