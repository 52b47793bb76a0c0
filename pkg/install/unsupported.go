package install

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/util/retry"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/config"
	"github.com/egctl/egctl/pkg/install/crd"
	"github.com/egctl/egctl/pkg/translate"
)

// extension is a kind of Envoy Gateway's that egctl does not act on.
type extension struct{ kind, resource string }

const backend = "Backend"

// configurationValue is where the controller's configuration is in the values of the chart.
const configurationValue = "config.envoyGateway"

// extensions are in the order of how much it matters.
func extensions() []extension {
	return []extension{
		{"SecurityPolicy", "securitypolicies"},
		{"BackendTrafficPolicy", "backendtrafficpolicies"},
		{"ClientTrafficPolicy", "clienttrafficpolicies"},
		{"EnvoyExtensionPolicy", "envoyextensionpolicies"},
		{"EnvoyPatchPolicy", "envoypatchpolicies"},
		{backend, "backends"},
		{"HTTPRouteFilter", "httproutefilters"},
	}
}

func (e extension) of() schema.GroupVersionResource {
	return v1alpha1.GroupVersion.WithResource(e.resource)
}

// UnsupportedKinds are those of Envoy Gateway's kinds that have no effect with
// egctl.
func UnsupportedKinds() []string {
	var out []string
	for _, e := range extensions() {
		out = append(out, e.kind)
	}
	return out
}

// Unsupported are the objects of such a kind that a cluster has.
type Unsupported struct {
	Kind string
	// Objects are their names, namespace/name, in order.
	Objects []string
	// Unknown says why there is no telling which there are; nil: they are known.
	Unknown error
}

// shown is how many objects of a kind are named.
const shown = 3

// String is the number of the objects, and the first of them.
func (u Unsupported) String() string {
	if u.Unknown != nil {
		return fmt.Sprintf("%s: cannot tell whether there are any: %v", u.Kind, u.Unknown)
	}
	return fmt.Sprintf("%d %s: %s", len(u.Objects), u.Kind, crd.Fields(u.Objects, shown))
}

// FindUnsupported finds the objects that have no effect with egctl, in all
// namespaces. A kind that may not be listed is among them: nobody knows.
func FindUnsupported(ctx context.Context, client dynamic.Interface) ([]Unsupported, error) {
	var out []Unsupported
	for _, e := range extensions() {
		items, err := list(ctx, client, e.of())
		if err != nil && !apierrors.IsForbidden(err) {
			return nil, err
		}
		if len(items) == 0 && err == nil {
			continue
		}
		u := Unsupported{Kind: e.kind, Unknown: err}
		for _, o := range items {
			u.Objects = append(u.Objects, o.GetNamespace()+"/"+o.GetName())
		}
		slices.Sort(u.Objects)
		out = append(out, u)
	}
	return out, nil
}

// UnsupportedError says which objects would be without effect, and so, what would
// not be protected any more.
type UnsupportedError struct{ Kinds []Unsupported }

func (e *UnsupportedError) Error() string {
	var b strings.Builder
	b.WriteString("the cluster has objects that egctl does not act on yet; nothing was changed")
	var kinds []string
	for _, u := range e.Kinds {
		fmt.Fprintf(&b, "\n  %s", u)
		kinds = append(kinds, u.Kind)
	}
	b.WriteString("\n  Routes would be served without them. If that is what you want, say it to egctl install or egctl upgrade: --ignore-unsupported " + strings.Join(kinds, ","))
	return b.String()
}

// Refusal is why a plan is not to be applied; nil if nothing is in the way.
func (p *Plan) Refusal() error {
	var errs []error
	if refused := p.Refused(); len(refused) > 0 {
		errs = append(errs, &RefusedError{Decisions: refused})
	}
	kinds := slices.DeleteFunc(slices.Clone(p.Unsupported), func(u Unsupported) bool { return slices.Contains(p.Request.IgnoreUnsupported, u.Kind) })
	// Where egctl runs already they have had no effect before.
	if p.Takeover && len(kinds) > 0 {
		errs = append(errs, &UnsupportedError{Kinds: kinds})
	}
	return errors.Join(errs...)
}

