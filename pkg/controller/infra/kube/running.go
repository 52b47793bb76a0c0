package kube

import (
	"context"
	"time"

	"k8s.io/client-go/tools/cache"

	"github.com/egctl/egctl/pkg/controller"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

// runningWithin is how long a start waits to know what runs.
const runningWithin = 10 * time.Second

// Running is a source that says first of all which fleets of GatewayClasses run.
// Where the EnvoyProxy that merges the Gateways of a class is lost, nothing else
// tells that they were merged: without it, a controller that starts then would take
// the fleet that carries their traffic for one that nobody wants. Later all that is
// known of fleets comes by Submit.
func (i *Infrastructure) Running() controller.Source { return running{i} }

type running struct{ i *Infrastructure }

// Run implements controller.Source.
func (r running) Run(ctx context.Context, emit func([]store.Change)) error {
	i := r.i
	var changes []store.Change
	if !i.o.Render.GatewayNamespaceMode { // where nothing is merged
		changes = i.findRunning(ctx)
	}
	emit(changes)
	<-ctx.Done()
	return nil
}

// findRunning reports the fleets of classes that run, and notes them as running.
func (i *Infrastructure) findRunning(ctx context.Context) []store.Change {
	ctx, cancel := context.WithTimeout(ctx, runningWithin)
	defer cancel()
	found := map[store.Key]translate.Infrastructure{}
	known := true
	for _, kind := range workloadKinds {
		for _, inf := range i.watches.informers[kind] {
			known = known && cache.WaitForCacheSync(ctx.Done(), inf.HasSynced)
		}
		for _, k := range i.watches.fleets(kind) {
			if k.Kind == store.GatewayClass {
				found[k], _ = i.look(&translate.Fleet{Key: k})
			}
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if !known {
		i.unsure = true
		i.o.Logger.Warn("which proxies of merged Gateways run is not known in time; what is left of them is not removed before the next start", "waited", runningWithin)
	}
	var changes []store.Change
	for k, infra := range found {
		if f := i.fleets[k]; f != nil && f.reported != nil {
			continue
		}
		i.running[k] = true
		changes = append(changes, store.PutValue(translate.InfrastructureKey(k), infra))
	}
	return changes
}
