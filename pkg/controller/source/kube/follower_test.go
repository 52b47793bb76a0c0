package kube_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/egctl/egctl/pkg/controller/source/kube"
	"github.com/egctl/egctl/pkg/store"
)

// follower runs a source and has what it says.
type follower struct {
	*kube.Source
	mu       sync.Mutex
	objects  map[store.Key]store.Object
	changes  []store.Change
	first    int // changes of the first emission
	observed int
	log      *buffer
	stop     func()
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func follow(t *testing.T, o kube.Options) *follower {
	t.Helper()
	f := &follower{objects: map[store.Key]store.Object{}, first: -1, log: &buffer{}}
	o.Logger = slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	o.Observe = func(changes []store.Change) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.observed += len(changes)
	}
	var err error
	if f.Source, err = kube.New(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- f.Run(ctx, func(changes []store.Change) {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.first < 0 {
				f.first = len(changes)
			}
			if f.observed != len(f.changes)+len(changes) {
				t.Errorf("%d changes observed before %d were emitted", f.observed, len(f.changes)+len(changes))
			}
			f.changes = append(f.changes, changes...)
			for _, ch := range changes {
				if ch.Object == nil {
					delete(f.objects, ch.Key)
				} else {
					f.objects[ch.Key] = ch.Object
				}
			}
		})
	}()
	f.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		f.stop()
		if t.Failed() {
			t.Logf("log:\n%s", f.log)
		}
	})
	return f
}

func (f *follower) sync(t *testing.T) {
	t.Helper()
	begin := time.Now()
	select {
	case <-f.Synced():
		t.Logf("synced after %v", time.Since(begin))
	case <-time.After(20 * time.Second):
		t.Fatalf("not synced, waits for %v", f.Waiting())
	}
}

func (f *follower) get(k store.Kind, namespace, name string) store.Object {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.objects[store.ID{Kind: k, Namespace: namespace, Name: name}.Key()]
}

func (f *follower) has(k store.Kind, namespace, name string) func() bool {
	return func() bool { return f.get(k, namespace, name) != nil }
}

func (f *follower) lacks(k store.Kind, namespace, name string) func() bool {
	return func() bool { return f.get(k, namespace, name) == nil }
}
