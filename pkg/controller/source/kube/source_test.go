package kube

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/gateway-api/pkg/consts"

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
	return newOfflineAt(t, scope, "http://127.0.0.1:1")
}

func newOfflineAt(t *testing.T, scope Scope, host string) *offline {
	t.Helper()
	f := &offline{ctx: t.Context()}
	var err error
	f.Source, err = New(Options{Config: &rest.Config{Host: host}, Scope: scope})
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

// TestDenied demands that a kind that may not be read anywhere is waited for, and
// that one namespace of several stops the others only until it is certain that our
// role does not reach it.
func TestDenied(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{}, "", nil)
	gateways := place{kind: store.Gateway}
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

// TestCaughtUp demands that a watch that lags behind a live read is told from one
// that does not.
func TestCaughtUp(t *testing.T) {
	live := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/apis/gateway.networking.k8s.io/v1/gateways" || !strings.Contains(r.Header.Get("Accept"), "PartialObjectMetadataList") {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"metadata":{"resourceVersion":"30"},"items":[{"metadata":{"namespace":"a","name":"new","resourceVersion":"20"}},{"metadata":{"namespace":"a","name":"old","resourceVersion":"10"}}]}`)
	}))
	defer live.Close()
	gw := func(name, version string) *gateway.Gateway {
		g := &gateway.Gateway{}
		g.Namespace, g.Name, g.ResourceVersion = "a", name, version
		return g
	}
	f := newOfflineAt(t, Scope{}, live.URL)
	f.serve(map[store.Kind]resource{store.Gateway: {"v1", "gateways"}})
	gateways := place{kind: store.Gateway}
	for _, c := range []struct {
		name string
		seen []any
		want bool
	}{
		{"one is missing", []any{gw("old", "10")}, false},
		{"one is older", []any{gw("old", "10"), gw("new", "9")}, false},
		{"all are seen, and one that is gone", []any{gw("old", "11"), gw("new", "20"), gw("gone", "5")}, true},
	} {
		f.list(t, gateways, c.seen...)
		if got := f.caughtUp(t.Context()); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	f.list(t, gateways)
	if err := f.CaughtUp(ctx); err == nil {
		t.Error("it is not waited for what a watch has not shown")
	}
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

// TestTrim demands that what the translator reads is kept, and the rest not.
func TestTrim(t *testing.T) {
	secret := &core.Secret{Data: map[string][]byte{"tls.crt": {1}, "tls.key": {2}, "ca.crt": {3}, "password": {4}}}
	secret.Annotations = map[string]string{core.LastAppliedConfigAnnotation: "{}"}
	trim(store.Secret, secret)
	if len(secret.Data) != 3 || secret.Data["password"] != nil || secret.Annotations != nil {
		t.Errorf("kept %v", secret)
	}
	config := &core.ConfigMap{Data: map[string]string{"ca.crt": "pem", "index.html": "big"}}
	trim(store.ConfigMap, config)
	if len(config.Data) != 1 || config.Data["ca.crt"] != "pem" {
		t.Errorf("kept %v", config.Data)
	}
	slice := &discoveryv1.EndpointSlice{Endpoints: []discoveryv1.Endpoint{{
		Addresses: []string{"10.0.0.1"}, Zone: ptr.To("z"), NodeName: ptr.To("n"), TargetRef: &core.ObjectReference{Name: "pod"},
		Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(false), Serving: ptr.To(true)},
	}}}
	slice.Labels = map[string]string{discoveryv1.LabelServiceName: "web"}
	trim(store.EndpointSlice, slice)
	e := slice.Endpoints[0]
	if e.TargetRef != nil || e.NodeName != nil || *e.Zone != "z" || e.Addresses[0] != "10.0.0.1" ||
		*e.Conditions.Ready || !*e.Conditions.Serving || e.Conditions.Terminating != nil || slice.Labels[discoveryv1.LabelServiceName] != "web" {
		t.Errorf("kept %v", slice)
	}
	route := &gateway.HTTPRoute{}
	route.Annotations = map[string]string{core.LastAppliedConfigAnnotation: "{}", "mine": "yes"}
	route.Status.Parents = []gateway.RouteParentStatus{{}}
	trim(store.HTTPRoute, route)
	if len(route.Annotations) != 1 || len(route.Status.Parents) != 1 {
		t.Errorf("kept %v", route)
	}
}

var _ runtime.Object = (*unreadable)(nil)

// TestBundle has the first emission wait for the CRDs, so that no GatewayClass
// claims what they lack, and follow their release.
func TestBundle(t *testing.T) {
	f := newOffline(t, Scope{})
	crds := f.discovery.crds
	crds.tried = false
	crd := func(version string) *metav1.PartialObjectMetadata {
		m := &metav1.PartialObjectMetadata{}
		m.Name, m.Annotations = gatewayCRD, map[string]string{consts.BundleVersionAnnotation: version, consts.ChannelAnnotation: "standard"}
		return m
	}
	var seen []store.Bundle
	emit := f.emit
	f.emit = func(changes []store.Change) {
		emit(changes)
		for _, ch := range changes {
			if v, ok := ch.Object.(*store.Value[store.Bundle]); ok {
				seen = append(seen, v.V)
			}
		}
	}
	f.serve(v1)
	f.list(t, services)
	f.list(t, routes)
	f.want(t)
	if err := crds.Replace([]any{crd("v1.6.0")}, "1"); err != nil {
		t.Fatal(err)
	}
	f.reconcile(f.ctx)
	f.want(t, "+/gateway-api")
	if err := crds.Update(crd("v1.7.0")); err != nil {
		t.Fatal(err)
	}
	if err := crds.Delete(crd("v1.7.0")); err != nil {
		t.Fatal(err)
	}
	f.want(t, "+/gateway-api", "-/gateway-api")
	if want := []store.Bundle{{Version: "v1.6.0", Channel: "standard"}, {Version: "v1.7.0", Channel: "standard"}}; !slices.Equal(seen, want) {
		t.Errorf("saw %v, want %v", seen, want)
	}
}
