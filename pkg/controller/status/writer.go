// Package status writes the statuses that the translator reports into the objects
// of a cluster, and tells of errors in Events.
//
// A [Writer] knows two things of each object: what it should say (the report) and
// what it says (the live object). Where the two differ, it sends a patch of just
// the difference. Every replica keeps track of both; only the one that leads
// writes, so that a new leader writes what really differs and nothing else.
package status

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/controller"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

// Options configure a Writer.
type Options struct {
	Config *rest.Config
	// ControllerName marks the entries that are ours.
	ControllerName string
	// Resource says under which resource the API server serves a kind.
	Resource func(store.Kind) (schema.GroupVersionResource, bool)
	// Workers is how many requests are under way at once; 0: four.
	Workers int
	// OnWrite hears of each request and how it ended, for metrics. A conflict says
	// that the object was changed meanwhile; the newer one is awaited.
	OnWrite func(kind store.Kind, took time.Duration, err error)
	Logger  *slog.Logger
}

const (
	// burst is the pause between two writes of the same object. The first comes at
	// once.
	burst = 50 * time.Millisecond
	// patience is how long a newer version of an object is awaited after a conflict.
	patience = 30 * time.Second
	// Failed writes are tried again after minRetry, and later less often.
	minRetry, maxRetry = 200 * time.Millisecond, time.Minute
)

// Writer is a controller.Reporter.
type Writer struct {
	o      Options
	client *client
	events *events

	mu      sync.Mutex
	objects map[store.Key]*object
	// gateways counts the Gateways of a class.
	gateways map[string]int
	// queue is nil while another replica leads.
	queue workqueue.TypedRateLimitingInterface[store.Key]
}

var _ controller.Reporter = (*Writer)(nil)

// object is what is known of one.
type object struct {
	live   store.Object // nil: it does not exist
	report translate.Report
	// reported says that there is a report, if only to say that the object is not
	// ours.
	reported bool
	// last is when it was last written, wrote the version that this made, and for
	// the status that it was made for.
	last  time.Time
	wrote string
	since any
	// refused is the version that a patch did not apply to any more.
	refused   string
	refusedAt time.Time
}

// NewWriter returns a writer that keeps track and does not lead.
func NewWriter(o Options) (*Writer, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Workers <= 0 {
		o.Workers = 4
	}
	c, err := newClient(o.Config, o.Resource)
	if err != nil {
		return nil, fmt.Errorf("reach the API server: %w", err)
	}
	w := &Writer{o: o, client: c, objects: map[store.Key]*object{}, gateways: map[string]int{}}
	w.events = &events{writer: w, told: map[store.Key]map[string]bool{}}
	return w, nil
}

// Observe takes note of live objects; give it all changes before the translator
// sees them.
func (w *Writer) Observe(changes []store.Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, ch := range changes {
		if ch.Object != nil && liveStatus(ch.Object) == nil {
			continue
		}
		ob := w.objects[ch.Key]
		if ob == nil {
			if ch.Object == nil {
				continue
			}
			ob = &object{}
			w.objects[ch.Key] = ob
		}
		w.count(ob.live, -1)
		w.count(ch.Object, +1)
		ob.live = ch.Object
		if ch.Object == nil && ob.nothing() {
			delete(w.objects, ch.Key)
		}
		w.enqueue(ch.Key)
	}
}

// count keeps track of how many Gateways a class has.
func (w *Writer) count(o store.Object, by int) {
	g, ok := o.(*gateway.Gateway)
	if !ok {
		return
	}
	class := string(g.Spec.GatewayClassName)
	w.gateways[class] += by
	if n := w.gateways[class]; n == 0 || n == 1 && by > 0 {
		w.enqueue(store.ID{Kind: store.GatewayClass, Name: class}.Key())
	}
	if w.gateways[class] == 0 {
		delete(w.gateways, class)
	}
}

// Report implements controller.Reporter.
func (w *Writer) Report(reports map[store.Key]translate.Report) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for k, r := range reports {
		ob := w.objects[k]
		if ob == nil {
			ob = &object{}
			w.objects[k] = ob
		}
		ob.report, ob.reported = r, true
		if ob.live == nil && ob.nothing() {
			delete(w.objects, k)
		}
		w.enqueue(k)
		w.events.consider(k, r)
	}
}

// nothing says that there is nothing to report. Of an object that is gone, that
// is all there is to know.
func (ob *object) nothing() bool { return ob.report.Status == nil && len(ob.report.Findings) == 0 }

// enqueue has an object looked at: at once after quiet, a little later in a burst.
func (w *Writer) enqueue(k store.Key) {
	ob := w.objects[k]
	if w.queue == nil || ob == nil {
		return
	}
	if pause := burst - time.Since(ob.last); pause > 0 {
		w.queue.AddAfter(k, pause)
	} else {
		w.queue.Add(k)
	}
}

