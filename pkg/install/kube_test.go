package install_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/cli"
	"helm.sh/helm/v3/pkg/registry"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/egctl/egctl/charts"
	"github.com/egctl/egctl/pkg/crds"
	"github.com/egctl/egctl/pkg/install"
	"github.com/egctl/egctl/pkg/install/crd"
	"github.com/egctl/egctl/pkg/install/precheck"
)

// A chart comes from a registry.
func TestKubeInstallFromRegistry(t *testing.T) {
	w := newWorld(t)
	r := w.request()
	r.Chart = install.Chart{Ref: install.Push(t, "v0.8.0", "v0.9.0"), PlainHTTP: true}
	plan, err := w.installer.Plan(w.ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	if plan.Version != "v0.9.0" {
		t.Errorf("version %s", plan.Version)
	}
	if _, err := w.installer.Apply(w.ctx, plan); err != nil {
		t.Fatal(err)
	}
}

// Plain Helm installs the chart from a registry, with its CRDs, without being told
// a version, and takes it out again.
func TestKubePlainHelm(t *testing.T) {
	w := newWorld(t)
	ref := install.Push(t, "v0.8.0", "v0.9.0")
	client, err := registry.NewClient(registry.ClientOptPlainHTTP(), registry.ClientOptWriter(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	config := &action.Configuration{RegistryClient: client}
	if err := config.Init(w.getter, w.namespace, "", func(string, ...any) {}); err != nil {
		t.Fatal(err)
	}
	a := action.NewInstall(config)
	a.ReleaseName, a.Namespace, a.CreateNamespace = "eg", w.namespace, true
	a.PlainHTTP, a.Wait, a.Timeout = true, true, time.Minute
	settings := cli.New()
	settings.RepositoryCache = t.TempDir()
	path, err := a.LocateChart(ref, settings)
	if err != nil {
		t.Fatal(err)
	}
	c, err := loader.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := a.RunWithContext(w.ctx, c, w.request().Values)
	if err != nil {
		t.Fatal(err)
	}
	if r.Chart.Metadata.Version != "v0.9.0" || !strings.Contains(r.Info.Notes, "helm status eg") {
		t.Errorf("version %s, notes %q", r.Chart.Metadata.Version, r.Info.Notes)
	}
	w.definition("httproutes.gateway.networking.k8s.io")
	secrets, err := w.client.CoreV1().Secrets(w.namespace).List(w.ctx, metav1.ListOptions{LabelSelector: "owner=helm"})
	if err != nil || len(secrets.Items) != 1 || len(secrets.Items[0].Data["release"]) > 64<<10 {
		t.Errorf("%d releases, %v", len(secrets.Items), err)
	}
	un := action.NewUninstall(config)
	un.Wait, un.Timeout = true, time.Minute
	if _, err := un.Run("eg"); err != nil {
		t.Fatal(err)
	}
	// Helm leaves the namespace that it made.
	if err := w.client.CoreV1().Namespaces().Delete(w.ctx, w.namespace, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.nothingLeft()
	w.definition("httproutes.gateway.networking.k8s.io")
}

// Before and after.
func TestKubePrecheck(t *testing.T) {
	w := newWorld(t)
	check := func() string {
		t.Helper()
		results, err := precheck.Run(w.ctx, precheck.Options{Config: w.config, Namespace: w.namespace})
		if err != nil {
			t.Fatal(err)
		}
		if worst := precheck.Worst(results); worst == precheck.Failed {
			t.Error("failed")
		}
		var b strings.Builder
		if err := precheck.WriteTable(&b, results); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	if s := check(); !strings.Contains(s, "the Gateway API is not installed") || !strings.Contains(s, "none in the cluster") {
		t.Error(s)
	}
	w.install(w.request())
	if s := check(); !strings.Contains(s, crds.Version+" experimental") || !strings.Contains(s, "egctl upgrade --name eg") || !strings.Contains(s, "of release eg") {
		t.Error(s)
	}
	// As somebody who may do nothing.
	nobody := rest.CopyConfig(w.config)
	nobody.Impersonate = rest.ImpersonationConfig{UserName: "nobody"}
	results, err := precheck.Run(w.ctx, precheck.Options{Config: nobody, Namespace: w.namespace})
	if err != nil || precheck.Worst(results) != precheck.Failed {
		t.Errorf("nobody may install: %+v, %v", results, err)
	}
}

// A field that the next release of the Gateway API lacks stands in the way once an
// object has it.
func TestKubeFieldLoss(t *testing.T) {
	w := newWorld(t)
	only := install.Request{Chart: install.Chart{Program: "v0.9.0"}, OnlyCRDs: true, Timeout: time.Minute}
	w.install(only)
	const route = "httproutes.gateway.networking.k8s.io"
	before := w.definition(route)
	annotations := before.GetAnnotations()
	annotations[crd.BundleAnnotation] = "v1.6.1"
	before.SetAnnotations(annotations)
	versions, _, err := unstructured.NestedSlice(before.Object, "spec", "versions")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range versions {
		fields := []string{"schema", "openAPIV3Schema", "properties", "spec", "properties"}
		if err := unstructured.SetNestedField(v.(map[string]any), map[string]any{"type": "string"}, append(fields, "former")...); err != nil {
			t.Fatal(err)
		}
		// Without something new there is no reason to change it.
		unstructured.RemoveNestedField(v.(map[string]any), append(fields, "useDefaultGateways")...)
	}
	if err := unstructured.SetNestedSlice(before.Object, versions, "spec", "versions"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.dynamic.Resource(crd.Resource).Update(w.ctx, before, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	decision := func() crd.Decision {
		t.Helper()
		plan, err := w.installer.Plan(w.ctx, only)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range plan.CRDs {
			if d.Name == route {
				return d
			}
		}
		t.Fatal("nothing is decided")
		return crd.Decision{}
	}
	if d := decision(); d.Action != crd.Update || !d.Unused || !slices.Contains(d.Lost, "v1 spec.former") {
		t.Errorf("without an object: %+v", d)
	}
	with := object("HTTPRoute", "default", "with", map[string]any{"former": "yes"})
	w.eventually("the field is kept", func() bool {
		routes := w.dynamic.Resource(gvr("httproutes")).Namespace("default")
		made, err := routes.Create(w.ctx, with, metav1.CreateOptions{})
		if err != nil {
			return false
		}
		_, has, err := unstructured.NestedString(made.Object, "spec", "former")
		if !has && err == nil {
			err = routes.Delete(w.ctx, "with", metav1.DeleteOptions{})
		}
		return has && err == nil
	})
	if d := decision(); d.Action != crd.Refuse || !strings.Contains(d.Reason, "used by default/with (spec.former)") {
		t.Errorf("with an object: %+v", d)
	}
}

// What hooks of Envoy Gateway have made goes with the upgrade that can remove it, be
// it the first or a later one; what has taken a name since then stays.
func TestKubeMoveIsSettledLater(t *testing.T) {
	w := newWorld(t)
	config := &action.Configuration{}
	if err := config.Init(w.getter, w.namespace, "", func(string, ...any) {}); err != nil {
		t.Fatal(err)
	}
	template := func(name string) *chart.File {
		return &chart.File{Name: "templates/" + name + ".yaml", Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", labels: {made-by: envoy-gateway}, annotations: {helm.sh/hook: pre-install}}\n")}
	}
	a := action.NewInstall(config)
	a.ReleaseName, a.Namespace = "eg", w.namespace
	ours := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace, Labels: map[string]string{"app.kubernetes.io/managed-by": "egctl"}}}
	if _, err := w.client.CoreV1().Namespaces().Create(w.ctx, ours, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	former := &chart.Chart{Metadata: &chart.Metadata{APIVersion: "v2", Name: charts.Gateway, Version: "1.9.1", Home: "https://gateway.envoyproxy.io/"}, Templates: []*chart.File{template("left"), template("taken")}}
	if _, err := a.RunWithContext(w.ctx, former, nil); err != nil {
		t.Fatal(err)
	}
	maps := w.client.CoreV1().ConfigMaps(w.namespace)
	upgrade := func(wait bool) (removed []string) {
		t.Helper()
		r := w.request()
		r.Wait = wait
		plan, err := w.installer.PlanUpgrade(w.ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range plan.Changes {
			if c.Kind == install.Removed && strings.HasPrefix(c.Object, "ConfigMap ") {
				removed = append(removed, c.Object)
			}
		}
		if _, err := w.installer.Apply(w.ctx, plan); err != nil {
			t.Fatal(err)
		}
		return removed
	}
	if got := upgrade(false); len(got) != 2 {
		t.Errorf("to be removed at first is %q", got)
	}
	if _, err := maps.Get(w.ctx, "left", metav1.GetOptions{}); err != nil {
		t.Fatal(err) // nobody waited
	}
	taken, err := maps.Get(w.ctx, "taken", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	taken.Labels = map[string]string{"made-by": "me"}
	if _, err := maps.Update(w.ctx, taken, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := upgrade(true); len(got) != 1 || !strings.HasSuffix(got[0], "left") {
		t.Errorf("to be removed later is %q", got)
	}
	if _, err := maps.Get(w.ctx, "left", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("what a hook made is still there: %v", err)
	}
	if _, err := maps.Get(w.ctx, "taken", metav1.GetOptions{}); err != nil {
		t.Errorf("what somebody else made is gone: %v", err)
	}
	if got := upgrade(true); len(got) != 0 {
		t.Errorf("to be removed once more is %q", got)
	}
	if err := maps.Delete(w.ctx, "taken", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

const securityPolicies = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: securitypolicies.gateway.envoyproxy.io}
spec:
  group: gateway.envoyproxy.io
  scope: Namespaced
  names: {kind: SecurityPolicy, listKind: SecurityPolicyList, plural: securitypolicies, singular: securitypolicy}
  versions:
    - name: v1alpha1
      served: true
      storage: true
      subresources: {status: {}}
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`

const acceptedPolicy = `
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: SecurityPolicy
metadata: {name: locked, namespace: default}
status:
  ancestors:
    - controllerName: ` + install.DefaultController + `
      conditions: [{type: Accepted, status: "True", reason: Accepted, message: "", lastTransitionTime: "2026-01-01T00:00:00Z"}]
`

// An upgrade to the same takes back what an earlier one could not: that a policy is said to
// be in force. That is said where nobody waits for egctl to run.
func TestKubeStatusesAreTakenBackLater(t *testing.T) {
	w := newWorld(t)
	w.install(w.request())
	if _, err := w.dynamic.Resource(crd.Resource).Create(w.ctx, parse(t, securityPolicies), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	policies := w.dynamic.Resource(schema.GroupVersionResource{Group: "gateway.envoyproxy.io", Version: "v1alpha1", Resource: "securitypolicies"}).Namespace("default")
	policy := parse(t, acceptedPolicy)
	w.eventually("policies can be made", func() bool {
		made, err := policies.Create(w.ctx, policy.DeepCopy(), metav1.CreateOptions{})
		if err != nil {
			return false
		}
		policy.SetResourceVersion(made.GetResourceVersion())
		return true
	})
	if _, err := policies.UpdateStatus(w.ctx, policy, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, wait := range []bool{false, true} {
		r := w.request()
		r.Wait, w.said = wait, nil
		plan, err := w.installer.PlanUpgrade(w.ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		if plan.Same || !slices.ContainsFunc(plan.Notes, func(n string) bool { return strings.Contains(n, "SecurityPolicy default/locked") }) {
			t.Errorf("same %t, notes %q", plan.Same, plan.Notes)
		}
		if _, err := w.installer.Apply(w.ctx, plan); err != nil {
			t.Fatal(err)
		}
		if hint := strings.Contains(strings.Join(w.said, "\n"), "egctl upgrade once more"); hint == wait {
			t.Errorf("waiting %t, said %q", wait, w.said)
		}
	}
	now, err := policies.Get(w.ctx, "locked", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ancestors, _, err := unstructured.NestedSlice(now.Object, "status", "ancestors")
	if s := fmt.Sprint(ancestors); err != nil || !strings.Contains(s, "Unsupported") {
		t.Errorf("the status is %s, %v", s, err)
	}
	plan, err := w.installer.PlanUpgrade(w.ctx, w.request())
	if err != nil || !plan.Same {
		t.Errorf("all is settled, but %+v, %q, %v", plan.Changes, plan.Notes, err)
	}
}
