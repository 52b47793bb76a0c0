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
	current := config.Default()
	if o.ConfigFile != "" {
		loaded, warnings, err := config.Load(o.ConfigFile)
		if err != nil {
			return err
		}
		current = loaded
		o.Log.configure(current)
		o.Log.warn(warnings)
	}
	for {
		next, err := runUntilReload(ctx, o, current, m)
		if !errors.Is(err, errReload) {
			return err
		}
		current = next
	}
}

// runUntilReload returns errReload and the new configuration when there is one.
func runUntilReload(ctx context.Context, o Options, current *v1alpha1.EnvoyGateway, m *metrics.Metrics) (next *v1alpha1.EnvoyGateway, err error) {
	o.Log.configure(current)
	log := o.Log.For(v1alpha1.LogComponentDefault)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		if o.ConfigFile == "" {
			return
		}
		err := config.Watch(ctx, o.ConfigFile, func(changed *v1alpha1.EnvoyGateway, warnings []string, err error) {
			switch {
			case err != nil:
				log.Error("the new configuration cannot be used; the old one stays in force", "error", err)
			case next == nil && !reflect.DeepEqual(changed, current):
				o.Log.warn(warnings)
				log.Info("starting again with the new configuration")
				next = changed
				cancel(errReload)
			}
		})
		if err != nil && ctx.Err() == nil {
			log.Error("configuration is no longer followed", "error", err)
		}
	}()
	err = run(ctx, o, current, m)
	cause := context.Cause(ctx)
	cancel(nil)
	<-followed
	if errors.Is(cause, errReload) {
		return next, errors.Join(err, errReload)
	}
	return nil, err
}