// Pending is how many objects wait to be looked at; 0 while another replica leads.
func (w *Writer) Pending() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queue == nil {
		return 0
	}
	return w.queue.Len()
}

// Lead writes until ctx ends. Before and after, changes are only kept track of.
func (w *Writer) Lead(ctx context.Context) error {
	q := workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[store.Key](minRetry, maxRetry))
	w.mu.Lock()
	if w.queue != nil {
		w.mu.Unlock()
		return errors.New("status writer leads already")
	}
	w.queue = q
	w.events.begin()
	for k, ob := range w.objects {
		// What another leader wrote since is in the live objects.
		ob.wrote, ob.since, ob.refused = "", nil, ""
		w.enqueue(k)
		w.events.consider(k, ob.report)
	}
	w.mu.Unlock()

	var workers sync.WaitGroup
	for range w.o.Workers {
		workers.Go(func() {
			for {
				k, quit := q.Get()
				if quit {
					return
				}
				w.work(ctx, q, k)
				q.Done(k)
			}
		})
	}
	workers.Go(func() { w.events.run(ctx) })
	<-ctx.Done()
	w.mu.Lock()
	w.queue = nil
	w.events.end()
	w.mu.Unlock()
	q.ShutDown()
	workers.Wait()
	return nil
}

// work brings one object up to date.
func (w *Writer) work(ctx context.Context, q workqueue.TypedRateLimitingInterface[store.Key], k store.Key) {
	if ctx.Err() != nil {
		return
	}
	w.mu.Lock()
	ob := w.objects[k]
	if ob == nil || ob.live == nil || !ob.reported || w.outdated(q, k, ob) {
		w.mu.Unlock()
		return
	}
	live, desired := ob.live, ob.report.Status
	inUse := w.gateways[k.Name] > 0
	// What the server made of this very report is what it is, whatever we think of
	// it: an older CRD may lack a field. And a report on another version of the spec
	// is about to be replaced.
	done := ob.wrote == live.GetResourceVersion() && ob.since == desired
	if generation, ok := observed(desired); ok && generation != live.GetGeneration() {
		done = true
	}
	w.mu.Unlock()

	var p *patch
	var err error
	var note string
	subresource := "status"
	if !done {
		p, note, err = statusPatch(live, desired, w.o.ControllerName, time.Now())
	}
	if p == nil && err == nil {
		subresource = ""
		p, err = finalizerPatch(live, w.o.ControllerName, inUse)
	}
	if err != nil {
		w.o.Logger.Error("cannot compute a status", "object", k.String(), "error", err)
		return
	}
	if p == nil {
		q.Forget(k)
		return
	}
	if note != "" {
		w.o.Logger.Warn("a status does not fit", "object", k.String(), "note", note)
	}
	begin := time.Now()
	version, err := w.client.send(ctx, live, k, subresource, p)
	if ctx.Err() != nil {
		return
	}
	if w.o.OnWrite != nil {
		w.o.OnWrite(k.Kind, time.Since(begin), err)
	}
	w.mu.Lock()
	ob.last = time.Now()
	conflict := apierrors.IsConflict(err)
	switch {
	case err == nil:
		ob.wrote, ob.since = version, desired
	case conflict:
		ob.refused, ob.refusedAt = live.GetResourceVersion(), ob.last
	}
	w.mu.Unlock()
	switch {
	case err == nil:
		w.o.Logger.Debug("wrote", "object", k.String(), "subresource", subresource, "patch", string(p.body))
		q.Forget(k)
	case conflict:
		w.o.Logger.Debug("an object was changed while its status was written", "object", k.String())
		q.AddAfter(k, patience)
	case apierrors.IsNotFound(err): // which will be seen
		q.Forget(k)
	default:
		w.o.Logger.Warn("cannot write a status", "object", k.String(), "error", err, "remedy", remedy(err, k))
		q.AddRateLimited(k)
	}
}

// outdated says that an object must not be written now: what is known of it is not
// the newest, and the newest is on its way. w.mu is held.
func (w *Writer) outdated(q workqueue.TypedRateLimitingInterface[store.Key], k store.Key, ob *object) bool {
	version := ob.live.GetResourceVersion()
	if c, err := resourceversion.CompareResourceVersion(version, ob.wrote); ob.wrote != "" && err == nil && c < 0 {
		return true
	}
	if version == ob.refused {
		if pause := patience - time.Since(ob.refusedAt); pause > 0 {
			q.AddAfter(k, pause)
			return true
		}
	}
	return false
}

func remedy(err error, k store.Key) string {
	if apierrors.IsForbidden(err) {
		return fmt.Sprintf("allow patch of the status of %s in the ClusterRole of the controller", k.Kind)
	}
	return "it is tried again"
}
