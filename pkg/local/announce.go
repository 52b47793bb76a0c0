package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/proto"

	ads "github.com/egctl/egctl/pkg/controller/xds"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// announced says on the console where Gateways listen, once Envoy does.
type announced struct {
	console *console
	server  *ads.Server
	ctx     context.Context
	ready   func(store.Key)

	mu    sync.Mutex
	known map[store.Key]*listening
}

// listening is where one fleet is to listen, and where it was said to.
type listening struct {
	wanted   []address
	told     []string
	ready    bool
	retrying bool
}

// address is what an Envoy listener binds.
type address struct {
	name    string // of the Envoy listener
	network string
	at      string
	text    string
}

// served announces addresses that changed.
func (a *announced) served(fleet store.Key, s *xds.Snapshot) {
	now := addresses(s)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known == nil {
		a.known = map[store.Key]*listening{}
	}
	l := a.known[fleet]
	if l == nil {
		if len(now) == 0 {
			return
		}
		l = &listening{}
		a.known[fleet] = l
	}
	if slices.Equal(l.wanted, now) {
		return
	}
	l.wanted = now
	if len(now) == 0 {
		delete(a.known, fleet)
		a.console.say("%s no longer listens", fleet)
		return
	}
	go a.follow(fleet, l)
}

// follow waits until Envoy has answered for everything, and tells.
func (a *announced) follow(fleet store.Key, l *listening) {
	err := a.server.WaitSynced(a.ctx, translate.FleetName(fleet))
	var rejected *ads.RejectedError
	if err != nil && !errors.As(err, &rejected) {
		return // ctx ended
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known[fleet] != l {
		return
	}
	refused := a.refused(fleet)
	var now []string
	for _, w := range l.wanted {
		if !slices.Contains(refused, w.name) {
			now = append(now, w.text)
		}
	}
	if len(now) > 0 && !slices.Equal(now, l.told) {
		a.console.say("%s listens on %s", fleet, strings.Join(now, ", "))
	}
	l.told = now
	if len(now) > 0 && !l.ready {
		l.ready = true
		if a.ready != nil {
			go a.ready(fleet)
		}
	}
	if len(refused) > 0 && !l.retrying {
		l.retrying = true
		go a.retry(fleet, l)
	}
}

// refused names the listeners that Envoy refuses.
func (a *announced) refused(fleet store.Key) []string {
	var names []string
	for _, p := range a.server.Synced(translate.FleetName(fleet)) {
		names = append(names, p.Types[xds.ListenerType].Refused...)
	}
	return names
}

// retryInterval is how often a port that was taken is looked at.
const retryInterval = time.Second

// retry has Envoy try refused listeners again when their ports have become free.
func (a *announced) retry(fleet store.Key, l *listening) {
	tick := time.NewTicker(retryInterval)
	defer tick.Stop()
	for {
		select {
		case <-a.ctx.Done():
			return
		case <-tick.C:
		}
		a.mu.Lock()
		refused := a.refused(fleet)
		if len(refused) == 0 || a.known[fleet] != l {
			l.retrying = false
			a.mu.Unlock()
			return
		}
		wanted := l.wanted
		a.mu.Unlock()
		if !slices.ContainsFunc(wanted, func(w address) bool { return slices.Contains(refused, w.name) && w.free(a.ctx) }) {
			continue
		}
		a.server.Retry(translate.FleetName(fleet), xds.ListenerType)
		a.follow(fleet, l)
	}
}

// free says whether an address can be bound now.
func (w address) free(ctx context.Context) bool {
	var lc net.ListenConfig
	if w.network == "udp" {
		c, err := lc.ListenPacket(ctx, w.network, w.at)
		return err == nil && c.Close() == nil
	}
	c, err := lc.Listen(ctx, w.network, w.at)
	return err == nil && c.Close() == nil
}

// addresses lists where a snapshot listens.
func addresses(s *xds.Snapshot) []address {
	var out []address
	for _, r := range s.Of(xds.ListenerType) {
		var l listener.Listener
		if err := proto.Unmarshal(r.Body, &l); err != nil {
			continue
		}
		at := l.GetAddress().GetSocketAddress()
		transport, port, _ := strings.Cut(l.Name, "-")
		a := address{name: l.Name, network: transport, at: net.JoinHostPort(at.GetAddress(), fmt.Sprint(at.GetPortValue()))}
		a.text = a.at
		if transport == "udp" {
			a.text += "/udp"
		}
		if port != fmt.Sprint(at.GetPortValue()) {
			a.text += fmt.Sprintf(" (for port %s, which needs privileges)", port)
		}
		out = append(out, a)
	}
	return out
}
