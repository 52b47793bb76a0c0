package install

import (
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"helm.sh/helm/v3/pkg/chartutil"
	helmregistry "helm.sh/helm/v3/pkg/registry"

	"github.com/egctl/egctl/charts"
)

// push puts versions of the chart into a registry of their own, as hack/charts
// does, and returns the reference of the chart.
func push(t *testing.T, versions ...string) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	ref := strings.TrimPrefix(server.URL, "http://") + "/egctl/" + charts.Gateway
	client, err := helmregistry.NewClient(helmregistry.ClientOptPlainHTTP(), helmregistry.ClientOptWriter(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range versions {
		c, err := charts.LoadGateway(v)
		if err != nil {
			t.Fatal(err)
		}
		path, err := chartutil.Save(c, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, tag := range []string{v, strings.TrimPrefix(v, "v")} {
			if _, err := client.Push(data, ref+":"+tag, helmregistry.PushOptStrictMode(false)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return "oci://" + ref
}

// Charts come from a registry, a file, a folder, or from egctl itself, and bring
// their CRDs with them.
func TestLoad(t *testing.T) {
	ref := push(t, "v1.2.3", "v1.10.0", "v1.11.0-rc.1")
	own, err := charts.LoadGateway("v1.4.0")
	if err != nil {
		t.Fatal(err)
	}
	archive, err := chartutil.Save(own, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		chart   Chart
		version string
		err     string
	}{
		{"carried", Chart{Program: "v1.5.0"}, "v1.5.0", ""},
		{"carried, and asked for", Chart{Program: "v1.5.0", Version: "v1.5.0"}, "v1.5.0", ""},
		{"from a registry", Chart{Ref: ref, Version: "v1.2.3", PlainHTTP: true}, "v1.2.3", ""},
		{"the newest release", Chart{Ref: ref, PlainHTTP: true}, "v1.10.0", ""},
		{"a pre-release by name", Chart{Ref: ref, Version: "v1.11.0-rc.1", PlainHTTP: true}, "v1.11.0-rc.1", ""},
		{"a version that is not there", Chart{Ref: ref, Version: "v9.9.9", PlainHTTP: true}, "", "v9.9.9"},
		{"HTTPS by default", Chart{Ref: strings.Replace(ref, "127.0.0.1", "127.0.0.2", 1), Version: "v1.2.3"}, "", "oci://127.0.0.2"},
		{"an archive", Chart{Ref: archive}, "v1.4.0", ""},
		{"a file that is not there", Chart{Ref: "nowhere.tgz"}, "", "nowhere.tgz"},
		{"something else", Chart{Ref: "https://example.com/chart.tgz"}, "", "say oci://"},
	} {
		t.Run(c.name, func(t *testing.T) {
			loaded, err := c.chart.load(t.Context())
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if loaded.Metadata.Version != c.version {
				t.Errorf("version %s", loaded.Metadata.Version)
			}
			if data, err := definitions(loaded, nil); err != nil || !strings.Contains(string(data), "httproutes.gateway.networking.k8s.io") {
				t.Errorf("%d bytes of CRDs, %v", len(data), err)
			}
		})
	}
}

func TestValues(t *testing.T) {
	file := t.TempDir() + "/values.yaml"
	if err := os.WriteFile(file, []byte("deployment: {replicas: 3, priorityClassName: high}"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Values{Files: []string{file}, Set: []string{"deployment.replicas=2"}, SetString: []string{"commonLabels.a=1"}}.Merge()
	if err != nil {
		t.Fatal(err)
	}
	if s := fmt.Sprint(got); s != "map[commonLabels:map[a:1] deployment:map[priorityClassName:high replicas:2]]" {
		t.Error(s)
	}
	over := overlay(map[string]any{"a": map[string]any{"x": 1, "y": 2}}, got)
	if s := fmt.Sprint(over["a"]); s != "map[x:1 y:2]" || over["deployment"] == nil {
		t.Error(over)
	}
}
