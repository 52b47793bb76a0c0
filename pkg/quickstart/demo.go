package quickstart

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/install/crd"
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

// foreign refuses to go on where an object of the demo's name is somebody else's: the
// route would lead to what is there, which is none of the demo's business, or nowhere.
// A GatewayClass is shared by intent: one of the same controller serves as well.
func (d *demo) foreign(ctx context.Context) error {
	var names []string
	for _, u := range d.objects {
		client, name, err := d.resource(u)
		if meta.IsNoMatchError(err) {
			continue // it comes with the controller
		}
		if err != nil {
			return err
		}
		there, err := client.Get(ctx, u.GetName(), metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			return fmt.Errorf("look for %s: %w", name, err)
		case !ours(there) && !sharedClass(u, there):
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("not made by a quickstart, and in its way: %s; nothing was changed\n  Say another namespace with -n, or delete what is in the way if nobody needs it", strings.Join(names, ", "))
}

// ours says whether a quickstart has made an object.
func ours(u *unstructured.Unstructured) bool { return u.GetLabels()[madeBy] == madeByUs }

// sharedClass says whether what is there is a GatewayClass that does for the demo.
func sharedClass(wanted, there *unstructured.Unstructured) bool {
	if wanted.GetKind() != "GatewayClass" {
		return false
	}
	a, _, _ := unstructured.NestedString(wanted.Object, "spec", "controllerName")
	b, _, _ := unstructured.NestedString(there.Object, "spec", "controllerName")
	return a == b
}

// apply makes the objects. A GatewayClass that is there and was not made by a quickstart
// stays as it is: it is somebody's.
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
		case !ours(there) && sharedClass(u, there):
			say(fmt.Sprintf("%s is there already; it is used as it is", name))
			continue
		case !ours(there): // since foreign has looked
			return fmt.Errorf("%s has just been made by somebody else; it stays", name)
		}
		if _, err := client.Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: fieldManager, Force: true}); err != nil {
			return fmt.Errorf("apply %s: %w", name, err)
		}
	}
	return nil
}

// remove deletes what apply has made, last first, says what it was, and returns the
// objects. The GatewayClass stays while others have Gateways of it.
func (d *demo) remove(ctx context.Context, say func(string)) ([]*unstructured.Unstructured, error) {
	var removed []*unstructured.Unstructured
	for i := len(d.objects) - 1; i >= 0; i-- {
		u := d.objects[i]
		client, name, err := d.resource(u)
		if meta.IsNoMatchError(err) {
			continue // the kind is gone, and its objects with it
		}
		if err != nil {
			return removed, err
		}
		there, err := client.Get(ctx, u.GetName(), metav1.GetOptions{})
		if apierrors.IsNotFound(err) || err == nil && !ours(there) {
			continue
		}
		if err == nil && u.GetKind() == "GatewayClass" {
			users, err := d.users(ctx, u.GetName())
			if err != nil {
				return removed, err
			}
			if len(users) > 0 {
				say(fmt.Sprintf("%s stays: other Gateways are of it: %s", name, crd.Fields(users, 5)))
				continue
			}
		}
		if err == nil {
			uid := there.GetUID()
			err = client.Delete(ctx, u.GetName(), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
		}
		if err != nil && !apierrors.IsNotFound(err) {
			return removed, fmt.Errorf("delete %s: %w", name, err)
		}
		say(name + " is deleted")
		removed = append(removed, there)
	}
	return removed, nil
}

// users are the Gateways of a class but for those that are being deleted, as the demo's
// is by then.
func (d *demo) users(ctx context.Context, class string) ([]string, error) {
	mapping, err := d.mapper.RESTMapping(schema.GroupKind{Group: gateway.GroupName, Kind: "Gateway"}, "v1")
	if err != nil {
		return nil, fmt.Errorf("kind Gateway: %w", err)
	}
	all, err := d.client.Resource(mapping.Resource).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("look for other Gateways of GatewayClass %s: %w", class, err)
	}
	var users []string
	for i := range all.Items {
		g := &all.Items[i]
		if name, _, _ := unstructured.NestedString(g.Object, "spec", "gatewayClassName"); name == class && g.GetDeletionTimestamp() == nil {
			users = append(users, g.GetNamespace()+"/"+g.GetName())
		}
	}
	return users, nil
}
