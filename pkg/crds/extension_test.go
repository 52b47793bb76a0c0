package crds_test

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	extensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"

	"github.com/egctl/egctl/internal/crdgen"
	"github.com/egctl/egctl/pkg/crds"
)

// The definitions must be those of the Go types, or a cluster would accept what
// egctl cannot read, or drop what it could.
func TestExtensionEqualsTheTypes(t *testing.T) {
	want, err := crdgen.Extensions("github.com/egctl/egctl/api/...")
	if err != nil {
		t.Fatal(err)
	}
	names, err := crds.ExtensionNames()
	if err != nil || len(names) != len(want) {
		t.Fatalf("the types make %d files, package crds has %v (%v)", len(want), names, err)
	}
	for name, text := range want {
		got, err := crds.ExtensionYAML(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, text) {
			t.Errorf("%s is not that of the types: run go generate ./pkg/crds", name)
		}
		d, err := crdgen.Derive(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []crds.Channel{crds.Standard, crds.Experimental} {
			have, err := crds.Find(c, d.Group, d.Kind)
			if err != nil || have == nil {
				t.Fatalf("%s: no schema of %s: %v", c, d.Kind, err)
			}
			a, _ := json.Marshal(have)
			b, _ := json.Marshal(d.Definition)
			if !bytes.Equal(a, b) {
				t.Errorf("the schema of %s is not that of the types: run go generate ./pkg/crds", d.Kind)
			}
		}
	}
}

// An API server refuses definitions with rules that do not compile or may cost
// too much, and etcd those that are too big.
func TestAPIServersTakeTheExtension(t *testing.T) {
	list, err := crds.Extension()
	if err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 {
		t.Fatal("there are no definitions")
	}
	for _, m := range list {
		if m.Channel != "" || m.BundleVersion != "" {
			t.Errorf("%s says that it is of the Gateway API, %s %s", m.Name, m.BundleVersion, m.Channel)
		}
		if len(m.JSON) > 1<<20 {
			t.Errorf("%s has %d bytes", m.Name, len(m.JSON))
		}
		var v1 extensions.CustomResourceDefinition
		if err := json.Unmarshal(m.JSON, &v1); err != nil {
			t.Fatal(err)
		}
		extensions.SetDefaults_CustomResourceDefinition(&v1)
		extensions.SetDefaults_CustomResourceDefinitionSpec(&v1.Spec)
		v1.Status.StoredVersions = []string{v1.Spec.Versions[0].Name}
		var internal apiextensions.CustomResourceDefinition
		if err := extensions.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(&v1, &internal, nil); err != nil {
			t.Fatal(err)
		}
		for _, e := range validation.ValidateCustomResourceDefinition(context.Background(), &internal) {
			t.Errorf("%s: %v", m.Name, e)
		}
	}
}

// What the documentation and the muscle memory of users go by.
func TestNamesOfTheExtension(t *testing.T) {
	for kind, want := range map[string]struct{ plural, short string }{
		"EnvoyProxy": {"envoyproxies", "eproxy"},
	} {
		text, err := crds.ExtensionYAML("gateway.envoyproxy.io_" + want.plural + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{"kind: " + kind, "- " + want.short, "- envoy-gateway", "status: {}"} {
			if !bytes.Contains(text, []byte(line)) {
				t.Errorf("the definition of %s lacks %q", kind, line)
			}
		}
	}
}

func TestGatewayAPIToInstall(t *testing.T) {
	for c, kinds := range map[crds.Channel]int{crds.Standard: 10, crds.Experimental: 14} {
		list, err := crds.GatewayAPI(c)
		if err != nil {
			t.Fatal(err)
		}
		definitions := 0
		for i, m := range list {
			if m.BundleVersion != crds.Version || m.Name == "" || m.APIVersion == "" {
				t.Errorf("%s %s %q is of %q, want %s", m.APIVersion, m.Kind, m.Name, m.BundleVersion, crds.Version)
			}
			if m.Kind == "CustomResourceDefinition" {
				if m.Channel != c {
					t.Errorf("%s is of the channel %q, want %s", m.Name, m.Channel, c)
				}
				definitions++
				if definitions != i+1 {
					t.Errorf("%s: %s comes after what guards it", c, m.Name)
				}
			}
		}
		if definitions != kinds {
			t.Errorf("%s has %d kinds, want %d", c, definitions, kinds)
		}
		last := list[len(list)-2:]
		if got := []string{last[0].Kind, last[1].Kind}; !slices.Equal(got, []string{"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}) {
			t.Errorf("%s ends with %v, want the admission policy and its binding", c, got)
		}
	}
	if _, err := crds.GatewayAPI("nightly"); err == nil {
		t.Error("a channel that does not exist gives no error")
	}
	if _, err := crds.GatewayAPI(crds.ExtensionDir); err == nil {
		t.Error("the extension passes for a channel of the Gateway API")
	}
}
