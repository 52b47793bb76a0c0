package kube_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/controller/internal/kubetest"
	"github.com/egctl/egctl/pkg/controller/source/kube"
	"github.com/egctl/egctl/pkg/store"
)

func manifest(namespace string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Namespace
metadata: {name: %[1]s, labels: {test: %[1]s}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: %[1]s}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Secret
metadata: {name: tls, namespace: %[1]s}
type: kubernetes.io/tls
stringData: {tls.crt: a, tls.key: b, extra: c}
---
apiVersion: v1
kind: Secret
metadata: {name: release, namespace: %[1]s}
type: helm.sh/release.v1
stringData: {release: big}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: %[1]s}
spec: {hostnames: [a.example]}
`, namespace)
}

func TestFollowsTheAPIServer(t *testing.T) {
	c := kubetest.New(t)
	ns := kubetest.Name()
	c.Apply(t, manifest(ns))
	events := map[string]int{}
	var mu sync.Mutex
	f := follow(t, kube.Options{Config: c.Config, OnEvent: func(k store.Kind, e kube.Event) {
		mu.Lock()
		defer mu.Unlock()
		if k == store.HTTPRoute {
			events[string(e)]++
		}
	}})
	f.sync(t)
	for _, k := range []store.Kind{store.Service, store.HTTPRoute} {
		if o := f.get(k, ns, "web"); o == nil || o.GetManagedFields() != nil {
			t.Errorf("%s is %v after the first emission", k, o)
		}
	}
	if f.get(store.Secret, ns, "release") != nil {
		t.Error("a release of Helm is kept")
	}
	if s, ok := f.get(store.Secret, ns, "tls").(*core.Secret); !ok || len(s.Data) != 2 {
		t.Errorf("kept %v of a certificate", s)
	}
	if r, ok := f.Resource(store.HTTPRoute); !ok || r.Version != "v1" || r.Resource != "httproutes" {
		t.Errorf("HTTPRoutes are served as %v", r)
	}
	c.Patch(t, "gateway.networking.k8s.io/v1", "HTTPRoute", ns, "web", `{"status":{"parents":[{"controllerName":"example.org/c","parentRef":{"name":"g"},"conditions":[{"type":"Accepted","status":"True","reason":"Yes","message":"","lastTransitionTime":"2020-01-01T00:00:00Z"}]}]}}`, "status")
	kubetest.Eventually(t, 5*time.Second, "a status is seen", func() bool {
		r, ok := f.get(store.HTTPRoute, ns, "web").(*gateway.HTTPRoute)
		return ok && len(r.Status.Parents) == 1
	})
	c.Delete(t, "gateway.networking.k8s.io/v1", "HTTPRoute", ns, "web")
	kubetest.Eventually(t, 5*time.Second, "a deletion is seen", f.lacks(store.HTTPRoute, ns, "web"))
	f.stop()
	mu.Lock()
	defer mu.Unlock()
	if events["add"] < 1 || events["update"] != 1 || events["delete"] != 1 {
		t.Errorf("events %v", events)
	}
}

const importCRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: serviceimports.multicluster.x-k8s.io}
spec:
  group: multicluster.x-k8s.io
  scope: Namespaced
  names: {kind: ServiceImport, plural: serviceimports, singular: serviceimport, listKind: ServiceImportList}
  versions:
  - {name: v1beta1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`

