package validation

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/egctl/egctl/pkg/crds"
)

// manifests adds the objects of files: the Gateway API's examples and those of its
// conformance suite, and the inputs of the translator's golden files.
func (p *pool) manifests(t *testing.T) {
	t.Helper()
	for _, dir := range []string{
		module(t, "sigs.k8s.io/gateway-api") + "/hack/invalid-examples",
		module(t, "sigs.k8s.io/gateway-api") + "/examples",
		"../../../pkg/translate/testdata",
		module(t, "sigs.k8s.io/gateway-api/conformance") + "/base",
		module(t, "sigs.k8s.io/gateway-api/conformance") + "/tests",
	} {
		n := len(p.list)
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			switch filepath.Ext(path) {
			case ".yaml":
				text, err := os.ReadFile(path)
				p.documents(text)
				return err
			case ".txtar":
				archive, err := txtar.ParseFile(path)
				if err != nil {
					return err
				}
				for _, f := range archive.Files {
					if f.Name == "input.yaml" {
						p.documents(f.Data)
					}
				}
			}
			return nil
		})
		if err != nil || len(p.list) == n {
			t.Fatalf("%s: %d objects, error %v", dir, len(p.list)-n, err)
		}
	}
}

// documents adds the objects of the gateway in a manifest. What is no YAML, such as a
// template, is passed over.
func (p *pool) documents(text []byte) {
	for r := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text))); ; {
		doc, err := r.Read()
		if err != nil {
			return
		}
		var o map[string]any
		if err := sigsyaml.Unmarshal(doc, &o); err != nil {
			continue
		}
		p.normal(o)
	}
}

// normal adds an object under a name of its own, if it is the gateway's.
func (p *pool) normal(o map[string]any) {
	version, _ := o["apiVersion"].(string)
	name, _ := o["kind"].(string)
	group, _, _ := strings.Cut(version, "/")
	if group != "gateway.networking.k8s.io" && group != "gateway.networking.x-k8s.io" && group != "gateway.envoyproxy.io" || name == "" {
		return
	}
	o = maps.Clone(o)
	o["metadata"] = map[string]any{"name": "test"}
	delete(o, "status")
	p.add(o)
}

func module(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", name).Output()
	if err != nil {
		t.Fatalf("find the module %s: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}

// schemaOf is the schema of an object's version; nil for a kind that is not the
// gateway's, and for a version that is not served.
func schemaOf(t *testing.T, o map[string]any) *schema {
	t.Helper()
	group, version, _ := strings.Cut(o["apiVersion"].(string), "/")
	d, err := crds.Find(crds.Experimental, group, o["kind"].(string))
	if err != nil {
		t.Fatal(err)
	}
	if d == nil || d.Schemas[version] == nil {
		return nil
	}
	var s schema
	if err := json.Unmarshal(d.Schemas[version], &s); err != nil {
		t.Fatal(err)
	}
	return &s
}
