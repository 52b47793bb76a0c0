package crds_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/egctl/egctl/internal/crdgen"
	"github.com/egctl/egctl/pkg/crds"
)

// The definitions must be those of the module that the Go types come from, or
// egctl would judge objects by another release than the one it speaks.
func TestDefinitionsEqualTheModule(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}} {{.Dir}}", "sigs.k8s.io/gateway-api").Output()
	if err != nil {
		t.Fatalf("find the module: %v", err)
	}
	version, dir, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if version != crds.Version {
		t.Errorf("go.mod has Gateway API %s, package crds says %s", version, crds.Version)
	}
	defaults := map[string][]crds.Default{}
	for _, c := range []crds.Channel{crds.Standard, crds.Experimental} {
		names, err := crds.Names(c)
		if err != nil {
			t.Fatal(err)
		}
		paths, err := filepath.Glob(filepath.Join(dir, "config", "crd", string(c), "*_*.yaml"))
		if err != nil || len(paths) != len(names) {
			t.Fatalf("%s: the module has %d files, package crds %d (%v)", c, len(paths), len(names), err)
		}
		for _, p := range paths {
			want, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			got, err := crds.YAML(c, filepath.Base(p))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s/%s differs from the module's: run go generate ./pkg/crds", c, filepath.Base(p))
			}
			d, err := crdgen.Derive(want)
			if err != nil {
				t.Fatal(err)
			}
			if d == nil {
				continue
			}
			have, err := crds.Find(c, d.Group, d.Kind)
			if err != nil || have == nil {
				t.Fatalf("%s has no schema of %s: %v", c, d.Kind, err)
			}
			a, _ := json.Marshal(have)
			b, _ := json.Marshal(d.Definition)
			if !bytes.Equal(a, b) {
				t.Errorf("%s: the schema of %s is not the one derived from the module: run go generate ./pkg/crds", c, d.Kind)
			}
			for v, ds := range d.Defaults {
				defaults[crds.DefaultsKey(d.Group, v, d.Kind)] = ds
			}
		}
	}
	texts, err := crdgen.Extensions("github.com/egctl/egctl/api/...")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range texts {
		d, err := crdgen.Derive(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for v, ds := range d.Defaults {
			defaults[crds.DefaultsKey(d.Group, v, d.Kind)] = ds
		}
	}
	want, err := crdgen.EncodeDefaults(defaults)
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile("defaults.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Error("defaults.json is not derived from the definitions: run go generate ./pkg/crds")
	}
}

func TestKindsOutsideAChannelAreNotFound(t *testing.T) {
	for _, k := range []struct {
		channel crds.Channel
		group   string
		kind    string
		found   bool
	}{
		{crds.Standard, "gateway.networking.k8s.io", "HTTPRoute", true},
		{crds.Standard, "gateway.networking.x-k8s.io", "XMesh", false},
		{crds.Experimental, "gateway.networking.x-k8s.io", "XMesh", true},
		{crds.Experimental, "apps", "Deployment", false},
		{crds.Experimental, "../crds", "x", false},
	} {
		d, err := crds.Find(k.channel, k.group, k.kind)
		if err != nil || (d != nil) != k.found {
			t.Errorf("%s %s: found %v, error %v; want found %v", k.channel, k.kind, d != nil, err, k.found)
		}
	}
}