// TestKindsArriveAndLeave installs a CRD under a running source, and removes it.
func TestKindsArriveAndLeave(t *testing.T) {
	c := kubetest.New(t)
	f := follow(t, kube.Options{Config: c.Config})
	f.sync(t)
	c.Apply(t, importCRD)
	begin := time.Now()
	kubetest.Eventually(t, 5*time.Second, "the kind is noticed", func() bool {
		_, ok := f.Resource(store.ServiceImport)
		return ok
	})
	t.Logf("noticed after %v", time.Since(begin))
	c.Apply(t, `{apiVersion: multicluster.x-k8s.io/v1beta1, kind: ServiceImport, metadata: {name: web, namespace: default}, spec: {type: ClusterSetIP, ports: [{port: 80}]}}`)
	kubetest.Eventually(t, 5*time.Second, "its object is seen", f.has(store.ServiceImport, "default", "web"))
	t.Logf("its object was there after %v", time.Since(begin))
	c.Delete(t, "apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "serviceimports.multicluster.x-k8s.io")
	begin = time.Now()
	kubetest.Eventually(t, 5*time.Second, "the kind is gone", func() bool {
		_, ok := f.Resource(store.ServiceImport)
		return !ok && f.get(store.ServiceImport, "default", "web") == nil
	})
	t.Logf("gone after %v", time.Since(begin))
}

func TestScopeFollowsLabels(t *testing.T) {
	c := kubetest.New(t)
	in, out := kubetest.Name(), kubetest.Name()
	c.Apply(t, manifest(in))
	c.Apply(t, manifest(out))
	c.Patch(t, "v1", "Namespace", "", in, `{"metadata":{"labels":{"source-test":"yes"}}}`)
	f := follow(t, kube.Options{Config: c.Config, Scope: kube.Scope{Selector: labels.SelectorFromSet(labels.Set{"source-test": "yes"})}})
	f.sync(t)
	if f.get(store.Service, in, "web") == nil || f.get(store.Service, out, "web") != nil || f.get(store.Namespace, "", out) == nil {
		t.Error("the first emission is not what is in scope")
	}
	c.Patch(t, "v1", "Namespace", "", out, `{"metadata":{"labels":{"source-test":"yes"}}}`)
	kubetest.Eventually(t, 5*time.Second, "a namespace enters", f.has(store.HTTPRoute, out, "web"))
	c.Patch(t, "v1", "Namespace", "", in, `{"metadata":{"labels":{"source-test":"no"}}}`)
	kubetest.Eventually(t, 5*time.Second, "a namespace leaves", f.lacks(store.Service, in, "web"))
	if f.get(store.Namespace, "", in) == nil {
		t.Error("a namespace out of scope is not known any more")
	}
}

func TestScopeOfNamedNamespaces(t *testing.T) {
	c := kubetest.New(t)
	in, out := kubetest.Name(), kubetest.Name()
	c.Apply(t, manifest(in))
	c.Apply(t, manifest(out))
	f := follow(t, kube.Options{Config: c.Config, Scope: kube.Scope{Namespaces: []string{in, kubetest.Name()}}})
	f.sync(t)
	if f.get(store.Service, in, "web") == nil || f.get(store.Service, out, "web") != nil {
		t.Error("the first emission is not what is in scope")
	}
}

// TestServerAway cuts the connections to the API server, as its restart does.
func TestServerAway(t *testing.T) {
	c := kubetest.New(t)
	ns := kubetest.Name()
	c.Apply(t, manifest(ns))
	l := newLink(t, c.Config)
	f := follow(t, kube.Options{Config: l.config})
	f.sync(t)
	l.cut()
	f.mu.Lock()
	before, known := len(f.changes), len(f.objects)
	f.mu.Unlock()
	c.Patch(t, "gateway.networking.k8s.io/v1", "HTTPRoute", ns, "web", `{"spec":{"hostnames":["b.example"]}}`)
	c.Delete(t, "v1", "Service", ns, "web")
	time.Sleep(3 * time.Second)
	f.mu.Lock()
	if len(f.objects) != known {
		t.Errorf("%d objects are left of %d while the server is away", len(f.objects), known)
	}
	f.mu.Unlock()
	if n := strings.Count(f.log.String(), "cannot be reached"); n != 1 {
		t.Errorf("it is said %d times that the server cannot be reached", n)
	}
	l.restore(t)
	kubetest.Eventually(t, 15*time.Second, "the differences arrive", func() bool {
		r, ok := f.get(store.HTTPRoute, ns, "web").(*gateway.HTTPRoute)
		return ok && r.Spec.Hostnames[0] == "b.example" && f.get(store.Service, ns, "web") == nil
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, ch := range f.changes[before:] {
		if ch.Key.Namespace == ns && ch.Key.Kind == store.Secret {
			t.Errorf("%s is emitted again", ch.Key)
		}
	}
}

// TestCaughtUp demands that what exists when it is asked for is known when it
// returns, and that it does not return while the server cannot be asked.
func TestCaughtUp(t *testing.T) {
	c := kubetest.New(t)
	ns := kubetest.Name()
	c.Apply(t, manifest(ns))
	l := newLink(t, c.Config)
	f := follow(t, kube.Options{Config: l.config, Scope: kube.Scope{Namespaces: []string{ns}}})
	f.sync(t)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		c.Apply(t, fmt.Sprintf(`{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: %s, namespace: %s}, spec: {gatewayClassName: none, listeners: [{name: http, port: 80, protocol: HTTP}]}}`, name, ns))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		err := f.CaughtUp(ctx)
		cancel()
		if err != nil || f.get(store.Gateway, ns, name) == nil {
			t.Errorf("Gateway %s is %v after catching up: %v", name, f.get(store.Gateway, ns, name), err)
		}
	}
	l.cut()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if f.CaughtUp(ctx) == nil {
		t.Error("it has caught up with a server that is away")
	}
}

// TestForbidden runs a source that may not read Secrets, nor CRDs: it waits for the
// ones, since without Secrets listeners would lose their certificates, and does
// without the others.
func TestForbidden(t *testing.T) {
	c := kubetest.New(t)
	ns := kubetest.Name()
	c.Apply(t, manifest(ns))
	role := `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: source-test}
rules:
- {apiGroups: [gateway.networking.k8s.io, discovery.k8s.io, certificates.k8s.io, gateway.envoyproxy.io], resources: ["*"], verbs: [list, watch]}
- {apiGroups: [""], resources: [namespaces, services, configmaps%s], verbs: [list, watch]}
`
	c.Apply(t, fmt.Sprintf(role, "")+`
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: source-test}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: source-test}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: source-test}]
`)
	config := rest.CopyConfig(c.Config)
	config.Impersonate.UserName, config.Impersonate.Groups = "source-test", []string{"system:authenticated"}
	f := follow(t, kube.Options{Config: config})
	kubetest.Eventually(t, 15*time.Second, "the source waits for Secrets alone", func() bool { return slices.Equal(f.Waiting(), []string{"Secret"}) })
	kubetest.Eventually(t, 15*time.Second, "it says what it may not read", func() bool { return strings.Contains(f.log.String(), "not permitted to list and watch Secret") })
	if f.get(store.Service, ns, "web") != nil {
		t.Error("something is handed on before all is known")
	}
	for _, words := range []string{"not permitted to list and watch Secret", "secrets", "ClusterRole", "cannot watch CustomResourceDefinitions"} {
		if !strings.Contains(f.log.String(), words) {
			t.Errorf("the log does not say %q", words)
		}
	}
	c.Apply(t, fmt.Sprintf(role, ", secrets"))
	kubetest.Eventually(t, 15*time.Second, "Secrets are read once that is permitted", f.has(store.Secret, ns, "tls"))
}
