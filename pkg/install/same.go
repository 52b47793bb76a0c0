package install

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/release"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/egctl/egctl/pkg/install/crd"
)

// lost are the objects of a manifest that are not in the cluster. One that may not be read
// is taken to be there.
func (i *Installer) lost(manifest string) ([]string, error) {
	all, err := i.helm.KubeClient.Build(strings.NewReader(manifest), false)
	if err != nil {
		return nil, fmt.Errorf("read the new manifest: %w", err)
	}
	var out []string
	for _, o := range all {
		if err := o.Get(); apierrors.IsNotFound(err) {
			out = append(out, o.ObjectName())
		}
	}
	return out, nil
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
