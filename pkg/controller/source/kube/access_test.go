package kube

import (
	"context"
	"slices"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/store"
)

var gateways = place{kind: store.Gateway}

// TestDenied demands that a kind that may not be read anywhere is waited for, and
// that one namespace of several stops the others only until it is certain that our
// role does not reach it.
func TestDenied(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{}, "", nil)
	kinds := map[store.Kind]resource{store.Service: v1[store.Service], store.Gateway: {"v1", "gateways"}}
	deny := func(f *offline, p place, since time.Duration, err error) {
		f.mu.Lock()
		w := f.watchers[p]
		w.deniedSince = time.Now().Add(-since)
		f.mu.Unlock()
		w.failed(err)
		f.reconcile(f.ctx)
	}
	waits := func(f *offline, want ...string) {
		t.Helper()
		if got := f.Waiting(); !slices.Equal(got, want) {
			t.Errorf("waits for %q, want %q", got, want)
		}
	}
	f := newOffline(t, Scope{})
	f.serve(kinds)
	f.forbids = func(context.Context, place, resource) bool { return true }
	deny(f, services, time.Hour, forbidden)
	deny(f, gateways, time.Hour, forbidden)
	f.want(t)
	waits(f, "Gateway.gateway.networking.k8s.io", "Service")
	f.list(t, gateways)
	waits(f, "Service")
	f.list(t, services)
	waits(f)

	// What is not served at all is not there.
	f = newOffline(t, Scope{})
	f.serve(kinds)
	notFound := apierrors.NewNotFound(schema.GroupResource{}, "")
	deny(f, services, missing, notFound)
	deny(f, gateways, missing, notFound)
	waits(f, "Gateway.gateway.networking.k8s.io")

	// One of several namespaces does not stop the others, but is remembered.
	f = newOffline(t, Scope{Namespaces: []string{"a", "b"}})
	f.serve(kinds)
	for _, ns := range []string{"a", "b"} {
		f.list(t, place{store.Service, ns})
	}
	f.list(t, place{store.Gateway, "a"})
	certain := false
	f.forbids = func(_ context.Context, p place, r resource) bool {
		if p.namespace != "b" || r.plural != "gateways" {
			t.Errorf("asked about %s, %v", p, r)
		}
		return certain
	}
	const inB = "Gateway.gateway.networking.k8s.io in namespace b"
	deny(f, place{store.Gateway, "b"}, denied, forbidden)
	waits(f, inB)
	certain = true
	deny(f, place{store.Gateway, "b"}, missing, forbidden)
	waits(f, inB)
	deny(f, place{store.Gateway, "b"}, denied, forbidden)
	if got := f.Unlisted(); len(f.emitted) != 1 || !slices.Equal(got, []string{inB}) {
		t.Errorf("after %q was emitted %q is not listed", f.emitted, got)
	}
}

// TestLags demands that a watch that lags behind a live read is told from one that
// does not.
func TestLags(t *testing.T) {
	f := newOffline(t, Scope{})
	f.serve(map[store.Kind]resource{store.Gateway: {"v1", "gateways"}})
	item := func(name, version string) metav1.PartialObjectMetadata {
		return metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name, ResourceVersion: version}}
	}
	live := []metav1.PartialObjectMetadata{item("new", "20"), item("old", "10")}
	for _, c := range []struct {
		name string
		seen []any
		want bool
	}{
		{"one is missing", []any{gatewayOf("a", "old", "10")}, true},
		{"one is older", []any{gatewayOf("a", "old", "10"), gatewayOf("a", "new", "9")}, true},
		{"all are seen, and one that is gone", []any{gatewayOf("a", "old", "11"), gatewayOf("a", "new", "20"), gatewayOf("a", "gone", "5")}, false},
	} {
		f.list(t, gateways, c.seen...)
		if got := f.watchers[gateways].lags(live); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func gatewayOf(namespace, name, version string) *gateway.Gateway {
	g := &gateway.Gateway{}
	g.Namespace, g.Name, g.ResourceVersion = namespace, name, version
	return g
}

func TestOlder(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{{"9", "10", true}, {"10", "9", false}, {"7", "7", false}, {"x", "x", false}, {"x", "y", true}} {
		if got := older(c.a, c.b); got != c.want {
			t.Errorf("%q is older than %q: %v", c.a, c.b, got)
		}
	}
}
