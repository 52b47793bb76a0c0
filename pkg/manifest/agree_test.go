package manifest_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	extensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/egctl/egctl/pkg/crds"
	"github.com/egctl/egctl/pkg/manifest"
	"github.com/egctl/egctl/pkg/store"
)

// asInCluster reads a document the way kubectl and an API server together do:
// YAML to JSON, schema defaults on the untyped value, JSON to the Go type.
func asInCluster(t *testing.T, raw []byte, info store.KindInfo) store.Object {
	t.Helper()
	j, err := yaml.YAMLToJSON(raw)
	if err != nil {
		t.Fatalf("yaml: %v\n%s", err, raw)
	}
	var u map[string]any
	if err := json.Unmarshal(j, &u); err != nil {
		t.Fatal(err)
	}
	_, version, _ := strings.Cut(u["apiVersion"].(string), "/")
	if s := structural(t, info.Kind, version); s != nil {
		defaulting.PruneNonNullableNullsWithoutDefaults(u, s)
		defaulting.Default(u, s)
	}
	o := info.New()
	if j, err = json.Marshal(u); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(j, o); err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	o.GetObjectKind().SetGroupVersionKind(info.New().GetObjectKind().GroupVersionKind())
	return o
}

func structural(t *testing.T, k store.Kind, version string) *schema.Structural {
	t.Helper()
	d, err := crds.Find(crds.Experimental, k.Group, k.Kind)
	if err != nil {
		t.Fatal(err)
	}
	if d == nil || d.Schemas[version] == nil {
		return nil
	}
	var props extensions.JSONSchemaProps
	var internal apiextensions.JSONSchemaProps
	if err := json.Unmarshal(d.Schemas[version], &props); err != nil {
		t.Fatal(err)
	}
	if err := extensions.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(&props, &internal, nil); err != nil {
		t.Fatal(err)
	}
	s, err := schema.NewStructural(&internal)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func compare(t *testing.T, d *manifest.Document) {
	t.Helper()
	info, ok := store.Info(d.Key.Kind)
	if !ok || d.Object == nil {
		return
	}
	want := asInCluster(t, d.Raw, info)
	if info.Group == "" {
		return // the API server's defaults of built-in kinds are tested apart
	}
	got := d.Object.DeepCopyObject().(store.Object)
	want.SetGeneration(got.GetGeneration())
	want.SetNamespace(got.GetNamespace())
	// Empty and absent lists are the same in JSON once written.
	a, b := toJSON(t, got), toJSON(t, want)
	if !reflect.DeepEqual(a, b) {
		got, _ := yaml.Marshal(a)
		want, _ := yaml.Marshal(b)
		t.Errorf("%s:%d %s differs from the cluster's. egctl:\n%s\ncluster:\n%s", d.File, d.Line, d.Key, got, want)
	}
}

func toJSON(t *testing.T, o runtime.Object) (v any) {
	t.Helper()
	b, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// Every example of the Gateway API must mean here what it means in a cluster.
func TestExamplesReadAsInACluster(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api").Output()
	if err != nil {
		t.Fatalf("find the module: %v", err)
	}
	objects := 0
	root := filepath.Join(strings.TrimSpace(string(out)), "examples")
	err = filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !manifest.IsManifest(p) {
			return err
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		for _, d := range manifest.Parse(filepath.Base(p), data, "default") {
			for _, f := range d.Findings() {
				if f.Severity > 1 {
					t.Errorf("%s:%d: %s", p, d.Line, f)
				}
			}
			if d.Object != nil {
				objects++
			}
			compare(t, d)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if objects < 100 {
		t.Errorf("only %d objects in the examples", objects)
	}
}

// One document for each field that has a default, and for the odd forms.
func TestDefaultsAreTheSchemas(t *testing.T) {
	data, err := os.ReadFile("testdata/defaults.yaml")
	if err != nil {
		t.Fatal(err)
	}
	docs := manifest.Parse("defaults.yaml", data, "default")
	covered := map[string]bool{}
	for _, d := range docs {
		if d.Object == nil {
			t.Errorf("line %d: %s is not decoded: %v", d.Line, d.Key, d.Findings())
			continue
		}
		compare(t, d)
		list, err := crds.Defaults(d.Key.Group, d.Version(), d.Key.Kind.Kind)
		if err != nil {
			t.Fatal(err)
		}
		value, err := d.Value()
		if err != nil {
			t.Fatal(err)
		}
		for _, def := range list {
			if parentExists(value, def.Path) {
				covered[d.Key.Kind.Kind+" "+d.Version()+" "+strings.Join(def.Path, ".")] = true
			}
		}
	}
	for _, info := range store.Kinds {
		list, err := crds.Defaults(info.Group, info.Version, info.Kind.Kind)
		if err != nil {
			t.Fatal(err)
		}
		for _, def := range list {
			if name := info.Kind.Kind + " " + info.Version + " " + strings.Join(def.Path, "."); !covered[name] {
				t.Errorf("testdata/defaults.yaml does not exercise the default of %s", name)
			}
		}
	}
}

// parentExists says whether a default at path can have taken effect in v.
func parentExists(v any, path []string) bool {
	switch x := v.(type) {
	case map[string]any:
		if len(path) == 1 {
			_, given := x[path[0]]
			return !given
		}
		if path[0] == crds.EachValue {
			for _, c := range x {
				if parentExists(c, path[1:]) {
					return true
				}
			}
			return false
		}
		c, ok := x[path[0]]
		return ok && parentExists(c, path[1:])
	case []any:
		for _, c := range x {
			if len(path) > 1 && parentExists(c, path[1:]) {
				return true
			}
		}
	}
	return false
}
