package kube

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/egctl/egctl/pkg/store"
)

// retry is how long to wait after a failure. It is more eager than client-go's
// own: a gateway that does not know of its new routes is worth a request.
func retry() wait.Backoff {
	return wait.Backoff{Duration: 250 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 10, Cap: 5 * time.Second}
}

// What may not be listed counts as empty after this time, where it may count as
// that at all (see [watcher.failed]): missing is of a kind that is not served,
// denied of a namespace that the role does not reach. An API server that just
// started, or a role that is being replaced, takes a moment.
const (
	missing = 3 * time.Second
	denied  = 15 * time.Second
)

// watcher follows the objects of one place by a client-go reflector, whose store
// it is. All of it is guarded by the source's mutex.
type watcher struct {
	source   *Source
	place    place
	resource resource
	ctx      context.Context
	cancel   context.CancelFunc

	client rest.Interface
	// known are the resource versions of the objects that were handed on.
	known map[store.Key]string
	// unread are those of objects that could not be read.
	unread map[store.Key]string
	// synced says that what existed was listed, or counts as empty; listed, that it
	// was listed.
	synced, listed bool
	// deniedSince is when listing began to fail for good.
	deniedSince time.Time
}

var _ cache.ReflectorStore = (*watcher)(nil)

func (w *watcher) run() {
	info, _ := store.Info(w.place.kind)
	client, err := w.source.clients.client(info.Group, w.resource.version)
	if err != nil { // the configuration was good for other groups
		w.failed(err)
		return
	}
	w.client = client
	backoff := retry()
	r := cache.NewReflectorWithOptions(w.listWatch(), nil, w, cache.ReflectorOptions{
		Logger: &w.source.logger, Name: w.place.String(), TypeDescription: w.place.String(), Backoff: &backoff,
	})
	delay := retry().DelayFunc()
	for w.ctx.Err() == nil {
		began := time.Now()
		if err := r.ListAndWatchWithContext(w.ctx); err != nil && w.ctx.Err() == nil {
			w.failed(err)
		}
		if time.Since(began) > time.Minute {
			delay = retry().DelayFunc()
		}
		select {
		case <-w.ctx.Done():
		case <-time.After(delay()):
		}
	}
}

// deletions take back everything that was handed on.
func (w *watcher) deletions() []store.Change {
	changes := make([]store.Change, 0, len(w.known))
	for k := range w.known {
		changes = append(changes, store.Delete(k))
		w.event(Deleted)
	}
	return changes
}

func (w *watcher) event(e Event) {
	if f := w.source.o.OnEvent; f != nil {
		f(w.place.kind, e)
	}
}

// do runs f unless the watcher was stopped: what comes late must not undo that.
func (w *watcher) do(f func() []store.Change) error {
	w.source.mu.Lock()
	defer w.source.mu.Unlock()
	if w.ctx.Err() == nil {
		w.source.pass(f())
	}
	return nil
}

// put returns the change that an object is; none if it is known.
func (w *watcher) put(o store.Object) []store.Change {
	k := w.key(o)
	if _, bad := o.(*unreadable); bad {
		w.unread[k] = o.GetResourceVersion()
		return nil
	}
	delete(w.unread, k)
	before, ok := w.known[k]
	if ok && before == o.GetResourceVersion() {
		return nil
	}
	w.known[k] = o.GetResourceVersion()
	if ok {
		w.event(Updated)
	} else {
		w.event(Added)
	}
	return []store.Change{{Key: k, Object: o}}
}

func (w *watcher) drop(k store.Key) []store.Change {
	delete(w.unread, k)
	if _, ok := w.known[k]; !ok {
		return nil
	}
	delete(w.known, k)
	w.event(Deleted)
	return []store.Change{store.Delete(k)}
}

func (w *watcher) key(o store.Object) store.Key {
	return store.ID{Kind: w.place.kind, Namespace: o.GetNamespace(), Name: o.GetName()}.Key()
}

// Add implements cache.ReflectorStore.
func (w *watcher) Add(obj any) error {
	return w.do(func() []store.Change { return w.put(obj.(store.Object)) })
}

// Update implements cache.ReflectorStore.
func (w *watcher) Update(obj any) error { return w.Add(obj) }

// Delete implements cache.ReflectorStore.
func (w *watcher) Delete(obj any) error {
	return w.do(func() []store.Change { return w.drop(w.key(obj.(store.Object))) })
}

