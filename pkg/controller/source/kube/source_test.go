package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/store"
)

// offline is a source that is told by the test what a server would say.
type offline struct {
	*Source
	ctx     context.Context
	emitted []string
}

func newOffline(t *testing.T, scope Scope) *offline {
	t.Helper()
	f := &offline{ctx: t.Context()}
	var err error
	f.Source, err = New(Options{Config: &rest.Config{Host: "http://127.0.0.1:1"}, Scope: scope})
	if err != nil {
		t.Fatal(err)
	}
	f.discovery.crds.tried = true // nothing to wait for, unless a test says so
	f.emit = func(changes []store.Change) {
		var words []string
		for _, ch := range changes {
			verb := "+"
			if ch.Object == nil {
				verb = "-"
			}
			words = append(words, verb+ch.Key.Namespace+"/"+ch.Key.Name)
		}
		slices.Sort(words)
		f.emitted = append(f.emitted, strings.Join(words, " "))
	}
	return f
}

// serve has every group looked at; kinds that are not named do not exist.
func (f *offline) serve(kinds map[store.Kind]resource) {
	for g := range f.discovery.pokes {
		f.discovery.take(g, kinds)
	}
	f.reconcile(f.ctx)
}

func (f *offline) list(t *testing.T, p place, objs ...any) {
	t.Helper()
	f.mu.Lock()
	w := f.watchers[p]
	f.mu.Unlock()
	if w == nil {
		t.Fatalf("%s is not watched", p)
	}
	if err := w.Replace(objs, "1"); err != nil {
		t.Fatal(err)
	}
	f.reconcile(f.ctx)
}

func (f *offline) want(t *testing.T, emitted ...string) {
	t.Helper()
	if !slices.Equal(f.emitted, emitted) {
		t.Errorf("emitted %q, want %q", f.emitted, emitted)
	}
	f.emitted = nil
}

func service(namespace, name, version string) *core.Service {
	s := &core.Service{}
	s.Namespace, s.Name, s.ResourceVersion = namespace, name, version
	return s
}

func namespace(name, version string, set map[string]string) *core.Namespace {
	n := &core.Namespace{}
	n.Name, n.ResourceVersion, n.Labels = name, version, set
	return n
}

var (
	services = place{kind: store.Service}
	routes   = place{kind: store.HTTPRoute}
	v1       = map[store.Kind]resource{store.Service: {"v1", "services"}, store.HTTPRoute: {"v1", "httproutes"}}
)

// TestFirstEmissionIsWhole demands that nothing is handed on before everything is
// known, and that it then comes in one piece.
func TestFirstEmissionIsWhole(t *testing.T) {
	f := newOffline(t, Scope{})
	f.discovery.take("", v1)
	f.reconcile(f.ctx)
	f.list(t, services, service("a", "one", "1"))
	f.want(t)
	f.serve(v1)
	if got := f.Waiting(); !slices.Equal(got, []string{"HTTPRoute.gateway.networking.k8s.io"}) {
		t.Errorf("waits for %q", got)
	}
	f.list(t, routes)
	f.want(t, "+a/one")
	select {
	case <-f.Synced():
	default:
		t.Error("not synced after the first emission")
	}
}

// TestRelistsAreDifferences demands that listing again, as after the API server
// was away, says what changed and nothing else.
func TestRelistsAreDifferences(t *testing.T) {
	f := newOffline(t, Scope{})
	f.serve(map[store.Kind]resource{store.Service: v1[store.Service]})
	f.list(t, services, service("a", "stays", "1"), service("a", "changes", "1"), service("a", "goes", "1"))
	f.want(t, "+a/changes +a/goes +a/stays")
	f.list(t, services, service("a", "stays", "1"), service("a", "changes", "2"), service("a", "comes", "1"))
	f.want(t, "+a/changes +a/comes -a/goes")
	f.list(t, services, service("a", "stays", "1"), service("a", "changes", "2"), service("a", "comes", "1"))
	f.want(t)
}

// TestKindsComeAndGo demands that the objects of a kind go with it, that one look
// that misses it is not believed, and that another version is no change.
func TestKindsComeAndGo(t *testing.T) {
	f := newOffline(t, Scope{})
	f.serve(v1)
	f.list(t, services)
	route := &gateway.HTTPRoute{}
	route.Namespace, route.Name, route.ResourceVersion = "a", "web", "1"
	f.list(t, routes, route)
	f.want(t, "+a/web")

	f.serve(map[store.Kind]resource{store.Service: v1[store.Service], store.HTTPRoute: {"v1beta1", "httproutes"}})
	f.list(t, routes, route)
	f.want(t)
	if r, _ := f.Resource(store.HTTPRoute); r.Version != "v1beta1" {
		t.Errorf("served as %v", r)
	}

	without := map[store.Kind]resource{store.Service: v1[store.Service]}
	for range patience - 1 {
		f.serve(without)
		f.want(t)
	}
	f.serve(without)
	f.want(t, "-a/web")
	f.serve(v1)
	f.list(t, routes, route)
	f.want(t, "+a/web")
}

// TestKindsStayWithTheirDefinition demands that a kind whose CRD exists is not taken
// for gone while the API server does not serve it: its objects are still there.
func TestKindsStayWithTheirDefinition(t *testing.T) {
	f := newOffline(t, Scope{})
	f.serve(v1)
	f.list(t, services)
	route := &gateway.HTTPRoute{}
	route.Namespace, route.Name, route.ResourceVersion = "a", "web", "1"
	f.list(t, routes, route)
	f.want(t, "+a/web")
	f.discovery.crds.names = map[string]bool{"httproutes.gateway.networking.k8s.io": true}
	without := map[store.Kind]resource{store.Service: v1[store.Service]}
	for range 3 * patience {
		f.serve(without)
		f.want(t)
	}
	f.discovery.crds.names = map[string]bool{}
	f.serve(without)
	f.want(t, "-a/web")
}

// TestUnreadableObject demands that an object that does not fit its Go type costs
// nobody else anything, and stays as it was.
func TestUnreadableObject(t *testing.T) {
	f := newOffline(t, Scope{})
	f.serve(v1)
	f.list(t, services)
	w := f.watchers[routes]
	item := func(name, version, hostnames string) raw {
		return raw{data: fmt.Appendf(nil, `{"apiVersion":"gateway.networking.k8s.io/v1","kind":"HTTPRoute","metadata":{"namespace":"a","name":%q,"resourceVersion":%q},"spec":{"hostnames":%s}}`, name, version, hostnames)}
	}
	read := func(items ...raw) []any {
		l, err := w.readList(&rawList{Items: items})
		if err != nil {
			t.Fatal(err)
		}
		var objs []any
		for _, o := range l.(*objectList).Items {
			objs = append(objs, o)
		}
		return objs
	}
	f.list(t, routes, read(item("good", "1", `["a.example"]`), item("bad", "1", `["b.example"]`))...)
	f.want(t, "+a/bad +a/good")
	f.list(t, routes, read(item("good", "2", `["c.example"]`), item("bad", "2", `{"some":"day"}`))...)
	f.want(t, "+a/good")
	f.list(t, routes, read(item("good", "2", `["c.example"]`))...)
	f.want(t, "-a/bad")
}
