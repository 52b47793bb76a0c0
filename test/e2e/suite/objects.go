package suite

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
)

// testLabel marks what tests made.
const testLabel = "egctl-e2e"

const fieldManager = "e2e"

// Unique returns a name that nobody has: names of the cluster's own objects, such
// as GatewayClasses, that tests running side by side must not share.
func Unique(prefix string) string { return prefix + "-" + strings.ToLower(rand.Text()[:6]) }

// Namespace makes a namespace, which goes after the test with all that is in it.
// If the test fails, what happened in it is kept with the test's artifacts.
func (s *Suite) Namespace(t *testing.T) string {
	t.Helper()
	name := Unique("e2e")
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{testLabel: "true"}, Annotations: map[string]string{"test": t.Name()}}}
	if _, err := s.Kube.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			s.Dump(t, name)
		}
		if err := s.removeNamespace(context.Background(), name); err != nil {
			t.Error(err)
		}
	})
	return name
}

// removeNamespace deletes Gateways first and waits for proxies beside them. For the
// API server waits with the rest until all pods are gone, and after a pod that may
// take minutes to end it looks again when half of these have passed.
func (s *Suite) removeNamespace(ctx context.Context, name string) error {
	err := s.Gateways.GatewayV1().Gateways(name).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	_ = Poll(ctx, 40*time.Second, func(ctx context.Context) error {
		pods, err := s.Kube.CoreV1().Pods(name).List(ctx, metav1.ListOptions{LabelSelector: ProxySelector})
		if err == nil && len(pods.Items) > 0 {
			err = errors.New("proxies are there")
		}
		return err
	}) // they go with the namespace, late
	err = s.Kube.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// Apply makes the objects of a manifest what it says; those that say no namespace
// are in this one. Objects without a namespace are deleted after the test.
func (s *Suite) Apply(t *testing.T, namespace, manifest string) {
	t.Helper()
	objects, err := s.TryApply(t.Context(), namespace, manifest)
	for _, o := range objects {
		if o.GetNamespace() == "" {
			t.Cleanup(func() {
				if err := s.remove(context.Background(), o); err != nil {
					t.Error(err)
				}
			})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TryApply is Apply without a test. It returns the objects that were made.
func (s *Suite) TryApply(ctx context.Context, namespace, manifest string) ([]*unstructured.Unstructured, error) {
	objects, err := parse(manifest)
	if err != nil {
		return nil, fmt.Errorf("%w in\n%s", err, manifest)
	}
	for i, o := range objects {
		r, err := s.resource(ctx, o, namespace)
		if err == nil {
			_, err = r.Apply(ctx, o.GetName(), o, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
		}
		if err != nil {
			return objects[:i], fmt.Errorf("apply %s %s: %w", o.GetKind(), o.GetName(), err)
		}
	}
	return objects, nil
}

// Delete deletes the objects of a manifest.
func (s *Suite) Delete(t *testing.T, namespace, manifest string) {
	t.Helper()
	objects, err := parse(manifest)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if o.GetNamespace() == "" {
			o.SetNamespace(namespace)
		}
		if err := s.remove(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *Suite) remove(ctx context.Context, o *unstructured.Unstructured) error {
	r, err := s.resource(ctx, o, o.GetNamespace())
	if err == nil {
		err = r.Delete(ctx, o.GetName(), metav1.DeleteOptions{})
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	return nil
}

// resource finds where an object is written, and completes its namespace.
func (s *Suite) resource(ctx context.Context, o *unstructured.Unstructured, namespace string) (dynamic.ResourceInterface, error) {
	gvk := o.GroupVersionKind()
	mapping, err := s.mapping(ctx, gvk)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", o.GetKind(), o.GetName(), err)
	}
	if mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		return s.Dynamic.Resource(mapping.Resource), nil
	}
	if o.GetNamespace() == "" {
		o.SetNamespace(namespace)
	}
	return s.Dynamic.Resource(mapping.Resource).Namespace(o.GetNamespace()), nil
}

func (s *Suite) mapping(ctx context.Context, gvk schema.GroupVersionKind) (m *meta.RESTMapping, err error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	// A kind that was just defined is not served at once.
	err = Poll(ctx, 20*time.Second, func(context.Context) error {
		m, err = s.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		if err != nil {
			s.mapper.Reset()
		}
		return err
	})
	return m, err
}

func parse(manifest string) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	d := yaml.NewYAMLOrJSONDecoder(strings.NewReader(manifest), 4096)
	for {
		o := &unstructured.Unstructured{}
		if err := d.Decode(&o.Object); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		if len(o.Object) > 0 {
			out = append(out, o)
		}
	}
}
