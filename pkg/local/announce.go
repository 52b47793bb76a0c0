package local

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/proto"

	"github.com/egctl/egctl/pkg/controller"
	"github.com/egctl/egctl/pkg/controller/infra/local"
	ads "github.com/egctl/egctl/pkg/controller/xds"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// announced says on the console where Gateways listen, once Envoy does.
type announced struct {
	*local.Proxies
	console *console
	server  *ads.Server
	ctx     context.Context
	ready   func(store.Key)

	mu    sync.Mutex
	known map[store.Key][]string
}

// Want passes the wish on, and announces addresses that changed.
func (a *announced) Want(gateway store.Key, s *xds.Snapshot) {
	a.Proxies.Want(gateway, s)
	now := addresses(s)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known == nil {
		a.known = map[store.Key][]string{}
	}
	before, seen := a.known[gateway]
	if slices.Equal(before, now) {
		return
	}
	a.known[gateway] = now
	if len(now) == 0 {
		delete(a.known, gateway)
		a.console.say("%s no longer listens", gateway)
		return
	}
	go func() {
		if a.server.WaitSynced(a.ctx, controller.GatewayKey(gateway)) != nil {
			return // ctx ended
		}
		a.console.say("%s listens on %s", gateway, strings.Join(now, ", "))
		if !seen && a.ready != nil {
			a.ready(gateway)
		}
	}()
}

// addresses lists where a snapshot listens: "80 at 127.0.0.1:10080".
func addresses(s *xds.Snapshot) []string {
	var out []string
	for _, r := range s.Of(xds.ListenerType) {
		var l listener.Listener
		if err := proto.Unmarshal(r.Body, &l); err != nil {
			continue
		}
		at := l.GetAddress().GetSocketAddress()
		transport, port, _ := strings.Cut(l.Name, "-")
		text := fmt.Sprintf("%s:%d", at.GetAddress(), at.GetPortValue())
		if port != fmt.Sprint(at.GetPortValue()) {
			text += fmt.Sprintf(" (for port %s, which needs privileges)", port)
		}
		if transport == "udp" {
			text += "/udp"
		}
		out = append(out, text)
	}
	return out
}
