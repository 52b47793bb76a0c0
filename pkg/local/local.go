// Package local runs the gateway on this machine, without Kubernetes: objects
// come from files, proxies are processes. It is the same translator, ADS server
// and controller as in a cluster; only the ends differ.
package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/egctl/egctl/pkg/controller"
	"github.com/egctl/egctl/pkg/controller/infra/local"
	"github.com/egctl/egctl/pkg/controller/source/file"
	ads "github.com/egctl/egctl/pkg/controller/xds"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

// Options configure a gateway on this machine.
type Options struct {
	// Files are watched. Their Loaded callback is the console's.
	Files *file.Options
	// Objects are served besides, and do not change.
	Objects []store.Object
	// Envoy is the path of the binary.
	Envoy string
	// Dir is a private folder, made and removed if empty.
	Dir string
	// Listen is the address to bind; "127.0.0.1" if empty.
	Listen string
	// PortShift is added to ports below 1024.
	PortShift int32
	// Zone is the topology zone of this machine; empty: not known.
	Zone string
	// DrainTime is how long connections are given at the end; 0: 5 s.
	DrainTime   time.Duration
	LogLevel    string
	Concurrency int
	// Out takes access logs; Err takes what a person should know.
	Out, Err io.Writer
	Color    bool
	Logger   *slog.Logger
	// Ready is called once for each Gateway, when Envoy has acknowledged its
	// first configuration.
	Ready func(gateway store.Key)
}

// Run serves until ctx ends, then drains.
func Run(ctx context.Context, o Options) (err error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1"
	}
	if o.DrainTime == 0 {
		o.DrainTime = 5 * time.Second
	}
	if o.Dir == "" {
		// The system's folder for temporary files keeps the paths of sockets short.
		if o.Dir, err = os.MkdirTemp("", "egctl-"); err != nil {
			return fmt.Errorf("private folder: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.Dir)) }()
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return err
	}

	settings := translate.DefaultSettings()
	settings.ListenAddress, settings.PortShift, settings.DrainTimeout = o.Listen, o.PortShift, o.DrainTime
	settings.Zone = o.Zone
	settings.SystemTrust = systemTrust(settings.SystemTrust)
	settings.ExclusivePorts = true
	console := newConsole(o.Err, o.Color)

	server := ads.NewServer(ads.Options{
		Identify:  local.Identify,
		Logger:    o.Logger,
		DrainTime: o.DrainTime,
	})
	var ctl *controller.Controller
	// The proxies outlive ctx: they are drained after it has ended.
	proxies := local.New(context.WithoutCancel(ctx), local.Options{
		Dir: o.Dir, Binary: o.Envoy, Address: reachable(o.Listen), LogLevel: o.LogLevel, Concurrency: o.Concurrency,
		DrainTime: o.DrainTime, Server: server, Logger: o.Logger, AccessLog: o.Out,
		Submit: func(changes ...store.Change) { ctl.Submit(changes...) },
		Failed: func(gateway store.Key, err error) { console.say("error: %s: %v", gateway, err) },
	})
	told := &announced{console: console, server: server, ctx: ctx, ready: o.Ready}
	ctl = controller.New(controller.Options{
		Settings: settings, Sources: sources(&o, console), Server: server, Infrastructure: proxies, Served: told.served, Reporter: console, Logger: o.Logger,
	})
	return ctl.Run(ctx)
}

func sources(o *Options, console *console) []controller.Source {
	var list []controller.Source
	if o.Files != nil {
		files := *o.Files
		files.Loaded = console.loaded
		files.Logger = o.Logger
		list = append(list, file.New(files))
	}
	if len(o.Objects) > 0 || o.Files == nil {
		list = append(list, fixed(o.Objects))
	}
	return list
}

// fixed is a source of objects that never change.
type fixed []store.Object

func (f fixed) Run(ctx context.Context, emit func([]store.Change)) error {
	changes := make([]store.Change, len(f))
	for i, o := range f {
		changes[i] = store.Put(o)
	}
	emit(changes)
	<-ctx.Done()
	return nil
}

// reachable is an address that clients on this machine can use.
func reachable(listen string) string {
	switch listen {
	case "0.0.0.0":
		return "127.0.0.1"
	case "::":
		return "::1"
	default:
		return listen
	}
}
