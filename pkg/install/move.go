package install

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/release"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/egctl/egctl/charts"
	"github.com/egctl/egctl/pkg/install/crd"
)

// isEgctl says whether a chart installs egctl, and not Envoy Gateway, whose chart
// has the same name and values.
func isEgctl(c *chart.Chart) bool {
	return c != nil && c.Metadata != nil && c.Metadata.Home == charts.Home
}

// moved are the values of an installation of Envoy Gateway as they are for egctl:
// without those that name Envoy Gateway's own program. It returns what was left out,
// and what was kept although it may not fit.
func moved(values map[string]any) (kept map[string]any, notes []string) {
	kept = copyValues(values)
	for _, path := range []string{
		"global.images.envoyGateway.image",
		"deployment.envoyGateway.image",
		"config.envoyGateway.provider.kubernetes.shutdownManager.image",
	} {
		fields := strings.Split(path, ".")
		old, ok, _ := unstructured.NestedFieldNoCopy(kept, fields...)
		if !ok || old == nil || old == "" {
			continue
		}
		unstructured.RemoveNestedField(kept, fields...)
		notes = append(notes, fmt.Sprintf("value %s (%s) is left out: it names Envoy Gateway's program; --set it again if egctl's image is elsewhere than usual", path, printed(old)))
	}
	const proxy = "global.images.envoyProxy.image"
	if image, _, _ := unstructured.NestedString(kept, strings.Split(proxy, ".")...); image != "" {
		notes = append(notes, fmt.Sprintf("value %s (%s) is kept: see that it is the Envoy that egctl is made for", proxy, image))
	}
	return kept, notes
}

func printed(v any) string {
	m, ok := v.(map[string]any)
	if !ok {
		return fmt.Sprint(v)
	}
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, fmt.Sprintf("%s %v", k, m[k]))
	}
	return strings.Join(out, ", ")
}

// stale are the manifests of hooks of a release, by the names of their objects, that
// the next release does not have. Helm makes what is in a hook and then forgets it.
func stale(previous, next *release.Release) (map[string]string, error) {
	now, err := objects(next.Manifest)
	if err != nil {
		return nil, fmt.Errorf("read the new manifest: %w", err)
	}
	for _, h := range next.Hooks {
		hooks, err := objects(h.Manifest)
		if err != nil {
			return nil, fmt.Errorf("read hook %s: %w", h.Path, err)
		}
		maps.Copy(now, hooks)
	}
	out := map[string]string{}
	for _, h := range previous.Hooks {
		if strings.Contains(h.Manifest, "helm.sh/resource-policy") {
			continue // its author wants it kept
		}
		hooks, err := objects(h.Manifest)
		if err != nil {
			return nil, fmt.Errorf("read hook %s: %w", h.Path, err)
		}
		for name := range hooks {
			if _, ok := now[name]; !ok {
				out[name] = h.Manifest
			}
		}
	}
	return out, nil
}

// unsettled is what is still there of hooks of Envoy Gateway, where egctl has taken
// over a release already: the upgrade that did may not have waited for egctl to run, or
// may have failed after that. It is as in [stale]. What may not be read is left out, which
// the notes say.
func (i *Installer) unsettled(name string, next *release.Release) (out map[string]string, notes []string, err error) {
	history, err := i.helm.Releases.History(name)
	if err != nil {
		return nil, nil, fmt.Errorf("read the history of release %s: %w", name, err)
	}
	var before *release.Release
	for _, r := range history {
		if !isEgctl(r.Chart) && (before == nil || before.Version < r.Version) {
			before = r
		}
	}
	if before == nil {
		return nil, nil, nil
	}
	if out, err = stale(before, next); err != nil {
		return nil, nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(out)) {
		left, err := i.left(out[name])
		if apierrors.IsForbidden(err) {
			notes = append(notes, fmt.Sprintf("cannot tell whether %s, which Envoy Gateway made, is still there, and it stays if it is: %v", name, err))
		} else if err != nil {
			return nil, nil, fmt.Errorf("look for %s, which Envoy Gateway made: %w", name, err)
		}
		if !left {
			delete(out, name)
		}
	}
	return out, notes, nil
}

// left says whether what a hook's manifest makes is still there. What somebody made
// under the name since then has not its labels.
func (i *Installer) left(manifest string) (bool, error) {
	made, err := i.helm.KubeClient.Build(strings.NewReader(manifest), false)
	if meta.IsNoMatchError(err) {
		return false, nil // the kind is gone, too
	}
	if err != nil {
		return false, err
	}
	for _, o := range made {
		wanted, err := meta.NewAccessor().Labels(o.Object)
		if err != nil {
			return false, err
		}
		if err := o.Get(); apierrors.IsNotFound(err) || len(wanted) == 0 {
			continue
		} else if err != nil {
			return false, err
		}
		has, err := meta.NewAccessor().Labels(o.Object)
		if err != nil {
			return false, err
		}
		if labels.SelectorFromSet(wanted).Matches(labels.Set(has)) {
			return true, nil
		}
	}
	return false, nil
}

// settle ends a move from Envoy Gateway, once egctl runs: hooks' objects go, and
// objects without effect say so. Each upgrade does what an earlier one could not.
func (i *Installer) settle(ctx context.Context, p *Plan, r *release.Release) error {
	err := i.remove(p.stale)
	if len(p.Unsupported) > 0 {
		err = errors.Join(err, i.disown(ctx, controllerOf(r.Manifest), p.Previous != nil))
	}
	if err != nil {
		return fmt.Errorf("egctl runs, but not all that Envoy Gateway left behind is settled: %w", err)
	}
	return nil
}

// unclaimed has a plan that is nothing to do otherwise end a move whose statuses an earlier
// upgrade could not take back.
func (i *Installer) unclaimed(ctx context.Context, p *Plan) error {
	if !p.Same || len(p.Unsupported) == 0 {
		return nil
	}
	left, err := i.claims(ctx, controllerOf(p.Manifest), true)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		var names []string
		for _, c := range left {
			names = append(names, fmt.Sprintf("%s %s/%s", c.kind, c.namespace, c.name))
		}
		p.Same, p.unclaimed = false, true
		p.Notes = append(p.Notes, "still said to be accepted, as Envoy Gateway left it, which is taken back: "+crd.Fields(names, shown))
	}
	return nil
}

// remove deletes the objects of manifests, by the names that [stale] gives them. That
// one is gone is no error.
func (i *Installer) remove(manifests map[string]string) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(manifests)) {
		found, err := i.helm.KubeClient.Build(strings.NewReader(manifests[name]), false)
		if err != nil {
			errs = append(errs, fmt.Errorf("delete %s: %w", name, err))
			continue
		}
		if _, failed := i.helm.KubeClient.Delete(found); len(failed) > 0 {
			errs = append(errs, fmt.Errorf("delete %s: %w", name, errors.Join(failed...)))
		}
	}
	return errors.Join(errs...)
}
