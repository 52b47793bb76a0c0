package quickstart

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
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

// standing is what is where an object of the demo is to be.
type standing int

const (
	absent   standing = iota
	own               // a quickstart has made it
	usable            // somebody else's, and as good
	obstacle          // somebody else's, and another one
)

// look says what is where an object is to be, and returns it if something is.
func (d *demo) look(ctx context.Context, client dynamic.ResourceInterface, u *unstructured.Unstructured) (standing, *unstructured.Unstructured, error) {
	there, err := client.Get(ctx, u.GetName(), metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return absent, nil, nil
	case err != nil:
		return absent, nil, err
	case ours(there):
		return own, there, nil
	case u.GetKind() == "GatewayClass":
		// It is shared by intent: one of the same controller serves as well.
		if controllerOf(u) == controllerOf(there) {
			return usable, there, nil
		}
		return obstacle, there, nil
	case there.GetDeletionTimestamp() != nil:
		return obstacle, there, nil
	}
	same, err := unchanged(ctx, client, u, there)
	if err != nil {
		return absent, nil, err
	}
	if same {
		return usable, there, nil
	}
	return obstacle, there, nil
}

// unchanged says whether to apply what is wanted would leave what is there as it is,
// labels aside: somebody has applied the same manifest.
func unchanged(ctx context.Context, client dynamic.ResourceInterface, wanted, there *unstructured.Unstructured) (bool, error) {
	after, err := client.Apply(ctx, wanted.GetName(), wanted, metav1.ApplyOptions{FieldManager: fieldManager, Force: true, DryRun: []string{metav1.DryRunAll}})
	if apierrors.IsInvalid(err) {
		return false, nil // it differs in what nobody may change
	}
	if err != nil {
		return false, fmt.Errorf("compare with the demo's: %w", err)
	}
	return equality.Semantic.DeepEqual(essence(there), essence(after)), nil
}

// essence is an object without what changes in every write, or by itself.
func essence(u *unstructured.Unstructured) map[string]any {
	o := u.DeepCopy()
	o.SetLabels(nil)
	o.SetManagedFields(nil)
	o.SetResourceVersion("")
	o.SetGeneration(0)
	unstructured.RemoveNestedField(o.Object, "status")
	return o.Object
}

// foreign refuses to go on where an object of the demo's name is somebody else's: the
// route would lead to what is there, which is none of the demo's business, or nowhere.
// What the demo can use as it is is not in its way.
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
		standing, there, err := d.look(ctx, client, u)
		switch {
		case err != nil:
			return fmt.Errorf("look for %s: %w", name, err)
		case standing != obstacle:
		case u.GetKind() == "GatewayClass":
			return fmt.Errorf("%[1]s is there already, of controller %[2]s; the demo needs it to be of %[3]s; nothing was changed\n"+
				"  It is one for the whole cluster: if nobody needs it, kubectl delete gatewayclass %[4]s; "+
				"else change the names in what egctl quickstart --print prints, and apply that", name, controllerOf(there), controllerOf(u), u.GetName())
		default:
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

// controllerOf is the controller of a GatewayClass.
func controllerOf(class *unstructured.Unstructured) string {
	name, _, _ := unstructured.NestedString(class.Object, "spec", "controllerName")
	return name
}

// apply makes the objects. One that is there, was not made by a quickstart and can be
// used stays as it is, and is not marked as the quickstart's: it is somebody's.
func (d *demo) apply(ctx context.Context, say func(string)) error {
	var used []string
	for _, u := range d.objects {
		client, name, err := d.resource(u)
		if err != nil {
			return err
		}
		standing, _, err := d.look(ctx, client, u)
		switch {
		case err != nil:
			return fmt.Errorf("look for %s: %w", name, err)
		case standing == usable:
			used = append(used, name)
			continue
		case standing == obstacle: // since foreign has looked
			return fmt.Errorf("%s has just been made by somebody else; it stays", name)
		}
		if _, err := client.Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: fieldManager, Force: true}); err != nil {
			return fmt.Errorf("apply %s: %w", name, err)
		}
	}
	if len(used) > 0 {
		say("there already, and used as it is: " + strings.Join(used, ", "))
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
