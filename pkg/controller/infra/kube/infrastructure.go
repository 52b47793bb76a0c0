// Package kube runs fleets of proxies in Kubernetes: it applies the objects that
// package render makes, puts back what others change of them, and reports
// whether proxies are available and at which addresses.
//
//	Want ──► fleets ──► apply queue ──► server-side apply      (the leader)
//	            │            ▲ drift
//	            │        informers on our own objects
//	            │            ▼ status
//	            └──► report queue ──► translate.Infrastructure (every replica)
//
// Every replica watches and reports, so that a new leader knows at once what the
// old one knew; only the leader writes. A fleet is worked on by one worker at a
// time, and one that fails is tried again later, so that it delays no other.
package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"

	"github.com/egctl/egctl/pkg/controller"
	"github.com/egctl/egctl/pkg/controller/infra/kube/render"
	"github.com/egctl/egctl/pkg/controller/pki"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

// Options configure an Infrastructure.
type Options struct {
	// Client is how the API server is reached. Its limits of requests a second are
	// obeyed.
	Client *rest.Config
	// Render says how objects are to look.
	Render render.Config
	// Namespaces are those that Gateways may be in; none: all. They matter in
	// GatewayNamespace mode, where proxies run beside their Gateways.
	Namespaces []string
	// Certificates make the proxies' client certificates; nil in GatewayNamespace
	// mode, where proxies have tokens.
	Certificates Certificates
	// Submit takes the Infrastructure of fleets to the controller.
	Submit func(...store.Change)
	// Current returns when everything that exists when it is called has come by Want.
	// It is asked before fleets that nobody wants are removed, for what a watch has
	// not shown yet is not gone. Nil: it has come by Complete.
	Current func(context.Context) error
	// Observe is told of each write to the API server; nil: nobody is.
	Observe func(Write)
	Logger  *slog.Logger
}

// Certificates keeps client certificates of fleets in Secrets.
type Certificates interface {
	// Ensure returns once the Secret holds a certificate, and has it renewed until
	// Forget.
	Ensure(context.Context, pki.Client) error
	Forget(namespace, secret string)
}

// Write is something that was done to an object.
type Write struct {
	// Delete says that it was deleted rather than applied.
	Delete                bool
	Kind, Namespace, Name string
	Took                  time.Duration
	Err                   error
}

// workers is how many fleets are worked on at once. They wait for the API server
// most of the time.
const workers = 8

// Waits before a fleet that failed is tried again.
const (
	firstRetry = 200 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// Infrastructure is a controller.Infrastructure.
type Infrastructure struct {
	o       Options
	client  dynamic.Interface
	watches *watches
	// synced is closed when the watches know what exists, complete when all fleets
	// that exist were wanted.
	synced, complete chan struct{}
	once             sync.Once
	reports          workqueue.TypedInterface[store.Key]

	mu     sync.Mutex
	fleets map[store.Key]*fleet
	// news is closed, and replaced, when a fleet was reported.
	news chan struct{}
	// running are fleets of GatewayClasses that were reported though nobody wanted
	// them; see [Infrastructure.Running].
	running map[store.Key]bool
	// unsure says that it was not known in time which fleets of classes run.
	unsure bool
	// applies is the queue of the present leadership; nil: another replica leads.
	applies workqueue.TypedRateLimitingInterface[store.Key]
}

var _ controller.Infrastructure = (*Infrastructure)(nil)

// fleet is what is known of one fleet. Infrastructure.mu guards it.
type fleet struct {
	// want is nil for a fleet that is to be removed.
	want *translate.Fleet
	// elsewhere says that only what is left of the other deployment mode is to be
	// removed.
	elsewhere bool
	// account is the ServiceAccount that its pods run as; empty: not known.
	account string
	applied map[objectName]applied
	// writing are the objects that are written right now.
	writing map[objectName]glimpse
	// switching says that something of before is kept until its successor is
	// available.
	switching bool
	// stuck says that it was said that something of before cannot be removed.
	stuck bool
	// failure says why the fleet is not as wanted, refused why its addresses are
	// not.
	failure, refused string
	drift            drift
	reported         *translate.Infrastructure
	// partial says that what was reported is not all that there is to know.
	partial bool
}

// New returns an Infrastructure; Run makes it see, Lead makes it act.
func New(o Options) (*Infrastructure, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	client, err := dynamic.NewForConfig(o.Client)
	if err != nil {
		return nil, fmt.Errorf("client of the infrastructure: %w", err)
	}
	i := &Infrastructure{
		o: o, client: client, fleets: map[store.Key]*fleet{}, running: map[store.Key]bool{},
		synced: make(chan struct{}), complete: make(chan struct{}), news: make(chan struct{}),
		reports: workqueue.NewTyped[store.Key](),
	}
	i.watches = newWatches(client, i)
	return i, nil
}

// Run watches and reports until ctx ends. All replicas do.
func (i *Infrastructure) Run(ctx context.Context) error {
	var group sync.WaitGroup
	defer group.Wait()
	i.watches.start(ctx, &group)
	if !i.watches.wait(ctx) {
		return nil
	}
	close(i.synced)
	group.Go(func() {
		for {
			k, ended := i.reports.Get()
			if ended {
				return
			}
			i.report(k)
			i.reports.Done(k)
		}
	})
	i.mu.Lock()
	for k := range i.fleets {
		i.reports.Add(k)
	}
	i.mu.Unlock()
	<-ctx.Done()
	i.reports.ShutDown()
	return nil
}

// Want says what is to run for a Gateway or a GatewayClass; nil: nothing any
// more. Replicas that do not lead take it as what should be there.
func (i *Infrastructure) Want(key store.Key, want *translate.Fleet) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f := i.fleets[key]
	if want == nil {
		if f == nil {
			return
		}
		if f.reported != nil || i.running[key] {
			delete(i.running, key)
			i.o.Submit(store.Delete(translate.InfrastructureKey(key)))
		}
		if i.applies == nil {
			delete(i.fleets, key) // the next leadership finds what is left of it
			return
		}
		*f = fleet{applied: f.applied}
		i.applies.Add(key)
		return
	}
	if f == nil {
		f = &fleet{}
		i.fleets[key] = f
	}
	if f.applied == nil {
		f.applied = map[objectName]applied{}
	}
	f.want, f.elsewhere = want, false
	if want.Frozen == "" {
		f.account = i.o.Render.Names(want).ServiceAccount
	}
	if i.applies != nil {
		i.applies.Add(key)
	}
	i.reports.Add(key)
}

