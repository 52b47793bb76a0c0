// Package controller is the long-running process: sources fill the store, the
// translator follows, and what changed goes to proxies, to the infrastructure
// and to whoever reports.
//
//	sources ──► store ──► translator ──► snapshots ──► ADS server ──► Envoy
//	                          │                            │
//	                          ├──► wanted proxies ──► Infrastructure
//	                          ├──► reports ──► Reporter    │
//	                          └──────◄── what Envoy refuses ┘
//
// One goroutine owns the store and the translator. Everybody else hands it work
// with [Controller.Submit] and never waits for it.
package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	ads "github.com/egctl/egctl/pkg/controller/xds"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// Source feeds objects from somewhere: files, an API server.
type Source interface {
	// Run calls emit with changes until ctx ends. The first call holds all that
	// exists at the start, so that nothing is served before everything is known.
	Run(ctx context.Context, emit func([]store.Change)) error
}

// Infrastructure runs the proxies of fleets.
type Infrastructure interface {
	// Want says what is to run for a fleet, first and whenever that is different;
	// nil: nothing any more. The server has the fleet's snapshot by then. Want
	// must return soon, and must not change the fleet.
	Want(key store.Key, fleet *translate.Fleet)
	// Stop ends what runs, gently, and returns when it has ended.
	Stop(ctx context.Context) error
}

// Reporter is told what the translator says of objects. Like an Infrastructure
// it must return soon.
type Reporter interface {
	Report(reports map[store.Key]translate.Report)
}

// Options configure a Controller.
type Options struct {
	Settings       translate.Settings
	Sources        []Source
	Server         *ads.Server
	Infrastructure Infrastructure
	Reporter       Reporter
	// Served is told of each snapshot that the server has, after the
	// infrastructure; nil: gone. It must return soon. Nobody need be told.
	Served func(fleet store.Key, snapshot *xds.Snapshot)
	Logger *slog.Logger
}

// Controller is made by [New] and run once.
type Controller struct {
	o          Options
	translator *translate.Translator
	pace       pace
	refusals   *refusals
	standing   *standing
	// revision is the number of updates of the ADS server, which numbers them too.
	revision uint64
	// held are reports that wait for a verdict.
	held      map[store.Key]translate.Report
	heldSince time.Time
	// watched says that something other than routes is refused, so that what
	// proxies accept is of interest.
	watched atomic.Bool

	mu      sync.Mutex
	pending []store.Change
	events  []event
	wake    chan struct{}
}

// event is something that happened to a proxy: a rejection or, if that is nil,
// the acceptance of a type's resources as of a revision.
type event struct {
	rejection *ads.Rejection
	gateway   string
	acked     xds.Type
	revision  uint64
}

// New returns a controller that has not started.
func New(o Options) *Controller {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Controller{
		o: o, translator: translate.New(o.Settings), refusals: newRefusals(),
		standing: &standing{synced: o.Server.Synced, refused: map[refusedKey]refusedValue{}},
		wake:     make(chan struct{}, 1),
	}
}

// Submit hands over changes from any goroutine. They take effect together with
// whatever else is waiting.
func (c *Controller) Submit(changes ...store.Change) {
	c.mu.Lock()
	c.pending = append(c.pending, changes...)
	c.mu.Unlock()
	c.poke()
}

func (c *Controller) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Run works until ctx ends or a source fails, then stops the infrastructure,
// for which it takes as long as that does.
func (c *Controller) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var sources, first sync.WaitGroup
	for _, s := range c.o.Sources {
		sources.Add(1)
		first.Add(1)
		go func() {
			defer sources.Done()
			var once sync.Once
			err := s.Run(ctx, func(changes []store.Change) {
				c.Submit(changes...)
				once.Do(first.Done)
			})
			once.Do(first.Done)
			if err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("source of objects: %w", err))
			}
		}()
	}
	first.Wait()
	for ctx.Err() == nil {
		c.step()
		select {
		case <-ctx.Done():
		case <-c.wake:
			c.pace.wait(ctx)
		}
	}
	sources.Wait()
	err := context.Cause(ctx)
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	if c.o.Infrastructure != nil {
		err = errors.Join(err, c.o.Infrastructure.Stop(context.WithoutCancel(ctx)))
	}
	return err
}

