package kube

import (
	"testing"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"

	"github.com/egctl/egctl/pkg/store"
)

// TestSelectedNamespaces demands that objects come and go with the labels of
// their namespace, while namespaces themselves are all known.
func TestSelectedNamespaces(t *testing.T) {
	f := newOffline(t, Scope{Selector: labels.SelectorFromSet(labels.Set{"gateway": "yes"})})
	f.serve(map[store.Kind]resource{store.Service: v1[store.Service], store.Namespace: {"v1", "namespaces"}})
	yes := map[string]string{"gateway": "yes"}
	all := place{kind: store.Namespace}
	f.list(t, all, namespace("in", "1", yes), namespace("out", "1", nil))
	f.want(t)
	f.list(t, place{store.Service, "in"}, service("in", "one", "1"))
	f.want(t, "+/in +/out +in/one")

	f.list(t, all, namespace("in", "2", nil), namespace("out", "2", yes))
	f.want(t, "+/in +/out", "-in/one")
	f.list(t, place{store.Service, "out"}, service("out", "two", "1"))
	f.want(t, "+out/two")
}

// TestNamedNamespaces demands that a list of namespaces is watched one by one.
func TestNamedNamespaces(t *testing.T) {
	f := newOffline(t, Scope{Namespaces: []string{"a", "b"}})
	f.serve(map[store.Kind]resource{store.Service: v1[store.Service], store.GatewayClass: {"v1", "gatewayclasses"}})
	f.list(t, place{store.Service, "a"}, service("a", "one", "1"))
	f.list(t, place{store.Service, "b"}, service("b", "two", "1"))
	f.want(t)
	f.list(t, place{kind: store.GatewayClass})
	f.want(t, "+a/one +b/two")
	if _, err := New(Options{Config: &rest.Config{}, Scope: Scope{Namespaces: []string{"a"}, Selector: labels.Everything()}}); err == nil {
		t.Error("a list and a selector at once are not refused")
	}
}
