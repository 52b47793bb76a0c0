package kube

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/controller/infra/kube/render"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	data, err := yaml.YAMLToJSON([]byte(text))
	if err == nil {
		err = utiljson.Unmarshal(data, &u.Object) // numbers as clients read them
	}
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// unconnected is an Infrastructure that knows no cluster.
func unconnected(t *testing.T, c render.Config) *Infrastructure {
	t.Helper()
	c.Namespace = "system"
	i, err := New(Options{Client: &rest.Config{Host: "http://127.0.0.1:1"}, Render: c, Submit: func(...store.Change) {}})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func gatewayFleet(namespace, name string) *translate.Fleet {
	return &translate.Fleet{
		Key:   store.ID{Kind: store.Gateway, Namespace: namespace, Name: name}.Key(),
		Class: "eg", ClassUID: "1", GatewayUID: "2", Parameters: &v1alpha1.EnvoyProxySpec{},
		Ports: []translate.FleetPort{{Name: "http-80", Port: 80, ContainerPort: 10080}},
	}
}

func TestMayTouch(t *testing.T) {
	t.Parallel()
	f := gatewayFleet("shop", "eg")
	const managed = "app.kubernetes.io/managed-by: envoy-gateway, "
	own := managed + "gateway.envoyproxy.io/owning-gateway-name: eg, gateway.envoyproxy.io/owning-gateway-namespace: shop"
	other := managed + "gateway.envoyproxy.io/owning-gateway-name: other, gateway.envoyproxy.io/owning-gateway-namespace: shop"
	for _, c := range []struct {
		name, apiVersion, kind, labels string
		beside, used, may              bool
		err                            string
	}{
		{name: "ours", apiVersion: "apps/v1", kind: "Deployment", labels: own, may: true},
		{name: "a stranger's", apiVersion: "apps/v1", kind: "Deployment", labels: "a: b", err: "Deployment system/zz exists and is left alone, because it was not made for this Gateway"},
		{name: "managed by another tool", apiVersion: "v1", kind: "Service", labels: strings.Replace(own, "envoy-gateway", "helm", 1), err: "was not made for this Gateway"},
		{name: "another fleet's", apiVersion: "v1", kind: "Service", labels: other, err: "belongs to Gateway shop/other"},
		{name: "an account that another uses", apiVersion: "v1", kind: "ServiceAccount", labels: other, used: true},
		{name: "an account that the other does not use", apiVersion: "v1", kind: "ServiceAccount", labels: other, may: true},
		{name: "an account that proves who one is", apiVersion: "v1", kind: "ServiceAccount", labels: other, beside: true, err: "belongs to Gateway shop/other"},
		{name: "a stranger's account", apiVersion: "v1", kind: "ServiceAccount", labels: "a: b", err: "was not made for this Gateway"},
	} {
		i := unconnected(t, render.Config{GatewayNamespaceMode: c.beside})
		if c.used {
			o := gatewayFleet("shop", "other")
			o.Parameters.Provider = &v1alpha1.EnvoyProxyProvider{Kubernetes: &v1alpha1.EnvoyProxyKubernetesProvider{
				EnvoyServiceAccount: &v1alpha1.KubernetesServiceAccountSpec{Name: ptr.To("zz")},
			}}
			i.Want(o.Key, o)
		}
		may, err := i.mayTouch(f, object(t, "{apiVersion: "+c.apiVersion+", kind: "+c.kind+", metadata: {namespace: system, name: zz, labels: {"+c.labels+"}}}"))
		if may != c.may || (err == nil) != (c.err == "") || (err != nil && !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %v, %v", c.name, may, err)
		}
	}
}

func TestKeepSelector(t *testing.T) {
	t.Parallel()
	const want = `{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: x, name: zz}, spec: {selector: {matchLabels: {a: new}}, template: {metadata: {labels: {a: new, b: old}}}}}`
	w := object(t, want)
	if err := keepSelector(w, object(t, `{kind: Deployment, metadata: {namespace: x, name: zz}, spec: {selector: {matchLabels: {b: old}}}}`)); err != nil {
		t.Fatal(err)
	}
	if s, _, _ := unstructured.NestedStringMap(w.Object, "spec", "selector", "matchLabels"); len(s) != 1 || s["b"] != "old" {
		t.Errorf("selector is %v", s)
	}
	err := keepSelector(object(t, want), object(t, `{kind: Deployment, metadata: {namespace: x, name: zz}, spec: {selector: {matchLabels: {a: old}}}}`))
	if err == nil || !strings.Contains(err.Error(), "Deployment x/zz selects pods by a=old") || !strings.Contains(err.Error(), "delete the Deployment") {
		t.Errorf("error is %v", err)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	f := gatewayFleet("shop", "eg")
	f.Addresses = []string{"169.254.0.1"}
	service := object(t, `{apiVersion: v1, kind: Service, metadata: {namespace: x, name: zz}}`)
	invalid := func(path string) error {
		return apierrors.NewInvalid(schema.GroupKind{Kind: "Service"}, "y", field.ErrorList{field.Invalid(field.NewPath("spec").Child(path), "z", "no")})
	}
	forbidden := func(text string) error {
		return apierrors.NewForbidden(schema.GroupResource{Resource: "services"}, "y", errors.New(text))
	}
	for _, c := range []struct {
		name    string
		err     error
		refused bool
		want    string
	}{
		{"an address that no Service may have", invalid("externalIPs"), true, "the addresses 169.254.0.1 cannot be had: Service x/zz"},
		{"a cluster IP out of range", invalid("clusterIPs"), true, "cannot be had"},
		{"denied by admission", forbidden("use of external IPs is denied by admission control"), true, "cannot be had"},
		{"another field", invalid("ports"), false, "correct the EnvoyProxy"},
		{"no permission", forbidden("user cannot patch"), false, "permissions that its chart grants"},
		{"quota", forbidden("exceeded quota: lb"), false, "raise the quota"},
		{"namespace", apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "x"), false, "does the namespace exist"},
	} {
		err := explain(f, service, c.err)
		var refused *addressRefused
		if errors.As(err, &refused) != c.refused || !strings.Contains(err.Error(), "Service x/zz") || !strings.Contains(err.Error(), c.want) || !errors.Is(err, c.err) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestServiceAccountFleet is about whom a token speaks for.
func TestServiceAccountFleet(t *testing.T) {
	t.Parallel()
	i := unconnected(t, render.Config{GatewayNamespaceMode: true})
	account := func(f *translate.Fleet, name string) *translate.Fleet {
		f.Parameters = &v1alpha1.EnvoyProxySpec{Provider: &v1alpha1.EnvoyProxyProvider{Kubernetes: &v1alpha1.EnvoyProxyKubernetesProvider{
			EnvoyServiceAccount: &v1alpha1.KubernetesServiceAccountSpec{Name: &name},
		}}}
		return f
	}
	want := func(f *translate.Fleet) { i.Want(f.Key, f) }
	want(gatewayFleet("shop", "a"))
	want(account(gatewayFleet("shop", "b"), "shared"))
	want(account(gatewayFleet("shop", "c"), "shared"))
	want(account(gatewayFleet("blog", "d"), "shared"))
	check := func(namespace, name, fleet string) {
		t.Helper()
		got, ok := i.ServiceAccountFleet(namespace, name)
		if got != fleet || ok != (fleet != "") {
			t.Errorf("account %s/%s is that of %q, %v", namespace, name, got, ok)
		}
	}
	check("shop", "a", "shop/a")
	check("shop", "b", "")
	check("shop", "shared", "")
	check("blog", "shared", "blog/d")
	check("system", "a", "")

	frozen := account(gatewayFleet("shop", "a"), "b")
	frozen.Frozen = "its EnvoyProxy is invalid"
	want(frozen)
	check("shop", "a", "shop/a") // goes on as it was

	i.Want(gatewayFleet("shop", "b").Key, nil)
	check("shop", "shared", "shop/c")

	// An account of before is there until its last pod is gone.
	former := object(t, `{apiVersion: v1, kind: ServiceAccount, metadata: {name: former, namespace: blog, labels: {gateway.envoyproxy.io/owning-gateway-name: d, gateway.envoyproxy.io/owning-gateway-namespace: blog}}}`)
	check("blog", "former", "")
	if err := i.watches.informers[render.ServiceAccount][0].GetIndexer().Add(former); err != nil {
		t.Fatal(err)
	}
	check("blog", "former", "blog/d")
	check("blog", "shared", "blog/d")
	want(account(gatewayFleet("blog", "e"), "former"))
	check("blog", "former", "")
}

func TestRolledOut(t *testing.T) {
	t.Parallel()
	const deployment = `{kind: Deployment, metadata: {generation: 2, resourceVersion: "5"}, spec: {replicas: 2}, status: {observedGeneration: 2, replicas: 2, updatedReplicas: 2, availableReplicas: 2}}`
	const daemonSet = `{kind: DaemonSet, metadata: {generation: 2, resourceVersion: "5"}, status: {observedGeneration: 2, desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 1}}`
	for _, c := range []struct {
		name, of, from, to string
		since              uint64
		want               bool
	}{
		{name: "all are new", of: deployment, since: 5, want: true},
		{name: "before our write was seen", of: deployment, since: 6},
		{name: "not looked at yet", of: deployment, from: "observedGeneration: 2", to: "observedGeneration: 1"},
		{name: "an old one is left", of: deployment, from: "{observedGeneration: 2, replicas: 2", to: "{observedGeneration: 2, replicas: 3"},
		{name: "a new one is missing", of: deployment, from: "updatedReplicas: 2", to: "updatedReplicas: 1"},
		{name: "none serves", of: deployment, from: "availableReplicas: 2", to: "availableReplicas: 0"},
		{name: "on all nodes", of: daemonSet, want: true},
		{name: "not on all nodes", of: daemonSet, from: "updatedNumberScheduled: 2", to: "updatedNumberScheduled: 1"},
	} {
		if got := rolledOut(object(t, strings.Replace(c.of, c.from, c.to, 1)), c.since); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if rolledOut(nil, 0) {
		t.Error("what is not there is rolled out")
	}
}

// TestOrphansWait: what nobody wants stays until all that exists is known to have
// been handed over.
func TestOrphansWait(t *testing.T) {
	t.Parallel()
	i := unconnected(t, render.Config{Bootstrap: func(*translate.Fleet) (string, error) { return "", errors.New("not here") }})
	asked, known := make(chan struct{}), make(chan struct{})
	i.o.Current = func(ctx context.Context) error {
		close(asked)
		select {
		case <-known:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	fleets := map[string]store.Key{}
	for _, name := range []string{"gone", "new"} {
		f := gatewayFleet("shop", name)
		fleets[name] = f.Key
		d := object(t, `{apiVersion: apps/v1, kind: Deployment, metadata: {name: `+name+`, namespace: system, labels: {gateway.envoyproxy.io/owning-gateway-name: `+name+`, gateway.envoyproxy.io/owning-gateway-namespace: shop}}}`)
		if err := i.watches.informers[render.Deployment][0].GetIndexer().Add(d); err != nil {
			t.Fatal(err)
		}
	}
	has := func(name string) bool { i.mu.Lock(); defer i.mu.Unlock(); return i.fleets[fleets[name]] != nil }
	close(i.synced)
	i.Complete()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- i.Lead(ctx) }()
	<-asked
	time.Sleep(50 * time.Millisecond)
	if has("gone") || has("new") {
		t.Error("a fleet is removed before it is known that nobody wants it")
	}
	i.Want(fleets["new"], gatewayFleet("shop", "new"))
	close(known)
	for end := time.Now().Add(5 * time.Second); !has("gone"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("what nobody wants is not removed")
		}
	}
	i.mu.Lock()
	if i.fleets[fleets["new"]].want == nil {
		t.Error("a fleet that is wanted is removed")
	}
	i.mu.Unlock()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestKnown waits for the first report of every fleet that is wanted.
func TestKnown(t *testing.T) {
	t.Parallel()
	i := unconnected(t, render.Config{})
	a, b := gatewayFleet("shop", "a"), gatewayFleet("shop", "b")
	i.Want(a.Key, a)
	i.Want(b.Key, b)
	done := make(chan error, 1)
	go func() { done <- i.Known(t.Context()) }()
	i.report(a.Key)
	select {
	case err := <-done:
		t.Fatalf("known with one fleet to go: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	i.report(b.Key)
	if err := <-done; err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	i.Want(gatewayFleet("shop", "c").Key, gatewayFleet("shop", "c"))
	if i.Known(ctx) == nil {
		t.Error("a fleet that was not looked at is known")
	}
}

func TestOwnsReplicas(t *testing.T) {
	t.Parallel()
	manager := func(name string, op metav1.ManagedFieldsOperationType, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: name, Operation: op, FieldsV1: metav1.NewFieldsV1(fields)}
	}
	const replicas = `{"f:spec":{"f:replicas":{}}}`
	for _, c := range []struct {
		name  string
		entry metav1.ManagedFieldsEntry
		want  bool
	}{
		{"applied by us", manager(fieldManager, metav1.ManagedFieldsOperationApply, replicas), true},
		{"scaled by the autoscaler", manager("kube-controller-manager", metav1.ManagedFieldsOperationUpdate, replicas), false},
		{"not among ours", manager(fieldManager, metav1.ManagedFieldsOperationApply, `{"f:spec":{"f:template":{}}}`), false},
	} {
		u := &unstructured.Unstructured{Object: map[string]any{}}
		u.SetManagedFields([]metav1.ManagedFieldsEntry{c.entry})
		if got := ownsReplicas(u); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
