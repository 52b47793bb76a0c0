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
	// ending holds the Gateways whose proxy drains, and whether one is wanted
	// again: it has to wait for the first, whose sockets and ports it needs.
	ending  map[store.Key]bool
	stopped bool
	group   sync.WaitGroup
}

var _ controller.Infrastructure = (*Proxies)(nil)

// proxy is the Envoy of one Gateway.
type proxy struct {
	process *envoy.Process
	// cut ends the ADS socket, stop also the process, at once.
	cut, stop context.CancelFunc
}

// New returns proxies of which none runs yet. When ctx ends they are ended
// without draining; Stop is the gentle way.
func New(ctx context.Context, o Options) *Proxies {
	return &Proxies{o: o, ctx: ctx, running: map[store.Key]*proxy{}, ending: map[store.Key]bool{}}
}

// Identify names the Gateway whose socket a connection came in by.
func Identify(ctx context.Context, _ *corev3.Node) (string, error) {
	p, ok := peer.FromContext(ctx)
	if !ok || p.LocalAddr == nil {
		return "", errors.New("connection without a local address")
	}
	dir := filepath.Base(filepath.Dir(p.LocalAddr.String()))
	namespace, name, ok := strings.Cut(dir, "_") // neither can hold an underscore
	if !ok {
		return "", fmt.Errorf("socket %s belongs to no Gateway", p.LocalAddr)
	}
	return namespace + "/" + name, nil
}

// Want starts the proxy of a Gateway, or stops it when there is nothing to
// serve any more.
func (p *Proxies) Want(gateway store.Key, snapshot *xds.Snapshot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.running[gateway]
	wanted := snapshot != nil && len(snapshot.Listeners) > 0
	_, ending := p.ending[gateway]
	switch {
	case snapshot == nil && now != nil:
		delete(p.running, gateway)
		p.ending[gateway] = false
		p.group.Add(1)
		go func() {
			defer p.group.Done()
			// What comes by the name of this Gateway from now on is for the next proxy.
			now.cut()
			if err := p.end(p.ctx, now); err != nil {
				p.o.Logger.Warn("proxy did not stop cleanly", "gateway", gateway, "error", err)
			}
			p.ended(gateway)
		}()
	case ending:
		p.ending[gateway] = wanted
	case wanted && now == nil:
		p.begin(gateway)
	}
}

// ended forgets a proxy that is gone for good, and starts the next one if the
// Gateway has come back meanwhile.
func (p *Proxies) ended(gateway store.Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	again := p.ending[gateway]
	delete(p.ending, gateway)
	// Not earlier: the end of the proxy was reported, too.
	p.o.Submit(store.Delete(translate.InfrastructureKey(gateway)))
	if again {
		p.begin(gateway)
	}
}

// begin starts the proxy of a Gateway, or says why it cannot; the caller holds mu.
func (p *Proxies) begin(gateway store.Key) {
	if p.stopped {
		return
	}
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

func (p *Proxies) start(gateway store.Key) (*proxy, error) {
	dir := filepath.Join(p.o.Dir, gateway.Namespace+"_"+gateway.Name)
	socket, err := ads.ListenUnix(filepath.Join(dir, "xds"))
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(p.ctx)
	serve, cut := context.WithCancel(ctx)
	p.group.Add(1)
	go func() {
		defer p.group.Done()
		if err := p.o.Server.Serve(serve, socket); err != nil && serve.Err() == nil {
			p.o.Logger.Error("ADS socket failed", "gateway", gateway, "error", err)
		}
	}()
	process, err := p.envoy(ctx, gateway, dir)
	if err != nil {
		stop() // which closes the socket
		return nil, err
	}
	return &proxy{process: process, cut: cut, stop: stop}, nil
}

func (p *Proxies) envoy(ctx context.Context, gateway store.Key, dir string) (*envoy.Process, error) {
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
		OnState: func(s envoy.State) { p.state(gateway, s) },
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
	p.running, p.stopped = map[store.Key]*proxy{}, true
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
