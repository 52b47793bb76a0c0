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
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
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
	// Updated is told of every update; nil: nobody is. It must return soon.
	Updated func(Update)
	Logger  *slog.Logger
}

// Update is what bringing the world up to date has taken.
type Update struct {
	// Kinds are those of the objects that differed, sorted.
	Kinds []store.Kind
	// Waited is how long the first of them had to wait, Took how long the update
	// took then.
	Waited, Took time.Duration
	// Snapshots, Endpoints and Reports are numbers of results that differ.
	Snapshots, Endpoints, Reports int
}

// Controller is made by [New] and run once.
type Controller struct {
	o          Options
	translator *translate.Translator
	pace       pace
	refusals   *refusals
	standing   *standing
	// held are reports that wait for a verdict.
	held      map[store.Key]translate.Report
	heldSince time.Time
	// watched says that something is refused without a route to blame, so that
	// what proxies accept is of interest.
	watched atomic.Bool

	mu      sync.Mutex
	pending []store.Change
	// since is when the first of what waits came.
	since  time.Time
	events []event
	// flushed are closed when what waits now is served.
	flushed []chan struct{}
	wake    chan struct{}
	ready   chan struct{}
}

// event is something that happened to a proxy: a rejection or, if that is nil,
// the acceptance of resources of a type.
type event struct {
	rejection *ads.Rejection
	gateway   string
	acked     xds.Type
	resources []*xds.Resource
}

// New returns a controller that has not started. It observes the server.
func New(o Options) *Controller {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Controller{
		o: o, translator: translate.New(o.Settings), refusals: newRefusals(),
		standing: &standing{synced: o.Server.Synced, refused: map[refusedKey]refusedValue{}},
		wake:     make(chan struct{}, 1), ready: make(chan struct{}),
	}
	o.Server.Observe(observer{c})
	return c
}

// Submit hands over changes from any goroutine. They take effect together with
// whatever else is waiting.
func (c *Controller) Submit(changes ...store.Change) {
	c.mu.Lock()
	c.arrived()
	c.pending = append(c.pending, changes...)
	c.mu.Unlock()
	c.poke()
}

// Flush returns once everything that was submitted before has taken effect. An error
// is ctx's.
func (c *Controller) Flush(ctx context.Context) error {
	done := make(chan struct{})
	c.mu.Lock()
	c.flushed = append(c.flushed, done)
	c.mu.Unlock()
	c.poke()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// arrived notes the time of the first thing that waits; the caller holds mu.
func (c *Controller) arrived() {
	if len(c.pending)+len(c.events) == 0 {
		c.since = time.Now()
	}
}

// Ready is closed once everything that there was at the start is served.
func (c *Controller) Ready() <-chan struct{} { return c.ready }

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
			// Before anybody could take what is known so far for all there is: what
			// seems to be gone would be removed.
			if err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("source of objects: %w", err))
			}
			once.Do(first.Done)
		}()
	}
	first.Wait()
	if ctx.Err() == nil {
		c.step()
		close(c.ready)
	}
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-c.wake:
			c.pace.wait(ctx)
			c.step()
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
	changes, events, since, flushed := c.pending, c.events, c.since, c.flushed
	c.pending, c.events, c.flushed = nil, nil, nil
	c.mu.Unlock()
	defer func() {
		for _, done := range flushed {
			close(done)
		}
	}()

	begin := time.Now()
	changes = append(changes, forgotten(changes, c.translator.Store)...)
	kinds := c.translator.Store.Apply(changes...)
	for _, e := range events {
		// Each sees what the one before has led to.
		kinds = append(kinds, c.translator.Store.Apply(c.handle(e)...)...)
	}
	c.watched.Store(len(c.standing.refused) > 0)
	ch := c.translator.Update()
	if ch.Empty() {
		c.report(nil)
	} else {
		c.publish(ch)
		c.o.Logger.Debug("updated", "changes", len(kinds), "snapshots", len(ch.Snapshots), "fleets", len(ch.Fleets), "endpoints", len(ch.Endpoints), "reports", len(ch.Reports), "took", time.Since(begin))
	}
	if more := c.refusals.unmoved(c.translator.Store); len(more) > 0 {
		c.Submit(more...)
	}
	took := time.Since(begin)
	c.pace.spent(took)
	if c.o.Updated != nil && len(kinds) > 0 {
		slices.SortFunc(kinds, func(a, b store.Kind) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Group, b.Group)) })
		c.o.Updated(Update{
			Kinds: slices.Compact(kinds), Waited: begin.Sub(since), Took: took,
			Snapshots: len(ch.Snapshots), Endpoints: len(ch.Endpoints), Reports: len(ch.Reports),
		})
	}
}

// handle returns the changes that follow from an event.
func (c *Controller) handle(e event) []store.Change {
	if e.rejection == nil {
		changes := c.standing.review(e.gateway, e.acked)
		if e.acked == xds.RouteType {
			changes = append(changes, c.refusals.accepted(e.gateway, e.resources, c.translator.Store)...)
		}
		return changes
	}
	if e.rejection.Type == xds.RouteType {
		if changes, blamed := c.refusals.refused(e.rejection, c.translator.Store); blamed {
			return changes
		}
	}
	c.watched.Store(true) // before the state is looked at, so that no answer is missed
	return c.standing.refuse(e.rejection)
}

// publish hands the differences to those who act on them. Infrastructure comes
// after the server, so that a proxy that starts at once finds its snapshot.
func (c *Controller) publish(ch translate.Changes) {
	if len(ch.Snapshots)+len(ch.Endpoints) > 0 {
		update := ads.Change{Endpoints: ch.Endpoints}
		if len(ch.Snapshots) > 0 {
			update.Snapshots = make(map[string]*xds.Snapshot, len(ch.Snapshots))
			for k, s := range ch.Snapshots {
				update.Snapshots[translate.FleetName(k)] = s
				c.refusals.sent(translate.FleetName(k), s)
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

// observer hears of proxies for the controller.
type observer struct{ c *Controller }

func (o observer) Connected(string, string)    {}
func (o observer) Disconnected(string, string) {}

func (o observer) Sent(string, string, xds.Type, int, int, int) {}

func (o observer) Acked(gateway, _ string, t xds.Type, _ uint64, resources []*xds.Resource) {
	if t == xds.RouteType || o.c.watched.Load() {
		o.c.happened(event{gateway: gateway, acked: t, resources: resources})
	}
}

func (o observer) Rejected(r ads.Rejection) {
	o.c.o.Logger.Warn("Envoy refused configuration", "gateway", r.Gateway, "node", r.NodeID, "type", r.Type, "message", r.Message)
	o.c.happened(event{gateway: r.Gateway, rejection: &r})
}

func (c *Controller) happened(e event) {
	c.mu.Lock()
	c.arrived()
	c.events = append(c.events, e)
	c.mu.Unlock()
	c.poke()
}
