// Package kubetest lets tests make and change objects of any kind, anywhere in the
// cluster that package testkube finds.
package kubetest

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"github.com/egctl/egctl/internal/testkube"
	"github.com/egctl/egctl/pkg/crds"
)

// Cluster is a cluster to test with.
type Cluster struct {
	Config  *rest.Config
	Dynamic dynamic.Interface
	mapper  *restmapper.DeferredDiscoveryRESTMapper
}

// New returns the cluster of this run, with the CRDs of the Gateway API; without
// one it skips the test.
func New(t *testing.T) *Cluster {
	t.Helper()
	config := testkube.Config(t)
	config.QPS, config.WarningHandler = -1, rest.NoWarnings{}
	c := &Cluster{Config: config}
	var err error
	if c.Dynamic, err = dynamic.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	d, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	c.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(d))
	c.installCRDs(t)
	return c
}

func (c *Cluster) installCRDs(t *testing.T) {
	t.Helper()
	names, err := crds.Names(crds.Standard)
	if err != nil {
		t.Fatal(err)
	}
	definitions := c.Dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	for _, name := range names {
		// One that is there, perhaps of the experimental channel, will do.
		group, plural, _ := strings.Cut(strings.TrimSuffix(name, ".yaml"), "_")
		if _, err := definitions.Get(t.Context(), plural+"."+group, metav1.GetOptions{}); err == nil {
			continue
		}
		text, err := crds.YAML(crds.Standard, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range parse(t, string(text)) {
			if o.GetKind() != "CustomResourceDefinition" {
				continue
			}
			if _, err := definitions.Create(t.Context(), o, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
				t.Fatal(err)
			}
		}
	}
	Eventually(t, 20*time.Second, "the Gateway API is served", func() bool {
		c.mapper.Reset()
		_, err := c.mapper.RESTMapping(schema.GroupKind{Group: "gateway.networking.k8s.io", Kind: "HTTPRoute"})
		return err == nil
	})
}

func parse(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()
	var out []*unstructured.Unstructured
	d := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		o := &unstructured.Unstructured{}
		if err := d.Decode(&o.Object); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if len(o.Object) > 0 {
			out = append(out, o)
		}
	}
}

func (c *Cluster) resource(t *testing.T, apiVersion, kind, namespace string) dynamic.ResourceInterface {
	t.Helper()
	gvk := schema.FromAPIVersionAndKind(apiVersion, kind)
	var m *meta.RESTMapping
	Eventually(t, 20*time.Second, kind+" is served", func() (ok bool) {
		var err error
		if m, err = c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version); err != nil {
			c.mapper.Reset()
		}
		return err == nil
	})
	if m.Scope.Name() == meta.RESTScopeNameNamespace {
		return c.Dynamic.Resource(m.Resource).Namespace(namespace)
	}
	return c.Dynamic.Resource(m.Resource)
}

// Apply makes the objects of a manifest what it says. They are deleted after the
// test.
func (c *Cluster) Apply(t *testing.T, manifest string) {
	t.Helper()
	for _, o := range parse(t, manifest) {
		r := c.resource(t, o.GetAPIVersion(), o.GetKind(), o.GetNamespace())
		var err error
		Eventually(t, 10*time.Second, "apply "+o.GetKind()+" "+o.GetName(), func() bool {
			_, err = r.Apply(t.Context(), o.GetName(), o, metav1.ApplyOptions{FieldManager: "test", Force: true})
			return err == nil || !apierrors.IsNotFound(err)
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = r.Delete(context.WithoutCancel(t.Context()), o.GetName(), metav1.DeleteOptions{})
		})
	}
}

// Delete deletes one object.
func (c *Cluster) Delete(t *testing.T, apiVersion, kind, namespace, name string) {
	t.Helper()
	if err := c.resource(t, apiVersion, kind, namespace).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

// Get reads one object; nil if it does not exist.
func (c *Cluster) Get(t *testing.T, apiVersion, kind, namespace, name string) *unstructured.Unstructured {
	t.Helper()
	o, err := c.resource(t, apiVersion, kind, namespace).Get(t.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Patch merges a JSON document into an object or its subresource.
func (c *Cluster) Patch(t *testing.T, apiVersion, kind, namespace, name, patch string, subresources ...string) {
	t.Helper()
	if _, err := c.resource(t, apiVersion, kind, namespace).Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, subresources...); err != nil {
		t.Fatal(err)
	}
}

// Name returns a name for a namespace that no other test has.
func Name() string { return "egctl-" + strings.ToLower(rand.Text()[:8]) }

// Eventually waits until something holds, and fails the test if it does not.
func Eventually(t *testing.T, within time.Duration, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}