// step takes everything that waits and brings the world up to date.
func (c *Controller) step() {
	c.mu.Lock()
	changes, events := c.pending, c.events
	c.pending, c.events = nil, nil
	c.mu.Unlock()

	begin := time.Now()
	changes = append(changes, forgotten(changes, c.translator.Store)...)
	n := c.translator.Store.Apply(changes...)
	for _, e := range events {
		// Each sees what the one before has led to.
		n += c.translator.Store.Apply(c.handle(e)...)
	}
	c.watched.Store(len(c.standing.refused) > 0)
	ch := c.translator.Update()
	if ch.Empty() {
		c.report(nil)
	} else {
		c.publish(ch)
		c.o.Logger.Debug("updated", "changes", n, "snapshots", len(ch.Snapshots), "fleets", len(ch.Fleets), "endpoints", len(ch.Endpoints), "reports", len(ch.Reports), "took", time.Since(begin))
	}
	if more := c.refusals.unmoved(c.translator.Store); len(more) > 0 {
		c.Submit(more...)
	}
	c.pace.spent(time.Since(begin))
}

// handle returns the changes that follow from an event.
func (c *Controller) handle(e event) []store.Change {
	switch {
	case e.rejection == nil && e.acked == xds.RouteType:
		return append(c.refusals.accepted(e.gateway, e.revision, c.translator.Store), c.standing.review(e.gateway, e.acked)...)
	case e.rejection == nil:
		return c.standing.review(e.gateway, e.acked)
	case e.rejection.Type == xds.RouteType:
		if changes := c.refusals.refused(e.rejection, c.translator.Store); len(changes) > 0 {
			return changes
		}
		// No route can have done it: what else the table is made from stands as refused.
		return c.standing.refuse(e.rejection)
	default:
		c.watched.Store(true) // before the state is looked at, so that no answer is missed
		return c.standing.refuse(e.rejection)
	}
}

// publish hands the differences to those who act on them. Infrastructure comes
// after the server, so that a proxy that starts at once finds its snapshot.
func (c *Controller) publish(ch translate.Changes) {
	if len(ch.Snapshots)+len(ch.Endpoints) > 0 {
		c.revision++
		update := ads.Change{Endpoints: ch.Endpoints}
		if len(ch.Snapshots) > 0 {
			update.Snapshots = make(map[string]*xds.Snapshot, len(ch.Snapshots))
			for k, s := range ch.Snapshots {
				update.Snapshots[translate.FleetName(k)] = s
				c.refusals.sent(translate.FleetName(k), s, c.revision)
				if s == nil {
					c.Submit(c.standing.gone(translate.FleetName(k))...)
				}
			}
		}
		c.o.Server.Update(update)
	}
	if c.o.Infrastructure != nil {
		for k, f := range ch.Fleets {
			c.o.Infrastructure.Want(k, f)
		}
	}
	if c.o.Served != nil {
		for k, s := range ch.Snapshots {
			c.o.Served(k, s)
		}
	}
	c.report(ch.Reports)
}

// maxVerdict is the longest that reports wait for a verdict on refused routes.
const maxVerdict = 2 * time.Second

// report passes reports on, but not while routes are under suspicion: what is
// innocent should not be accused for the moment that it takes.
func (c *Controller) report(reports map[store.Key]translate.Report) {
	if c.o.Reporter == nil {
		return
	}
	if c.held == nil {
		c.held, c.heldSince = map[store.Key]translate.Report{}, time.Now()
	}
	maps.Copy(c.held, reports)
	if c.refusals.undecided() && time.Since(c.heldSince) < maxVerdict {
		time.AfterFunc(maxVerdict, c.poke)
		return
	}
	if len(c.held) > 0 {
		c.o.Reporter.Report(c.held)
	}
	c.held = nil
}

// Observer hears of proxies for the controller; give it to the ADS server.
func (c *Controller) Observer() ads.Observer { return observer{c} }

type observer struct{ c *Controller }

func (o observer) Connected(string, string)    {}
func (o observer) Disconnected(string, string) {}

func (o observer) Acked(gateway, _ string, t xds.Type, revision uint64) {
	if t == xds.RouteType || o.c.watched.Load() {
		o.c.happened(event{gateway: gateway, acked: t, revision: revision})
	}
}

func (o observer) Rejected(r ads.Rejection) {
	o.c.o.Logger.Warn("Envoy refused configuration", "gateway", r.Gateway, "node", r.NodeID, "type", r.Type, "message", r.Message)
	o.c.happened(event{gateway: r.Gateway, rejection: &r})
}

func (c *Controller) happened(e event) {
	c.mu.Lock()
	c.events = append(c.events, e)
	c.mu.Unlock()
	c.poke()
}
