package install

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/release"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/install/crd"
)

// DefaultController is the controllerName that the chart configures.
const DefaultController = v1alpha1.GatewayControllerName

// classFinalizer keeps a GatewayClass while it has Gateways. Only the controller
// takes it off.
const classFinalizer = gateway.GatewayClassFinalizerGatewaysExist

// groups are those whose definitions the chart brings.
var groups = []string{"gateway.networking.k8s.io", "gateway.networking.x-k8s.io", "gateway.envoyproxy.io"}

// Removal is what an uninstallation would do.
type Removal struct {
	// Release goes; nil if only definitions do.
	Release *release.Release
	// Controller is the controllerName that nobody will answer to.
	Controller string
	// Classes, Gateways and Routes depend on it. They stay, and so do the proxies
	// of the Gateways; nothing follows their changes any more.
	Classes  []string
	Gateways []string
	Routes   map[string][]string // by kind
	// Definitions are the CRDs that go, each with the number of its objects, which
	// go with it.
	Definitions map[string]int
	// Resumed says that an earlier uninstallation has taken the release and has not come
	// to its end: what the release leaves behind goes now.
	Resumed bool
	// Finally, if there is one, is called when all of that is gone, and before the
	// namespace is looked at, which may go with what it has then.
	Finally func(context.Context) error
}

// Dependents is the number of Gateways and routes.
func (r *Removal) Dependents() int {
	n := len(r.Gateways)
	for _, l := range r.Routes {
		n += len(l)
	}
	return n
}

// PlanUninstall says what an uninstallation would do; with definitions, also with
// CRDs, for which the release may be gone already.
func (i *Installer) PlanUninstall(ctx context.Context, name string, definitions bool) (*Removal, error) {
	r := &Removal{Controller: DefaultController}
	found, err := i.Find(name)
	switch {
	case err == nil:
		r.Release = found
		r.Controller = controllerOf(found.Manifest)
	case !errors.Is(err, ErrNoRelease) || !definitions:
		return nil, err
	}
	if err := i.dependents(ctx, r); err != nil {
		return nil, err
	}
	if !definitions {
		return r, nil
	}
	all, err := i.crds.All(ctx, groups...)
	if err != nil {
		return nil, err
	}
	r.Definitions = map[string]int{}
	for name, d := range all {
		objects, err := i.objectsOf(ctx, d)
		if err != nil {
			return nil, err
		}
		r.Definitions[name] = len(objects)
	}
	return r, nil
}

// controllerOf finds the controllerName in the configuration of a release.
func controllerOf(manifest string) string {
	var config struct {
		Gateway struct {
			ControllerName string `json:"controllerName"`
		} `json:"gateway"`
	}
	if yaml.Unmarshal([]byte(configuration(manifest)), &config) == nil && config.Gateway.ControllerName != "" {
		return config.Gateway.ControllerName
	}
	return DefaultController
}

// configurationKey is that of the controller's configuration in its ConfigMap.
const configurationKey = "envoy-gateway.yaml"

// configuration is the controller's, of a release; empty if there is none.
func configuration(manifest string) string {
	all, err := objects(manifest)
	if err != nil {
		return ""
	}
	for _, o := range all {
		if text, _, _ := unstructured.NestedString(o, "data", configurationKey); text != "" {
			return text
		}
	}
	return ""
}

// objectsOf lists the objects of a definition.
func (i *Installer) objectsOf(ctx context.Context, d *unstructured.Unstructured) ([]unstructured.Unstructured, error) {
	group, _, _ := unstructured.NestedString(d.Object, "spec", "group")
	plural, _, _ := unstructured.NestedString(d.Object, "spec", "names", "plural")
	versions, _, _ := unstructured.NestedSlice(d.Object, "spec", "versions")
	for _, v := range versions {
		m, _ := v.(map[string]any)
		name, _, _ := unstructured.NestedString(m, "name")
		if served, _, _ := unstructured.NestedBool(m, "served"); served {
			return list(ctx, i.dynamic, schema.GroupVersionResource{Group: group, Version: name, Resource: plural})
		}
	}
	return nil, nil
}

