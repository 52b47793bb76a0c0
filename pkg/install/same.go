package install

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/kube"
	"helm.sh/helm/v3/pkg/release"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/jsonmergepatch"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/cli-runtime/pkg/resource"

	"github.com/egctl/egctl/pkg/install/crd"
)

// unlike adds to a plan, of which nothing differs from the revision before, how the cluster
// differs from that: by what was changed or deleted by hand, and by what does not run, where
// that is to be waited for. It is not the same then.
func (i *Installer) unlike(ctx context.Context, p *Plan) error {
	all, err := i.helm.KubeClient.Build(strings.NewReader(p.Manifest), false)
	if err != nil {
		return fmt.Errorf("read the new manifest: %w", err)
	}
	for _, o := range all {
		change, err := drift(o)
		switch {
		case apierrors.IsNotFound(err):
			p.Same = false
			p.Notes = append(p.Notes, o.ObjectName()+" is not in the cluster any more, and is made anew")
		case apierrors.IsForbidden(err): // it is taken to be as it was
		case err != nil:
			p.Same = false
			p.Notes = append(p.Notes, fmt.Sprintf("%s: cannot tell whether it was changed by hand: %v", o.ObjectName(), err))
		case len(change.Fields) > 0:
			p.Same = false
			p.Changes = append(p.Changes, change)
			p.Notes = append(p.Notes, fmt.Sprintf("%s was changed by hand since revision %d, which is undone", change.Object, p.Previous.Version))
		}
	}
	if p.Same && p.Request.Wait {
		made, err := objects(p.Manifest)
		if err != nil {
			return fmt.Errorf("read the new manifest: %w", err)
		}
		state, err := i.pending(ctx, made)
		if err != nil && !apierrors.IsForbidden(err) {
			return err
		}
		if state != "" {
			p.Same = false
			p.Notes = append(p.Notes, fmt.Sprintf("revision %d does not run: %s", p.Previous.Version, state))
		}
	}
	return nil
}

// drift is how an object in the cluster would change if what the manifest says of it came
// to hold again. What others have added stays, as in Helm's upgrades: the patch is Helm's,
// and the API server says what it would come to. So a default is no difference, nor another
// way to write a value.
func drift(o *resource.Info) (Change, error) {
	wanted, err := json.Marshal(o.Object)
	if err != nil {
		return Change{}, fmt.Errorf("encode it: %w", err)
	}
	versioned := kube.AsVersioned(o)
	// A patch of one that is not there is an error of another kind.
	if err := o.Get(); err != nil {
		return Change{}, err
	}
	live, err := json.Marshal(o.Object)
	if err != nil {
		return Change{}, fmt.Errorf("encode it: %w", err)
	}
	var patch []byte
	patchType := types.StrategicMergePatchType
	if _, ok := versioned.(runtime.Unstructured); ok {
		patchType = types.MergePatchType
		patch, err = jsonmergepatch.CreateThreeWayJSONMergePatch(wanted, wanted, live)
	} else {
		var schema strategicpatch.PatchMetaFromStruct
		if schema, err = strategicpatch.NewPatchMetaFromStruct(versioned); err == nil {
			patch, err = strategicpatch.CreateThreeWayMergePatch(wanted, wanted, live, schema, true)
		}
	}
	if err != nil {
		return Change{}, fmt.Errorf("compare it with the manifest: %w", err)
	}
	if string(patch) == "{}" {
		return Change{}, nil
	}
	patched, err := resource.NewHelper(o.Client, o.Mapping).DryRun(true).WithFieldManager(crd.FieldManager).Patch(o.Namespace, o.Name, patchType, patch, nil)
	if err != nil {
		return Change{}, err
	}
	would, err := json.Marshal(patched)
	if err != nil {
		return Change{}, fmt.Errorf("encode it: %w", err)
	}
	return changed(live, would)
}

// changed is the difference of an object's spec, data and the like, not of what the API
// server keeps itself.
func changed(before, after []byte) (Change, error) {
	var a, b map[string]any
	if err := errors.Join(json.Unmarshal(before, &a), json.Unmarshal(after, &b)); err != nil {
		return Change{}, fmt.Errorf("read the object: %w", err)
	}
	for _, o := range []map[string]any{a, b} {
		for _, kept := range []string{"managedFields", "resourceVersion", "generation"} {
			unstructured.RemoveNestedField(o, "metadata", kept)
		}
		delete(o, "status")
	}
	c := Change{Kind: Changed, Object: nameOf(a)}
	d := differ{secret: a["kind"] == "Secret"}
	d.compare("", a, b)
	c.Fields = d.out
	return c, nil
}

// same says whether a revision would be the one before it once more. Hooks are made from
// the same chart and values as the rest.
func same(p *Plan, before, after *release.Release) bool {
	if before.Info == nil || before.Info.Status != release.StatusDeployed || len(p.Changes) > 0 ||
		!isSameChart(before.Chart, after.Chart) || !sameValues(before.Config, after.Config) {
		return false
	}
	return !slices.ContainsFunc(p.CRDs, func(d crd.Decision) bool { return d.Action != crd.Same && d.Action != crd.Keep })
}

func isSameChart(a, b *chart.Chart) bool {
	return a != nil && b != nil && a.Metadata != nil && b.Metadata != nil && a.Metadata.Name == b.Metadata.Name &&
		a.Metadata.Version == b.Metadata.Version && a.Metadata.AppVersion == b.Metadata.AppVersion
}

// sameValues compares values as they are stored: a release that was read has other types of
// numbers than one that was made.
func sameValues(a, b map[string]any) bool {
	if len(a) == 0 && len(b) == 0 {
		return true
	}
	x, err := json.Marshal(a)
	if err != nil {
		return false
	}
	y, err := json.Marshal(b)
	return err == nil && bytes.Equal(x, y)
}
