package charts_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/releaseutil"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"

	"github.com/egctl/egctl/charts"
	"github.com/egctl/egctl/pkg/crds"
	"github.com/egctl/egctl/pkg/envoy"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func gateway(t *testing.T, version string) *chart.Chart {
	t.Helper()
	c, err := charts.LoadGateway(version)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// render does what `helm template` does.
func render(c *chart.Chart, values string) (*release.Release, error) {
	var v map[string]any
	if err := yaml.Unmarshal([]byte(values), &v); err != nil {
		return nil, err
	}
	install := action.NewInstall(&action.Configuration{Log: func(string, ...any) {}})
	install.ClientOnly, install.DryRun = true, true
	install.ReleaseName, install.Namespace = "eg", "envoy-gateway-system"
	install.KubeVersion = &chartutil.KubeVersion{Version: "v1.34.0", Major: "1", Minor: "34"}
	return install.Run(c, v)
}

// TestGateway renders gateway-helm with the values of each case.
func TestGateway(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			r, err := render(gateway(t, "v1.2.3"), string(archive.Files[0].Data))
			if err != nil {
				t.Fatal(err)
			}
			check(t, r.Manifest)
			got := documents(r.Manifest)
			if *update {
				archive.Files = append(archive.Files[:1], txtar.File{Name: "rendered.yaml", Data: []byte(got)})
				if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if len(archive.Files) != 2 || got != string(archive.Files[1].Data) {
				t.Errorf("rendered otherwise; run go test ./charts -update and read the diff:\n%s", got)
			}
		})
	}
}

// documents is a manifest without empty documents, in the order of its sources.
func documents(manifest string) string {
	split := releaseutil.SplitManifests(manifest)
	keys := make([]string, 0, len(split))
	for k := range split {
		keys = append(keys, k)
	}
	sort.Sort(releaseutil.BySplitManifestsOrder(keys))
	var b strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&b, "---\n%s\n", strings.TrimSpace(split[k]))
	}
	return b.String()
}

// check reads every object as the API server would, strictly.
func check(t *testing.T, manifest string) {
	t.Helper()
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	for _, doc := range releaseutil.SplitManifests(manifest) {
		if strings.Contains(doc, "kind: ServiceMonitor") {
			continue // not of Kubernetes
		}
		if _, _, err := decoder.Decode([]byte(doc), nil, nil); err != nil {
			t.Errorf("%v in\n%s", err, doc)
		}
	}
}

// A value that does not exist, or of the wrong kind, is refused by its name.
func TestWrongValuesAreRefused(t *testing.T) {
	for values, want := range map[string]string{
		`deploiment: {}`:                                   "deploiment",
		`deployment: {replicas: many}`:                     "replicas",
		`deployment: {envoyGateway: {imagePullPolicy: x}}`: "imagePullPolicy",
		`service: {type: Loadbalancer}`:                    "service",
		`config: {envoyGateway: {provider: {kubernetes: {deploy: {type: Everywhere}}}}}`: "deploy",
		`podDisruptionBudget: {minAvailable: half}`:                                      "minAvailable",
	} {
		if _, err := render(gateway(t, ""), values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", values, err)
		}
	}
}

// The chart names the Envoy that the program is made for, and its image goes by
// the program's version.
func TestImages(t *testing.T) {
	r, err := render(gateway(t, "v1.2.3"), "global: {imageRegistry: example.com}")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"image: example.com/envoyproxy/envoy:distroless-v" + envoy.Version + "\n", "image: example.com/egctl/egctl:v1.2.3\n"} {
		if !strings.Contains(r.Manifest, want) {
			t.Errorf("no %q", want)
		}
	}
	for version, want := range map[string]string{
		"v1.2.3": "egctl:v1.2.3", "v1.2.3-4-gabcdef0": "egctl:v1.2.3-4-gabcdef0",
		"0d743c6-dirty": "egctl:latest", "unknown": "egctl:latest", "": "egctl:latest",
	} {
		r, err := render(gateway(t, version), "")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(r.Manifest, "image: docker.io/egctl/"+want+"\n") {
			t.Errorf("version %q: no image %s", version, want)
		}
	}
}

// A release is recorded in a Secret of at most 1 MiB, which holds the chart.
func TestReleaseFitsItsSecret(t *testing.T) {
	r, err := render(gateway(t, "v1.2.3"), "")
	if err != nil {
		t.Fatal(err)
	}
	if n := recorded(t, r); n > 64<<10 {
		t.Errorf("a release of %d bytes: is the chart's list of CRDs part of it?", n)
	}
	own, err := crds.ExtensionNames()
	if n := len(r.Chart.CRDObjects()); err != nil || n != 14+len(own) {
		t.Errorf("the chart has %d CRDs, %v", n, err)
	}
	r, err = render(gateway(t, "v1.2.3"), "crds: {enabled: false}")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(r.Chart.CRDObjects()); n != 0 {
		t.Errorf("crds.enabled=false leaves %d CRDs", n)
	}
}

// recorded is the size of a release as Helm's Secrets driver stores it.
func recorded(t *testing.T, r *release.Release) int {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var zipped bytes.Buffer
	w, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodedLen(zipped.Len())
}

func TestCRDChart(t *testing.T) {
	own, err := crds.ExtensionNames()
	if err != nil || len(own) == 0 {
		t.Fatalf("%d extension kinds, %v", len(own), err)
	}
	for values, want := range map[string]int{
		`crds: {envoyGateway: {enabled: true}}`:                              len(own),
		`crds: {gatewayAPI: {enabled: true}, envoyGateway: {enabled: true}}`: 16 + len(own),
		``: 0,
		`crds: {gatewayAPI: {enabled: true, channel: standard, safeUpgradePolicy: {enabled: false}}}`: 10,
		`crds: {gatewayAPI: {enabled: true, channel: standard}}`:                                      12,
		`crds: {gatewayAPI: {enabled: true}}`:                                                         16,
	} {
		c, err := charts.LoadCRDs("v1.2.3")
		if err != nil {
			t.Fatal(err)
		}
		r, err := render(c, values)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(releaseutil.SplitManifests(r.Manifest)); n != want {
			t.Errorf("%s: %d objects, want %d", values, n, want)
		}
		// It is for `helm template`, and yet must not fail where it is installed.
		if n := recorded(t, r); n > 1<<20 {
			t.Errorf("%s: a release of %d bytes does not fit its Secret", values, n)
		}
	}
}

// What Helm has to say about the charts as they are packaged.
func TestLint(t *testing.T) {
	for _, load := range []func(string) (*chart.Chart, error){charts.LoadGateway, charts.LoadCRDs} {
		c, err := load("v1.2.3")
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := chartutil.SaveDir(c, dir); err != nil {
			t.Fatal(err)
		}
		for _, m := range lint.All(filepath.Join(dir, c.Name()), nil, "envoy-gateway-system", true).Messages {
			if m.Severity > support.InfoSev {
				t.Errorf("%s: %v", c.Name(), m)
			}
		}
	}
}

// The folder in the repository has no CRDs, and must not be installed like that.
func TestFolderAloneIsRefused(t *testing.T) {
	c, err := loader.LoadDir(charts.Gateway)
	if err != nil {
		t.Fatal(err)
	}
	err = action.CheckDependencies(c, c.Metadata.Dependencies)
	if err == nil || !strings.Contains(err.Error(), "crds") {
		t.Errorf("got %v", err)
	}
}