// dependents finds what depends on the controller.
func (i *Installer) dependents(ctx context.Context, r *Removal) error {
	of := func(resource string) schema.GroupVersionResource {
		return schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: resource}
	}
	classes, err := list(ctx, i.dynamic, of("gatewayclasses"))
	if err != nil {
		return err
	}
	for _, c := range classes {
		if name, _, _ := unstructured.NestedString(c.Object, "spec", "controllerName"); name == r.Controller {
			r.Classes = append(r.Classes, c.GetName())
		}
	}
	gateways, err := list(ctx, i.dynamic, of("gateways"))
	if err != nil {
		return err
	}
	for _, g := range gateways {
		if class, _, _ := unstructured.NestedString(g.Object, "spec", "gatewayClassName"); slices.Contains(r.Classes, class) {
			r.Gateways = append(r.Gateways, g.GetNamespace()+"/"+g.GetName())
		}
	}
	r.Routes = map[string][]string{}
	if len(r.Gateways) == 0 {
		return nil
	}
	// A route may hang on a ListenerSet, which hangs on a Gateway.
	parents := map[string]bool{}
	for _, g := range r.Gateways {
		parents["Gateway "+g] = true
	}
	sets, err := list(ctx, i.dynamic, of("listenersets"))
	if err != nil {
		return err
	}
	for _, s := range sets {
		ref, _, _ := unstructured.NestedMap(s.Object, "spec", "parentRef")
		if parents[parent(ref, s.GetNamespace())] {
			parents["ListenerSet "+s.GetNamespace()+"/"+s.GetName()] = true
		}
	}
	definitions, err := i.crds.All(ctx, "gateway.networking.k8s.io")
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(definitions)) {
		kind := crd.Kind(definitions[name])
		if !strings.HasSuffix(kind, "Route") {
			continue
		}
		routes, err := i.objectsOf(ctx, definitions[name])
		if err != nil {
			return err
		}
		for _, route := range routes {
			refs, _, _ := unstructured.NestedSlice(route.Object, "spec", "parentRefs")
			if slices.ContainsFunc(refs, func(ref any) bool {
				m, _ := ref.(map[string]any)
				return parents[parent(m, route.GetNamespace())]
			}) {
				r.Routes[kind] = append(r.Routes[kind], route.GetNamespace()+"/"+route.GetName())
			}
		}
	}
	return nil
}

// parent is the kind and name that a parentRef of an object in a namespace names.
func parent(ref map[string]any, namespace string) string {
	kind, name := "Gateway", ""
	if k, ok := ref["kind"].(string); ok {
		kind = k
	}
	if n, ok := ref["namespace"].(string); ok {
		namespace = n
	}
	name, _ = ref["name"].(string)
	return kind + " " + namespace + "/" + name
}

// Uninstall does what was planned, and takes out what the controller leaves behind
// in its own namespace: its certificates and its lease.
func (i *Installer) Uninstall(ctx context.Context, r *Removal, timeout time.Duration) error {
	if r.Release != nil {
		a := action.NewUninstall(i.helm)
		a.Wait, a.Timeout = true, timeout
		a.DeletionPropagation = "foreground"
		if _, err := a.Run(r.Release.Name); err != nil {
			return fmt.Errorf("uninstall release %s: %w", r.Release.Name, err)
		}
		i.o.Say(fmt.Sprintf("release %s is uninstalled", r.Release.Name))
		// Helm forgets what hooks have made, such as Envoy Gateway's.
		made, err := stale(r.Release, &release.Release{})
		if err == nil {
			err = i.remove(made)
		}
		if isController(r.Release) {
			err = errors.Join(err, i.leftovers(ctx, r))
		}
		if err != nil {
			return err
		}
	} else if r.Resumed {
		if err := i.leftovers(ctx, r); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Definitions)) {
		err := i.dynamic.Resource(crd.Resource).Delete(ctx, name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete CustomResourceDefinition %s: %w", name, err)
		}
	}
	if len(r.Definitions) > 0 {
		if err := i.gone(ctx, r, timeout); err != nil {
			return err
		}
		i.o.Say(fmt.Sprintf("%d CustomResourceDefinitions are deleted", len(r.Definitions)))
	}
	if r.Finally != nil {
		if err := r.Finally(ctx); err != nil {
			return err
		}
	}
	if r.Release == nil && !r.Resumed {
		return nil
	}
	return i.removeNamespace(ctx)
}

// gone waits until the definitions are deleted, which their objects can hold up.
func (i *Installer) gone(ctx context.Context, r *Removal, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for _, name := range slices.Sorted(maps.Keys(r.Definitions)) {
		for {
			live, err := i.crds.Live(ctx, name)
			if err != nil {
				return err
			}
			if live == nil {
				break
			}
			i.o.State("waiting for CustomResourceDefinition " + name + " to be deleted")
			select {
			case <-ctx.Done():
				return fmt.Errorf("wait for CustomResourceDefinition %s to be deleted: %w: do objects of it have finalizers?", name, ctx.Err())
			case <-time.After(time.Second / 4):
			}
		}
	}
	return nil
}
