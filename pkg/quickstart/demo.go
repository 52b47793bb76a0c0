package quickstart

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
)

// madeBy marks what a quickstart has made, so that its clean-up takes that and
// nothing else.
const (
	madeBy       = "app.kubernetes.io/part-of"
	madeByUs     = "egctl-quickstart"
	fieldManager = "egctl-quickstart"
)

// demo are the objects of the manifest in a cluster.
type demo struct {
	client    dynamic.Interface
	mapper    meta.RESTMapper
	namespace string
	objects   []*unstructured.Unstructured
}

func (d *demo) read(manifest []byte) error {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifest), 4096)
	for {
		u := &unstructured.Unstructured{}
		err := decoder.Decode(u)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("quickstart manifest: %w", err)
		}
		labels := u.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		labels[madeBy] = madeByUs
		u.SetLabels(labels)
		d.objects = append(d.objects, u)
	}
}

// resource returns the client of an object, and says how it is called.
func (d *demo) resource(u *unstructured.Unstructured) (dynamic.ResourceInterface, string, error) {
	gvk := u.GroupVersionKind()
	name := gvk.Kind + " " + u.GetName()
	mapping, err := d.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return nil, name, fmt.Errorf("%s: %w", name, err)
	}
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return d.client.Resource(mapping.Resource), name, nil
	}
	u.SetNamespace(d.namespace)
	return d.client.Resource(mapping.Resource).Namespace(d.namespace), d.namespace + "/" + name, nil
}

// apply makes the objects. One that is there and was not made by a quickstart stays
// as it is: it is somebody's.
func (d *demo) apply(ctx context.Context, say func(string)) error {
	for _, u := range d.objects {
		client, name, err := d.resource(u)
		if err != nil {
			return err
		}
		there, err := client.Get(ctx, u.GetName(), metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			return fmt.Errorf("look for %s: %w", name, err)
		case there.GetLabels()[madeBy] != madeByUs:
			say(fmt.Sprintf("%s is there already; it is used as it is", name))
			continue
		}
		if _, err := client.Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: fieldManager, Force: true}); err != nil {
			return fmt.Errorf("apply %s: %w", name, err)
		}
	}
	return nil
}

// remove deletes what apply has made, last first, and says what it was.
func (d *demo) remove(ctx context.Context, say func(string)) error {
	for i := len(d.objects) - 1; i >= 0; i-- {
		u := d.objects[i]
		client, name, err := d.resource(u)
		if meta.IsNoMatchError(err) {
			continue // the kind is gone, and its objects with it
		}
		if err != nil {
			return err
		}
		there, err := client.Get(ctx, u.GetName(), metav1.GetOptions{})
		if apierrors.IsNotFound(err) || err == nil && there.GetLabels()[madeBy] != madeByUs {
			continue
		}
		if err == nil {
			uid := there.GetUID()
			err = client.Delete(ctx, u.GetName(), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
		}
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete %s: %w", name, err)
		}
		say(name + " is deleted")
	}
	return nil
}
