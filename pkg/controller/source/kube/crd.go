package kube

import (
	"context"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/gateway-api/pkg/consts"

	"github.com/egctl/egctl/pkg/store"
)

// crdWatch notices that something happened to the CustomResourceDefinitions of a
// group. It reads their metadata only: the definitions are big.
type crdWatch struct {
	client   metadata.ResourceInterface
	happened func(group string)
	// bundle is told what the CRD of Gateways says of itself; nil: there is none.
	bundle  func(*store.Bundle)
	trouble func(error)

	mu sync.Mutex
	// names are the CRDs that exist, "plural.group"; nil while they cannot be
	// watched.
	names map[string]bool
	// tried says that CRDs are known, or cannot be watched.
	tried bool
}

// gatewayCRD speaks for all of the Gateway API: a release and channel are
// installed as a whole.
const gatewayCRD = "gateways.gateway.networking.k8s.io"

var _ cache.ReflectorStore = (*crdWatch)(nil)

func newCRDWatch(c *clients, happened func(group string)) (*crdWatch, error) {
	m, err := metadata.NewForConfigAndClient(c.config, c.http)
	if err != nil {
		return nil, err
	}
	return &crdWatch{
		client:   m.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}),
		happened: happened,
	}, nil
}

func (c *crdWatch) run(ctx context.Context) {
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return c.client.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return c.client.Watch(ctx, o)
		},
	}
	backoff := retry()
	r := cache.NewReflectorWithOptions(lw, nil, c, cache.ReflectorOptions{Name: "CustomResourceDefinition", TypeDescription: "CustomResourceDefinition", Backoff: &backoff})
	delay := retry().DelayFunc()
	for ctx.Err() == nil {
		began := time.Now()
		if err := r.ListAndWatchWithContext(ctx); err != nil && ctx.Err() == nil {
			c.mu.Lock()
			c.names, c.tried = nil, true
			c.mu.Unlock()
			c.trouble(err)
		}
		if time.Since(began) > time.Minute {
			delay = retry().DelayFunc()
		}
		select {
		case <-ctx.Done():
		case <-time.After(delay()):
		}
	}
}

// sighted says whether CRDs are being watched.
func (c *crdWatch) sighted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.names != nil
}

// settled says whether there is nothing to wait for.
func (c *crdWatch) settled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tried
}

// gone says that a CRD is known not to exist.
func (c *crdWatch) gone(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.names != nil && !c.names[name]
}

// exists says that a CRD is known to exist.
func (c *crdWatch) exists(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.names[name]
}

func (c *crdWatch) note(obj any, exists bool) {
	name := obj.(metav1.Object).GetName()
	c.mu.Lock()
	switch {
	case !exists:
		delete(c.names, name)
	case c.names != nil:
		c.names[name] = true
	}
	c.mu.Unlock()
	if name == gatewayCRD {
		c.bundle(bundleOf(obj, exists))
	}
	c.tell(name)
}

func bundleOf(obj any, exists bool) *store.Bundle {
	if !exists {
		return nil
	}
	a := obj.(metav1.Object).GetAnnotations()
	return &store.Bundle{Version: a[consts.BundleVersionAnnotation], Channel: a[consts.ChannelAnnotation]}
}

func (c *crdWatch) tell(name string) {
	if _, group, ok := strings.Cut(name, "."); ok {
		c.happened(group)
	}
}

// Add implements cache.ReflectorStore.
func (c *crdWatch) Add(obj any) error { c.note(obj, true); return nil }

// Update implements cache.ReflectorStore.
func (c *crdWatch) Update(obj any) error { c.note(obj, true); return nil }

// Delete implements cache.ReflectorStore.
func (c *crdWatch) Delete(obj any) error { c.note(obj, false); return nil }

// Replace implements cache.ReflectorStore. Something may have happened meanwhile
// to any group, also to one that has no CRD left.
func (c *crdWatch) Replace(objs []any, _ string) error {
	names := make(map[string]bool, len(objs))
	var bundle *store.Bundle
	for _, obj := range objs {
		name := obj.(metav1.Object).GetName()
		names[name] = true
		if name == gatewayCRD {
			bundle = bundleOf(obj, true)
		}
	}
	c.bundle(bundle)
	c.mu.Lock()
	before := c.names
	c.names, c.tried = names, true
	c.mu.Unlock()
	c.trouble(nil)
	for _, set := range []map[string]bool{before, names} {
		for name := range set {
			c.tell(name)
		}
	}
	return nil
}

// Resync implements cache.ReflectorStore.
func (c *crdWatch) Resync() error { return nil }
