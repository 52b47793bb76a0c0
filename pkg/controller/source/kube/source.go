// Package kube feeds objects from a Kubernetes API server, and keeps feeding them
// as they change.
//
// One [watcher] follows the objects of a kind, in all namespaces or in one. It
// keeps no objects, only their resource versions: the store has the objects.
// Which watchers there are follows from what the server serves ([discovery]) and
// from the namespaces in scope, and [Source.reconcile] makes it so.
//
//	discovery ──► kinds served ─┐
//	                            ├──► reconcile ──► watchers ──► gate ──► Observe, emit
//	namespaces ─► in scope ─────┘
//
// The gate holds everything back until all watchers have listed what exists, so
// that nothing is served before everything is known. After that it is open for
// good: while the API server is away, what was known stays in force.
package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/egctl/egctl/pkg/controller"
	"github.com/egctl/egctl/pkg/store"
)

// Scope says which namespaces are watched. The zero Scope is all of them.
// Objects without a namespace are always in scope.
type Scope struct {
	// Namespaces are watched one by one, so that permission in each is enough.
	Namespaces []string
	// Selector selects namespaces by their labels. They come and go as these change.
	Selector labels.Selector
}

// Event is what happened to an object.
type Event string

// The events of [Options.OnEvent].
const (
	Added   Event = "add"
	Updated Event = "update"
	Deleted Event = "delete"
)

// Options configure a Source.
type Options struct {
	// Config says how the API server is reached. Without a QPS of its own, reads
	// are not limited here: the server's priority and fairness does that.
	Config *rest.Config
	Scope  Scope
	// Observe is given all changes, also those of a status alone, right before they
	// are emitted. It must return soon and must not modify objects.
	Observe func([]store.Change)
	// OnEvent hears of each event, for metrics.
	OnEvent func(store.Kind, Event)
	Logger  *slog.Logger
}

// Source is a controller.Source.
type Source struct {
	o         Options
	logger    klog.Logger
	clients   *clients
	discovery *discovery
	synced    chan struct{}
	wake      chan struct{}
	// forbids asks the API server whether it is our permissions that forbid a place.
	forbids func(context.Context, place, resource) bool

	mu sync.Mutex
	// emit is nil before Run and when it has ended.
	emit     func([]store.Change)
	open     bool
	held     []store.Change
	selected map[string]bool // namespaces that Scope.Selector selects
	watchers map[place]*watcher
	complete bool // watchers are all that are wanted
	troubles troubles
}

// place is where a watcher looks; namespace "" is everywhere.
type place struct {
	kind      store.Kind
	namespace string
}

func (p place) String() string {
	if p.namespace == "" {
		return p.kind.String()
	}
	return p.kind.String() + " in namespace " + p.namespace
}

var _ controller.Source = (*Source)(nil)

// New returns a source that has not started. It fails if Config is of no use or
// the Scope contradicts itself.
func New(o Options) (*Source, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if len(o.Scope.Namespaces) > 0 && o.Scope.Selector != nil {
		return nil, errors.New("watch either named namespaces or those that a selector selects, not both")
	}
	c, err := newClients(o.Config)
	if err != nil {
		return nil, fmt.Errorf("reach the API server: %w", err)
	}
	s := &Source{
		o: o, clients: c, logger: logr.FromSlogHandler(o.Logger.Handler()),
		synced: make(chan struct{}), wake: make(chan struct{}, 1),
		selected: map[string]bool{}, watchers: map[place]*watcher{}, troubles: troubles{logger: o.Logger, known: map[string]trouble{}},
	}
	if s.discovery, err = newDiscovery(c); err != nil {
		return nil, fmt.Errorf("reach the API server: %w", err)
	}
	s.forbids = c.forbids
	s.discovery.changed = s.poke
	s.discovery.trouble = func(about string, err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if err == nil {
			s.troubles.over(about)
		} else {
			s.trouble(about, about+" fails", err, "")
		}
	}
	s.discovery.crds.bundle = func(b *store.Bundle) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if b == nil {
			s.pass([]store.Change{store.Delete(store.BundleKey())})
		} else {
			s.pass([]store.Change{store.PutValue(store.BundleKey(), *b)})
		}
	}
	s.discovery.crds.trouble = func(err error) {
		s.poke() // it may be what the start waits for
		s.mu.Lock()
		defer s.mu.Unlock()
		if err == nil {
			s.troubles.over("CustomResourceDefinition")
		} else {
			s.trouble("CustomResourceDefinition", "cannot watch CustomResourceDefinitions; whether kinds come or go is looked up every "+blindRecheck.String(), err,
				"allow get, list and watch of customresourcedefinitions.apiextensions.k8s.io in the ClusterRole of the controller")
		}
	}
	return s, nil
}

// trouble reports an error of a request. One without an answer is everybody's.
func (s *Source) trouble(about, message string, err error, remedy string) {
	if answer := apierrors.APIStatus(nil); errors.As(err, &answer) {
		s.troubles.report(about, message, err, remedy)
	} else {
		s.troubles.unreachable(err)
	}
}

// Synced is closed once everything that exists has been emitted.
func (s *Source) Synced() <-chan struct{} { return s.synced }

// Waiting names what is still missing before everything is known, for people.
func (s *Source) Waiting() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open {
		return nil
	}
	var out []string
	if !s.complete {
		out = append(out, "which kinds the API server serves")
	}
	for p, w := range s.watchers {
		if !w.synced {
			out = append(out, p.String())
		}
	}
	slices.Sort(out)
	return out
}