// Replace implements cache.ReflectorStore: objs are all that exist.
func (w *watcher) Replace(objs []any, _ string) error {
	return w.do(func() []store.Change {
		var changes []store.Change
		exist := make(map[store.Key]bool, len(objs))
		for _, obj := range objs {
			o := obj.(store.Object)
			exist[w.key(o)] = true
			changes = append(changes, w.put(o)...)
		}
		for k := range w.known {
			if !exist[k] {
				changes = append(changes, w.drop(k)...)
			}
		}
		w.deniedSince, w.listed = time.Time{}, true
		w.source.troubles.over(w.place.String())
		w.settle()
		return changes
	})
}

// Resync implements cache.ReflectorStore.
func (w *watcher) Resync() error { return nil }

func (w *watcher) settle() {
	if !w.synced {
		w.synced = true
		w.source.poke()
	}
}

// failed says what is wrong, and settles for nothing where waiting is of no use and
// does no harm.
//
// What is forbidden everywhere is waited for, whatever kind it is: taken for empty,
// Secrets or ListenerSets would take listeners from proxies that run, because of
// what may be a moment between two roles. The chart grants all of it, and a replica
// that is not ready costs nothing while the one before it serves. One namespace of
// several is not to stop all others; it counts as empty once the API server has
// confirmed that it is the role that forbids it.
func (w *watcher) failed(err error) {
	s := w.source
	absent, forbidden := apierrors.IsNotFound(err), apierrors.IsForbidden(err)
	confirmed := false
	if forbidden && w.place.namespace != "" && w.deniedFor(denied) {
		confirmed = s.forbids(w.ctx, w.place, w.resource)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.ctx.Err() != nil {
		return
	}
	if absent {
		s.discovery.look(w.place.kind.Group)
	}
	if !absent && !forbidden {
		s.trouble(w.place.String(), "cannot watch "+w.place.String(), err, "")
		return
	}
	if w.deniedSince.IsZero() {
		w.deniedSince = time.Now()
	}
	if absent {
		if time.Since(w.deniedSince) >= missing && !w.essential() {
			w.settle()
		}
		return
	}
	if time.Since(w.deniedSince) < missing {
		return
	}
	role, consequence := "ClusterRole", "; nothing new is served before it is"
	if w.place.namespace != "" {
		role = "Role"
	}
	switch {
	case w.synced && w.listed:
		consequence = "; what was known stays in force"
	case w.synced, confirmed:
		consequence = ", which counts as having none: what is configured there, or refers to it, is not served"
	}
	s.troubles.report(w.place.String(), "not permitted to list and watch "+w.place.String()+consequence, err,
		fmt.Sprintf("allow get, list and watch of %s in the %s of the controller", schema.GroupResource{Group: w.place.kind.Group, Resource: w.resource.plural}, role))
	if confirmed {
		w.settle()
	}
}

// deniedFor says whether listing has failed for good for some time, and is waited for.
func (w *watcher) deniedFor(d time.Duration) bool {
	w.source.mu.Lock()
	defer w.source.mu.Unlock()
	return !w.synced && !w.deniedSince.IsZero() && time.Since(w.deniedSince) >= d
}

// essential says that the objects of the place decide what runs at all, and how:
// to take them for none would have running proxies changed or removed.
func (w *watcher) essential() bool { return w.place.namespace == "" && w.source.decisive(w.place.kind) }

// listWatch makes requests for the reflector, and its objects what the store
// expects.
func (w *watcher) listWatch() *cache.ListWatch {
	request := func(o *metav1.ListOptions) *rest.Request {
		o.FieldSelector = fieldSelectors[w.place.kind]
		r := w.client.Get().Resource(w.resource.plural).VersionedParams(o, w.source.clients.parameters)
		if w.place.namespace != "" {
			r = r.Namespace(w.place.namespace)
		}
		if o.TimeoutSeconds != nil {
			r = r.Timeout(time.Duration(*o.TimeoutSeconds) * time.Second)
		}
		return r
	}
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			list, err := request(&o).Do(ctx).Get()
			if err != nil {
				w.note(err)
				return nil, err
			}
			return w.readList(list)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.Watch = true
			events, err := request(&o).Watch(ctx)
			if err != nil {
				w.note(err)
				return nil, err
			}
			w.source.reached()
			return watch.Filter(events, func(e watch.Event) (watch.Event, bool) {
				if e.Type == watch.Error {
					return e, true
				}
				o, ok := w.read(e.Object)
				if ok && e.Type != watch.Bookmark { // whose annotations are for the reflector
					trim(w.place.kind, o)
				}
				e.Object = o
				return e, ok
			}), nil
		},
	}
}

// note reports what the reflector retries without a word: that the server cannot
// be reached.
func (w *watcher) note(err error) {
	if answer := apierrors.APIStatus(nil); errors.As(err, &answer) || w.ctx.Err() != nil {
		return
	}
	w.source.mu.Lock()
	defer w.source.mu.Unlock()
	w.source.troubles.unreachable(err)
}