// withoutEffect fills in what of the cluster and of the configuration would have no
// effect.
func (i *Installer) withoutEffect(ctx context.Context, p *Plan) error {
	var err error
	if p.Unsupported, err = FindUnsupported(ctx, i.dynamic); err != nil {
		return err
	}
	proxies, err := list(ctx, i.dynamic, v1alpha1.GroupVersion.WithResource("envoyproxies"))
	switch {
	case apierrors.IsForbidden(err):
	case err != nil:
		return err
	}
	for _, o := range proxies {
		var proxy v1alpha1.EnvoyProxy
		// One that cannot be read is the controller's to complain about.
		if runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &proxy) != nil {
			continue
		}
		if fields := translate.IgnoredProxyFields(&proxy.Spec); len(fields) > 0 {
			p.Notes = append(p.Notes, fmt.Sprintf("EnvoyProxy %s/%s: without effect: %s", proxy.Namespace, proxy.Name, strings.Join(fields, ", ")))
		}
	}
	// The lines are those of what the chart made of the values, which nobody has seen.
	rendered := regexp.MustCompile(`^` + regexp.QuoteMeta(configurationValue) + `:\d+: `)
	// Another version's chart may know what this program does not.
	if text := configuration(p.Manifest); text != "" && p.Request.Chart.Own() {
		_, warnings, err := config.Parse(configurationValue, []byte(text))
		if err != nil {
			return fmt.Errorf("the controller would not start: %w", err)
		}
		for _, w := range warnings {
			p.Ignored = append(p.Ignored, rendered.ReplaceAllString(w, configurationValue+"."))
		}
	}
	return nil
}

// claimed is an object without effect whose status says that a controller accepts it.
type claimed struct {
	extension
	namespace, name string
}

// claims finds the objects that Envoy Gateway has left saying that it accepted them. The
// status of a Backend does not say whose it is: backends says that nobody else's controller
// can have written it. What was found is returned with an error, too.
func (i *Installer) claims(ctx context.Context, controller string, backends bool) ([]claimed, error) {
	var out []claimed
	var errs []error
	for _, e := range extensions() {
		if e.kind == backend && !backends {
			continue
		}
		items, err := list(ctx, i.dynamic, e.of())
		// Who may not see them was told so by the plan, and cannot do anything here.
		if err != nil && !apierrors.IsForbidden(err) {
			errs = append(errs, err)
		}
		for _, o := range items {
			if disowned(&o, controller) {
				out = append(out, claimed{e, o.GetNamespace(), o.GetName()})
			}
		}
	}
	return out, errors.Join(errs...)
}

// disown has the statuses of objects without effect say so. See [Installer.claims].
func (i *Installer) disown(ctx context.Context, controller string, backends bool) error {
	all, err := i.claims(ctx, controller, backends)
	errs := []error{err}
	for _, c := range all {
		objects := i.dynamic.Resource(c.of()).Namespace(c.namespace)
		err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
			now, err := objects.Get(ctx, c.name, metav1.GetOptions{})
			if err != nil || !disowned(now, controller) {
				return err
			}
			_, err = objects.UpdateStatus(ctx, now, metav1.UpdateOptions{FieldManager: crd.FieldManager})
			return err
		})
		if err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("status of %s %s/%s: %w", c.kind, c.namespace, c.name, err))
		}
	}
	return errors.Join(errs...)
}

// disowned takes back what a controller has said of an object, and says whether
// there was something.
func disowned(o *unstructured.Unstructured, controller string) bool {
	changed := false
	refuse := func(in map[string]any) {
		conditions, _, _ := unstructured.NestedSlice(in, "conditions")
		for _, item := range conditions {
			c, _ := item.(map[string]any)
			if c["type"] != "Accepted" || c["status"] == string(metav1.ConditionFalse) {
				continue
			}
			c["status"], c["reason"] = string(metav1.ConditionFalse), "Unsupported"
			c["message"] = "egctl does not act on this kind yet: nothing of it is in force"
			c["observedGeneration"] = o.GetGeneration()
			c["lastTransitionTime"] = metav1.Now().UTC().Format(time.RFC3339)
			changed = true
		}
		if changed {
			in["conditions"] = conditions
		}
	}
	status, _, _ := unstructured.NestedMap(o.Object, "status")
	if o.GetKind() == backend {
		refuse(status)
	}
	ancestors, _, _ := unstructured.NestedSlice(status, "ancestors")
	for _, item := range ancestors {
		if a, _ := item.(map[string]any); a["controllerName"] == controller {
			refuse(a)
		}
	}
	if len(ancestors) > 0 {
		status["ancestors"] = ancestors
	}
	if changed {
		o.Object["status"] = status
	}
	return changed
}

// list lists objects of a kind, or none where the kind is not there.
func list(ctx context.Context, client dynamic.Interface, kind schema.GroupVersionResource) ([]unstructured.Unstructured, error) {
	l, err := client.Resource(kind).List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", kind.GroupResource(), err)
	}
	return l.Items, nil
}