// decisive says whether objects of a kind decide which proxies run, and how.
func (s *Source) decisive(k store.Kind) bool {
	switch k {
	case store.GatewayClass, store.Gateway, store.EnvoyProxy:
		return true
	case store.Namespace:
		return s.o.Scope.Selector != nil
	default:
		return false
	}
}

// Unlisted names the places that count as empty because they could not be read,
// though what is there decides which proxies run.
func (s *Source) Unlisted() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for p, w := range s.watchers {
		if !w.listed && s.decisive(p.kind) {
			out = append(out, p.String())
		}
	}
	slices.Sort(out)
	return out
}

// Resource returns the resource under which the API server serves a kind; false
// while it does not.
func (s *Source) Resource(k store.Kind) (schema.GroupVersionResource, bool) {
	r, ok := s.discovery.resource(k)
	return schema.GroupVersionResource{Group: k.Group, Version: r.version, Resource: r.plural}, ok
}

// reached takes back that the API server cannot be reached.
func (s *Source) reached() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.troubles.over(server)
}

// slowStart is how often it is said what a start waits for.
const slowStart = 10 * time.Second

// Run watches until ctx ends. An API server that cannot be reached is no error:
// Run waits for it.
func (s *Source) Run(ctx context.Context, emit func([]store.Change)) error {
	ctx = klog.NewContext(ctx, s.logger)
	s.mu.Lock()
	s.emit = emit
	s.mu.Unlock()
	// Watchers may be deep in a pause when ctx ends. Nobody needs to wait for them.
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.emit = nil
	}()
	go s.discovery.run(ctx)
	slow := time.NewTicker(slowStart)
	defer slow.Stop()
	for {
		s.reconcile(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-slow.C:
			if waiting := s.Waiting(); len(waiting) > 0 {
				s.o.Logger.Warn("still waiting for the API server to list what exists", "missing", strings.Join(waiting, ", "))
			} else {
				slow.Stop()
			}
		}
	}
}

func (s *Source) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// reconcile starts and stops watchers, and opens the gate when all is known.
func (s *Source) reconcile(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	served, complete := s.discovery.served()
	wanted := map[place]resource{}
	for k, r := range served {
		info, _ := store.Info(k)
		switch {
		case !info.Namespaced || len(s.o.Scope.Namespaces) == 0 && s.o.Scope.Selector == nil:
			wanted[place{kind: k}] = r
		case s.o.Scope.Selector != nil:
			for n := range s.selected {
				wanted[place{k, n}] = r
			}
		default:
			for _, n := range s.o.Scope.Namespaces {
				wanted[place{k, n}] = r
			}
		}
	}
	for p, w := range s.watchers {
		r, ok := wanted[p]
		switch {
		case !ok:
			w.cancel()
			delete(s.watchers, p)
			s.troubles.forget(p.String())
			s.o.Logger.Info("no longer watching", "what", p.String())
			s.pass(w.deletions())
		case r != w.resource:
			// The same objects in another version: what is known stays known.
			w.cancel()
			s.start(ctx, p, r, w.known).listed = w.listed
		}
	}
	for p, r := range wanted {
		if s.watchers[p] == nil {
			s.start(ctx, p, r, map[store.Key]string{})
		}
	}
	if ns := s.watchers[place{kind: store.Namespace}]; s.o.Scope.Selector != nil && complete {
		complete = ns != nil && ns.synced
	}
	complete = complete && s.discovery.crds.settled()
	s.complete = complete
	for _, w := range s.watchers {
		complete = complete && w.synced
	}
	if complete && !s.open && ctx.Err() == nil {
		s.open = true
		held := s.held
		s.held = nil
		s.hand(held)
		close(s.synced)
	}
}

func (s *Source) start(ctx context.Context, p place, r resource, known map[store.Key]string) *watcher {
	ctx, cancel := context.WithCancel(ctx)
	w := &watcher{source: s, place: p, resource: r, known: known, unread: map[store.Key]string{}, cancel: cancel, ctx: ctx}
	s.watchers[p] = w
	s.o.Logger.Debug("watching", "what", p.String(), "version", r.version)
	go w.run()
	return w
}

// pass hands changes on, now or when the gate opens. s.mu is held, so that
// changes of an object arrive in order.
func (s *Source) pass(changes []store.Change) {
	if len(changes) == 0 {
		return
	}
	s.follow(changes)
	if s.open {
		s.hand(changes)
	} else {
		s.held = append(s.held, changes...)
	}
}

func (s *Source) hand(changes []store.Change) {
	if s.emit == nil {
		return
	}
	if s.o.Observe != nil {
		s.o.Observe(changes)
	}
	s.emit(changes)
}

// follow keeps track of the namespaces in scope.
func (s *Source) follow(changes []store.Change) {
	if s.o.Scope.Selector == nil {
		return
	}
	for _, ch := range changes {
		if ch.Key.Kind != store.Namespace {
			continue
		}
		if ch.Object != nil && s.o.Scope.Selector.Matches(labels.Set(ch.Object.GetLabels())) {
			s.selected[ch.Key.Name] = true
		} else {
			delete(s.selected, ch.Key.Name)
		}
		s.poke()
	}
}