// Complete says that all fleets that exist have been handed to Want. Only after
// that does the leader remove objects of fleets that it does not know.
func (i *Infrastructure) Complete() { i.once.Do(func() { close(i.complete) }) }

// Refresh has all fleets rendered again, because what they have in common, such
// as the CA bundle, is different now.
func (i *Infrastructure) Refresh() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.applies == nil {
		return
	}
	for k := range i.fleets {
		i.applies.Add(k)
	}
}

// Lead makes the cluster as wanted until ctx ends. Only one replica may lead at
// a time.
func (i *Infrastructure) Lead(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-i.synced:
	}
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[store.Key](firstRetry, lastRetry))
	i.mu.Lock()
	if i.applies != nil {
		i.mu.Unlock()
		return errors.New("the infrastructure is already led by this replica")
	}
	i.applies = queue
	for k, f := range i.fleets {
		f.applied = map[objectName]applied{} // who led before may have done something else
		queue.Add(k)
	}
	i.mu.Unlock()

	var group sync.WaitGroup
	group.Go(func() {
		select {
		case <-ctx.Done():
		case <-i.complete:
			if i.o.Current == nil || i.o.Current(ctx) == nil {
				i.findOrphans()
			}
		}
	})
	for range workers {
		group.Go(func() {
			for {
				k, ended := queue.Get()
				if ended {
					return
				}
				i.work(ctx, queue, k)
			}
		})
	}
	<-ctx.Done()
	i.mu.Lock()
	i.applies = nil
	for k, f := range i.fleets {
		f.failure, f.refused = "", "" // the next leader's to find
		i.reports.Add(k)
	}
	i.mu.Unlock()
	queue.ShutDown()
	group.Wait()
	return nil
}

// Stop returns at once: proxies outlive the controller.
func (i *Infrastructure) Stop(context.Context) error { return nil }

// work makes one fleet as wanted.
func (i *Infrastructure) work(ctx context.Context, queue workqueue.TypedRateLimitingInterface[store.Key], k store.Key) {
	defer queue.Done(k)
	if ctx.Err() != nil {
		return
	}
	err := i.reconcile(ctx, k)
	if ctx.Err() != nil {
		return // what failed, failed because we no longer lead
	}
	if news := i.settle(k, err); news && err != nil {
		i.o.Logger.Warn("fleet is not as wanted", "fleet", translate.FleetName(k), "error", err)
	}
	if err == nil {
		queue.Forget(k)
	} else {
		queue.AddRateLimited(k)
	}
}

// settle remembers how the work on a fleet went, and says whether that is news.
func (i *Infrastructure) settle(k store.Key, err error) (news bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f := i.fleets[k]
	if f == nil || i.applies == nil {
		return err != nil
	}
	before := f.failure
	f.failure, f.refused = "", ""
	if err != nil {
		f.failure = err.Error()
		var refused *addressRefused
		if errors.As(err, &refused) {
			f.refused = refused.Error()
		}
	}
	i.reports.Add(k)
	return f.failure != before
}
