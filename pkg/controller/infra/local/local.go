// Package local runs the proxies of Gateways as processes on this machine: one
// Envoy for each Gateway, with an ADS socket of its own in a folder that nobody
// else may enter. Whoever connects to a Gateway's socket is that Gateway's proxy.
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
	"github.com/egctl/egctl/pkg/translate/xds"
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
	// Submit takes the Infrastructure of Gateways back to the controller.
	Submit func(...store.Change)
	Logger *slog.Logger
	// Failed is told why the proxy of a Gateway cannot be started; nil: nobody is.
	Failed func(gateway store.Key, err error)
	// AccessLog takes what Envoy writes to its standard output.
	AccessLog io.Writer
}

// Proxies is a controller.Infrastructure.
type Proxies struct {
	o   Options
	ctx context.Context

	mu      sync.Mutex
	running map[store.Key]*proxy
	// starts counts the proxies of a Gateway: one that comes back gets a folder of
	// its own, for its predecessor may still be draining in the other.
	starts map[store.Key]int
	group  sync.WaitGroup
}

var _ controller.Infrastructure = (*Proxies)(nil)

// proxy is the Envoy of one Gateway.
type proxy struct {
	process *envoy.Process
	socket  net.Listener
	stop    context.CancelFunc

	// gone says that the Gateway has no use for this proxy any more, so what
	// becomes of it is not the state of the Gateway.
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
	return &Proxies{o: o, ctx: ctx, running: map[store.Key]*proxy{}, starts: map[store.Key]int{}}
}

// Identify names the Gateway whose socket a connection came in by.
func Identify(ctx context.Context, _ *corev3.Node) (string, error) {
	p, ok := peer.FromContext(ctx)
	if !ok || p.LocalAddr == nil {
		return "", errors.New("connection without a local address")
	}
	dir := filepath.Base(filepath.Dir(p.LocalAddr.String()))
	parts := strings.Split(dir, "_") // no namespace and no name holds one
	if len(parts) < 2 {
		return "", fmt.Errorf("socket %s belongs to no Gateway", p.LocalAddr)
	}
	return parts[0] + "/" + parts[1], nil
}

// Want starts the proxy of a Gateway, or stops it when there is nothing to
// serve any more.
func (p *Proxies) Want(gateway store.Key, snapshot *xds.Snapshot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.running[gateway]
	switch {
	case snapshot == nil && now != nil:
		delete(p.running, gateway)
		now.leave(func() { p.o.Submit(store.Delete(translate.InfrastructureKey(gateway))) })
		p.group.Add(1)
		go func() {
			defer p.group.Done()
			if err := p.end(p.ctx, now); err != nil {
				p.o.Logger.Warn("proxy did not stop cleanly", "gateway", gateway, "error", err)
			}
		}()
	case snapshot != nil && now == nil && len(snapshot.Listeners) > 0:
		started, err := p.start(gateway)
		if err != nil {
			p.o.Logger.Debug("proxy cannot be started", "gateway", gateway, "error", err)
			if p.o.Failed != nil {
				p.o.Failed(gateway, err)
			}
			p.report(gateway, translate.Infrastructure{Message: err.Error(), Addresses: p.addresses()})
			return
		}
		p.running[gateway] = started
	}
}

func (p *Proxies) start(gateway store.Key) (*proxy, error) {
	folder := gateway.Namespace + "_" + gateway.Name
	if n := p.starts[gateway]; n > 0 {
		folder += fmt.Sprintf("_%d", n)
	}
	p.starts[gateway]++
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
			p.o.Logger.Error("ADS socket failed", "gateway", gateway, "error", err)
		}
	}()
	now := &proxy{socket: socket, stop: stop}
	now.process, err = p.envoy(ctx, gateway, dir, func(s envoy.State) {
		now.speak(func() { p.state(gateway, s) })
	})
	if err != nil {
		stop()
		return nil, errors.Join(err, socket.Close())
	}
	return now, nil
}

func (p *Proxies) envoy(ctx context.Context, gateway store.Key, dir string, onState func(envoy.State)) (*envoy.Process, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	b, err := envoy.Bootstrap(envoy.BootstrapOptions{
		NodeID:      host,
		NodeCluster: controller.GatewayKey(gateway),
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
	log := p.o.Logger.With("gateway", controller.GatewayKey(gateway))
	return envoy.Start(ctx, envoy.ProcessConfig{
		Binary: p.o.Binary, Bootstrap: bootstrap, Dir: dir, LogLevel: p.o.LogLevel, Concurrency: p.o.Concurrency,
		DrainTime: p.o.DrainTime, Log: log, Stdout: p.o.AccessLog,
		OnState: onState,
	})
}

// state reports what an Envoy is doing as the Gateway's infrastructure.
func (p *Proxies) state(gateway store.Key, s envoy.State) {
	infra := translate.Infrastructure{Addresses: p.addresses(), Ready: s.Phase == envoy.Ready, Message: "the proxy is ready"}
	if !infra.Ready {
		infra.Message = "the proxy is " + strings.ToLower(string(s.Phase))
		if s.Err != nil {
			infra.Message += ": " + s.Err.Error()
		}
	}
	p.report(gateway, infra)
}

func (p *Proxies) report(gateway store.Key, infra translate.Infrastructure) {
	p.o.Submit(store.PutValue(translate.InfrastructureKey(gateway), infra))
}

func (p *Proxies) addresses() []translate.Address {
	return []translate.Address{{Value: p.o.Address}}
}

// Process returns the Envoy of a Gateway; nil if none runs.
func (p *Proxies) Process(gateway store.Key) *envoy.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := p.running[gateway]; now != nil {
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
