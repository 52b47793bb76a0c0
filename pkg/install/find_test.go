package install

import (
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/release"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/egctl/egctl/charts"
)

// recorded is an installer whose releases are in memory, and whose cluster does not answer.
// It returns what the installer says, too.
func recorded(t *testing.T, releases ...*release.Release) (*Installer, *[]string) {
	t.Helper()
	nowhere, said := "http://127.0.0.1:1", []string{}
	flags := genericclioptions.NewConfigFlags(true)
	flags.APIServer = &nowhere
	i, err := New(Options{Getter: flags, Namespace: "ns", Driver: "memory", Say: func(s string) { said = append(said, s) }})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range releases {
		r.Namespace = "ns"
		if r.Info == nil {
			r.Info = &release.Info{Status: release.StatusDeployed}
		}
		if err := i.helm.Releases.Create(r); err != nil {
			t.Fatal(err)
		}
	}
	return i, &said
}

func of(name string) *chart.Chart { return &chart.Chart{Metadata: &chart.Metadata{Name: name}} }

// Only a controller's release is changed or removed, by whatever name.
func TestFind(t *testing.T) {
	const (
		config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {envoy-gateway.yaml: 'gateway: {}'}\n"
		deploy = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: envoy-gateway}\n"
		other  = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: redis}\n"
	)
	i, _ := recorded(t,
		&release.Release{Name: "eg", Version: 1, Chart: of(charts.Gateway)},
		&release.Release{Name: "eg-crds", Version: 1, Chart: of(charts.CRDs)},
		&release.Release{Name: "redis", Version: 1, Chart: of("redis"), Manifest: other},
		&release.Release{Name: "renamed", Version: 1, Chart: of("company-gateway"), Manifest: config},
		&release.Release{Name: "umbrella", Version: 1, Chart: of("umbrella"), Manifest: other + "---\n" + deploy},
	)
	for name, want := range map[string]string{
		"": "", "eg": "", "renamed": "", "umbrella": "",
		"eg-crds": "chart gateway-crds-helm", "redis": "chart redis", "absent": "not installed",
	} {
		r, err := i.Find(name)
		switch {
		case want == "" && err != nil:
			t.Errorf("release %q: %v", name, err)
		case want == "" && name != "" && r.Name != name:
			t.Errorf("release %q is %s", name, r.Name)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("release %q: error %v, want %q in it", name, err, want)
		}
	}
	if r, err := i.Find(""); err != nil || r.Name != "eg" {
		t.Errorf("without a name: %v, %v", r, err)
	}
	for _, name := range []string{"redis", "eg-crds"} {
		if _, err := i.PlanUninstall(t.Context(), name, true); err == nil || !strings.Contains(err.Error(), "helm") {
			t.Errorf("%s may be uninstalled, with definitions: %v", name, err)
		}
		if _, err := i.PlanUpgrade(t.Context(), Request{Name: name}); err == nil || !strings.Contains(err.Error(), "helm") {
			t.Errorf("%s may be upgraded: %v", name, err)
		}
	}
}
