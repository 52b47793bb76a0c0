// Package cluster runs the controller in Kubernetes: objects come from the API
// server, proxies are pods, statuses are written back. It is the same translator,
// ADS server and controller as without a cluster; only the ends differ.
//
//	API server ──► source/kube ──► controller ──► ADS server ──► proxies
//	     ▲                             ├──► infra/kube ──┐
//	     │                             └──► status ──────┤
//	     └───────────────────────────────────────────────┘ the leader only
package cluster

import (
	"context"
	"errors"
	"reflect"

	"k8s.io/client-go/rest"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/config"
	"github.com/egctl/egctl/pkg/controller/metrics"
	"github.com/egctl/egctl/pkg/envoy"
)

// ProxyImage is the image of proxies unless an EnvoyProxy names another.
const ProxyImage = "docker.io/envoyproxy/envoy:distroless-v" + envoy.Version

// Options configure a controller in a cluster.
type Options struct {
	// Config is how the API server is reached.
	Config *rest.Config
	// ConfigFile is an EnvoyGateway, followed as it changes; empty: the defaults.
	ConfigFile string
	// Namespace is the controller's, Pod the name of its pod.
	Namespace, Pod string
	// ClusterDomain is the DNS domain of the cluster, such as "cluster.local".
	ClusterDomain string
	// Image is what the proxies' shutdown managers run unless the configuration names
	// another.
	Image string
	// Log takes what there is to say; Ready is called when everything is served.
	Log   *Log
	Ready func()
}

// errReload ends a run whose configuration has changed.
var errReload = errors.New("the configuration has changed")

// Run works until ctx ends. When the configuration changes everything but the
// process starts again: proxies keep serving and are connected again within a
// second, and are told nothing before everything is known anew.
func Run(ctx context.Context, o Options) error {
	m := metrics.New()
	m.Clients()
	work := func(ctx context.Context, c *v1alpha1.EnvoyGateway) error {
		o.Log.configure(c)
		return run(ctx, o, c, m)
	}
	if o.ConfigFile == "" {
		return work(ctx, config.Default())
	}
	file := config.NewFile(o.ConfigFile)
	current, warnings, err := file.Load()
	if err != nil {
		return err
	}
	o.Log.configure(current)
	o.Log.warn(warnings)
	for {
		next, err := untilReload(ctx, file, current, o.Log, work)
		if next == nil {
			return err
		}
		if err != nil {
			o.Log.For(v1alpha1.LogComponentDefault).Error("with the old configuration something failed at the end", "error", err)
		}
		current = next
	}
}

// untilReload works with a configuration until the file has another, which it
// returns, or until ctx or the work ends; nil then.
func untilReload(ctx context.Context, file *config.File, current *v1alpha1.EnvoyGateway, log *Log, work func(context.Context, *v1alpha1.EnvoyGateway) error) (next *v1alpha1.EnvoyGateway, err error) {
	say := log.For(v1alpha1.LogComponentDefault)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		err := file.Watch(ctx, func(changed *v1alpha1.EnvoyGateway, warnings []string, err error) {
			switch {
			case err != nil:
				say.Error("the new configuration cannot be used; the old one stays in force", "error", err)
			case next != nil: // and now there is a newer one
				log.warn(warnings)
				next = changed
			case !reflect.DeepEqual(changed, current):
				log.warn(warnings)
				say.Info("starting again with the new configuration")
				next = changed
				cancel(errReload)
			}
		})
		if err != nil && ctx.Err() == nil {
			say.Error("configuration is no longer followed", "error", err)
		}
	}()
	err = work(ctx, current)
	cause := context.Cause(ctx)
	cancel(nil)
	<-followed
	if errors.Is(err, errReload) { // what was asked to end says why it has
		err = nil
	}
	if errors.Is(cause, errReload) {
		return next, err
	}
	return nil, err
}
