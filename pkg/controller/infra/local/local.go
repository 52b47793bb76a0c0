// Package local runs fleets as processes on this machine: one Envoy for each,
// with an ADS socket of its own in a folder that nobody else may enter. Whoever
// connects to a fleet's socket is that fleet's proxy.
package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc/peer"

	"github.com/egctl/egctl/pkg/controller"
	ads "github.com/egctl/egctl/pkg/controller/xds"
	"github.com/egctl/egctl/pkg/envoy"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

// Options configure local proxies.
type Options struct {
	// Dir is a private folder for sockets and bootstraps. Its path must be short:
	// a unix socket's may have about 100 bytes.
	Dir    string
	Binary string
	// Address is what Gateways report as theirs.
	Address     string
	LogLevel    string
	Concurrency int
	// DrainTime is how long open connections are given at the end.
	DrainTime time.Duration
	Server    *ads.Server
	// Submit takes the Infrastructure of fleets back to the controller.
	Submit func(...store.Change)
	Logger *slog.Logger
	// Failed is told why the proxy of a fleet cannot be started, at the first
	// attempt; nil: nobody is.
	Failed func(fleet store.Key, err error)
	// AccessLog takes what Envoy writes to its standard output.
	AccessLog io.Writer
}

// Proxies is a controller.Infrastructure.
type Proxies struct {
	o   Options
	ctx context.Context

	mu      sync.Mutex
	running map[store.Key]*proxy
	// failed are the wanted proxies that cannot be started: they are tried again.
	failed map[store.Key]*attempt
	// starts counts the proxies of a fleet: one that comes back gets a folder of
	// its own, for its predecessor may still be draining in the other.
	starts map[store.Key]int
	group  sync.WaitGroup
}

var _ controller.Infrastructure = (*Proxies)(nil)

// attempt is a start that failed, and when the next follows.
type attempt struct {
	wait time.Duration
	next *time.Timer
}

// The pauses before a proxy that cannot be started is tried again.
const (
	firstPause   = time.Second
	longestPause = 30 * time.Second
)

// proxy is the Envoy of one fleet.
type proxy struct {
	process *envoy.Process
	socket  net.Listener
	stop    context.CancelFunc

	// gone says that the fleet has no use for this proxy any more, so what
	// becomes of it is not the state of the fleet.
	mu   sync.Mutex
	gone bool
}

// leave has what the proxy reports from now on ignored, and calls last as the
// last word about it.
func (p *proxy) leave(last func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = true
	last()
}

// speak calls report unless the proxy is gone.
func (p *proxy) speak(report func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.gone {
		report()
	}
}

// New returns proxies of which none runs yet. When ctx ends they are ended
// without draining; Stop is the gentle way.
func New(ctx context.Context, o Options) *Proxies {
	return &Proxies{o: o, ctx: ctx, running: map[store.Key]*proxy{}, failed: map[store.Key]*attempt{}, starts: map[store.Key]int{}}
}

// Identify names the fleet whose socket a connection came in by.
func Identify(ctx context.Context, _ *corev3.Node) (string, error) {
	p, ok := peer.FromContext(ctx)
	if !ok || p.LocalAddr == nil {
		return "", errors.New("connection without a local address")
	}
	dir := filepath.Base(filepath.Dir(p.LocalAddr.String()))
	parts := strings.Split(dir, "_") // no namespace and no name holds one
	if len(parts) < 2 {
		return "", fmt.Errorf("socket %s belongs to no fleet", p.LocalAddr)
	}
	return translate.FleetName(store.ID{Namespace: parts[0], Name: parts[1]}.Key()), nil
}

// Want starts the proxy of a fleet, or stops it when the fleet is gone. One that
// runs is left alone otherwise: an Envoy learns of its ports from its snapshot,
// and the rest of a fleet's parameters is for clusters.
func (p *Proxies) Want(key store.Key, fleet *translate.Fleet) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if fleet == nil || fleet.Frozen != "" || len(fleet.Ports) == 0 {
		p.giveUp(key)
	}
	now := p.running[key]
	switch {
	case fleet == nil && now != nil:
		delete(p.running, key)
		now.leave(func() { p.o.Submit(store.Delete(translate.InfrastructureKey(key))) })
		p.group.Add(1)
		go func() {
			defer p.group.Done()
			if err := p.end(p.ctx, now); err != nil {
				p.o.Logger.Warn("proxy did not stop cleanly", "fleet", key, "error", err)
			}
		}()
	case fleet == nil:
		p.o.Submit(store.Delete(translate.InfrastructureKey(key)))
	case now == nil && fleet.Frozen == "" && len(fleet.Ports) > 0:
		p.try(key)
	}
}

