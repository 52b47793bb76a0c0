package pki

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

// How long a Secret that cannot be written waits for the next attempt: at first, and at
// most.
const (
	minRetry = 200 * time.Millisecond
	maxRetry = time.Minute
)

// leadership is what there is while this replica leads.
type leadership struct {
	queue workqueue.TypedRateLimitingInterface[types.NamespacedName]
	// follow watches the Secrets of a namespace, if that is not done already.
	follow func(namespace string)
	// seen are the resourceVersions that the watch will tell of, and that are known.
	seen map[types.NamespacedName]string
}

// Lead keeps all Secrets until ctx ends, and returns nil then. It is to run on one
// replica at a time; on two it does no harm. What fails is logged and tried again.
func (m *Manager) Lead(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](minRetry, maxRetry))
	var watches sync.WaitGroup
	defer watches.Wait()
	defer cancel()
	l := &leadership{queue: queue, seen: map[types.NamespacedName]string{}, follow: m.follower(ctx, &watches)}
	if err := m.begin(l); err != nil {
		return err
	}
	defer m.end()
	defer context.AfterFunc(ctx, queue.ShutDown)()

	l.follow(m.o.Namespace)
	queue.Add(m.ca)
	for _, key := range m.leaves() {
		l.follow(key.Namespace)
	}
	for {
		key, over := queue.Get()
		if over {
			return nil
		}
		err := m.keep(ctx, key)
		switch {
		case err == nil:
			queue.Forget(key)
		case ctx.Err() != nil:
		default:
			if !lost(err) {
				m.o.Logger.Error("certificate not kept; it is tried again", "secret", key, "error", err)
			}
			queue.AddRateLimited(key)
		}
		queue.Done(key)
	}
}

func (m *Manager) begin(l *leadership) error {
	m.work.Lock()
	defer m.work.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lead != nil {
		return errors.New("certificates: this replica leads already")
	}
	m.lead = l
	// What was known may be what another leader has changed since; and when it told
	// whom of a new CA is not known at all.
	m.authority, m.settled = nil, m.o.Now()
	for _, e := range m.entries {
		e.bundle, e.current = nil, false
	}
	return nil
}

func (m *Manager) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lead = nil
}

// follower returns the function that watches namespaces until ctx ends.
func (m *Manager) follower(ctx context.Context, all *sync.WaitGroup) func(string) {
	var mu sync.Mutex
	following := map[string]struct{}{}
	return func(namespace string) {
		mu.Lock()
		defer mu.Unlock()
		if _, ok := following[namespace]; ok || ctx.Err() != nil {
			return
		}
		following[namespace] = struct{}{}
		_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
			ListerWatcher: m.secrets(namespace, func(o *metav1.ListOptions) { o.LabelSelector = LabelKey + "=" + LabelValue }),
			ObjectType:    &corev1.Secret{},
			Handler: cache.ResourceEventHandlerFuncs{
				AddFunc:    m.touched,
				UpdateFunc: func(_, o any) { m.touched(o) },
				DeleteFunc: m.touched,
			},
			// Only that something has changed is of interest.
			Transform: func(o any) (any, error) {
				if s, ok := o.(*corev1.Secret); ok {
					return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name, ResourceVersion: s.ResourceVersion}}, nil
				}
				return o, nil
			},
		})
		all.Go(func() { informer.RunWithContext(ctx) })
	}
}

// touched hears that a Secret is there, has changed or is gone.
func (m *Manager) touched(o any) {
	gone, deleted := o.(cache.DeletedFinalStateUnknown)
	if deleted {
		o = gone.Obj
	}
	s, ok := o.(*corev1.Secret)
	if !ok {
		return
	}
	key := types.NamespacedName{Namespace: s.Namespace, Name: s.Name}
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entries[key]
	if m.lead == nil || e == nil && key != m.ca {
		return
	}
	// A deletion has the version of the last write only if the watch was interrupted.
	if m.lead.seen[key] == s.ResourceVersion && !deleted {
		return
	}
	if e != nil {
		e.current = false
	}
	m.lead.queue.Add(key)
}

// secrets lists and watches Secrets of a namespace.
func (m *Manager) secrets(namespace string, narrow func(*metav1.ListOptions)) cache.ListerWatcher {
	client := m.o.Client.CoreV1().Secrets(namespace)
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			narrow(&o)
			list, err := client.List(ctx, o)
			if err != nil {
				return nil, fmt.Errorf("list Secrets of %s: %w", namespace, err)
			}
			return list, nil
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			narrow(&o)
			return client.Watch(ctx, o)
		},
	}, m.o.Client)
}
