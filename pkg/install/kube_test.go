package install_test

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/cli"
	"helm.sh/helm/v3/pkg/registry"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

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