// try starts a proxy, and comes back to it if that fails.
func (p *Proxies) try(fleet store.Key) {
	started, err := p.start(fleet)
	if err == nil {
		p.giveUp(fleet)
		p.running[fleet] = started
		return
	}
	p.o.Logger.Debug("proxy cannot be started", "fleet", fleet, "error", err)
	a := p.failed[fleet]
	if a == nil {
		a = &attempt{wait: firstPause}
		p.failed[fleet] = a
		if p.o.Failed != nil {
			p.o.Failed(fleet, err)
		}
	} else {
		a.next.Stop()
		a.wait = min(2*a.wait, longestPause)
	}
	a.next = time.AfterFunc(a.wait, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.failed[fleet] == a && p.ctx.Err() == nil {
			p.try(fleet)
		}
	})
	p.report(fleet, translate.Infrastructure{Message: err.Error(), Addresses: p.addresses()})
}

// giveUp ends the attempts to start a proxy.
func (p *Proxies) giveUp(fleet store.Key) {
	if a := p.failed[fleet]; a != nil {
		a.next.Stop()
		delete(p.failed, fleet)
	}
}

func (p *Proxies) start(fleet store.Key) (*proxy, error) {
	folder := fleet.Namespace + "_" + fleet.Name
	if n := p.starts[fleet]; n > 0 {
		folder += fmt.Sprintf("_%d", n)
	}
	p.starts[fleet]++
	dir := filepath.Join(p.o.Dir, folder)
	socket, err := ads.ListenUnix(filepath.Join(dir, "xds"))
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(p.ctx)
	p.group.Add(1)
	go func() {
		defer p.group.Done()
		if err := p.o.Server.Serve(ctx, socket); err != nil && ctx.Err() == nil {
			p.o.Logger.Error("ADS socket failed", "fleet", fleet, "error", err)
		}
	}()
	now := &proxy{socket: socket, stop: stop}
	now.process, err = p.envoy(ctx, fleet, dir, func(s envoy.State) {
		now.speak(func() { p.state(fleet, s) })
	})
	if err != nil {
		stop()
		return nil, errors.Join(err, socket.Close())
	}
	return now, nil
}

func (p *Proxies) envoy(ctx context.Context, fleet store.Key, dir string, onState func(envoy.State)) (*envoy.Process, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	b, err := envoy.Bootstrap(envoy.BootstrapOptions{
		NodeID:      host,
		NodeCluster: translate.FleetName(fleet),
		XDSSocket:   filepath.Join(dir, "xds"),
		AdminSocket: filepath.Join(dir, "admin"),
	})
	if err != nil {
		return nil, err
	}
	bootstrap, err := envoy.BootstrapJSON(b)
	if err != nil {
		return nil, err
	}
	log := p.o.Logger.With("fleet", translate.FleetName(fleet))
	return envoy.Start(ctx, envoy.ProcessConfig{
		Binary: p.o.Binary, Bootstrap: bootstrap, Dir: dir, LogLevel: p.o.LogLevel, Concurrency: p.o.Concurrency,
		DrainTime: p.o.DrainTime, Log: log, Stdout: p.o.AccessLog,
		OnState: onState,
	})
}

// state reports what an Envoy is doing as the fleet's infrastructure.
func (p *Proxies) state(fleet store.Key, s envoy.State) {
	infra := translate.Infrastructure{Addresses: p.addresses(), Ready: s.Phase == envoy.Ready, Message: "the proxy is ready"}
	if !infra.Ready {
		infra.Message = "the proxy is " + strings.ToLower(string(s.Phase))
		if s.Err != nil {
			infra.Message += ": " + s.Err.Error()
		}
	}
	p.report(fleet, infra)
}

func (p *Proxies) report(fleet store.Key, infra translate.Infrastructure) {
	p.o.Submit(store.PutValue(translate.InfrastructureKey(fleet), infra))
}

func (p *Proxies) addresses() []translate.Address {
	return []translate.Address{{Value: p.o.Address}}
}

// Process returns the Envoy of a fleet; nil if none runs.
func (p *Proxies) Process(fleet store.Key) *envoy.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := p.running[fleet]; now != nil {
		return now.process
	}
	return nil
}

func (p *Proxies) end(ctx context.Context, now *proxy) error {
	err := now.process.Stop(ctx)
	now.stop()
	return err
}

// Stop drains and ends all proxies side by side.
func (p *Proxies) Stop(ctx context.Context) error {
	p.mu.Lock()
	running := p.running
	p.running = map[store.Key]*proxy{}
	for fleet := range p.failed {
		p.giveUp(fleet)
	}
	p.mu.Unlock()
	errs := make(chan error, len(running))
	for _, now := range running {
		go func() { errs <- p.end(ctx, now) }()
	}
	var all error
	for range running {
		all = errors.Join(all, <-errs)
	}
	p.group.Wait()
	return all
}
