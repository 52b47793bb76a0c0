package crd

import (
	"context"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"
	"sigs.k8s.io/yaml"
)

func TestHas(t *testing.T) {
	var o map[string]any
	if err := yaml.Unmarshal([]byte(`
spec:
  empty: []
  rules: [{name: a}, {name: b, sticky: {cookie: {}}}]
  options: {x: {deep: 1}, y: {}}
  grid: [[], [{cell: 1}]]
`), &o); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		"spec": true, "status": false, "spec.empty": true, "spec.empty[]": false, "spec.empty[].a": false,
		"spec.rules[].name": true, "spec.rules[].sticky.cookie": true, "spec.rules[].sticky.session": false, "spec.rules.sticky": false,
		"spec.options{}.deep": true, "spec.options{}.other": false, "spec.grid[][].cell": true, "spec.grid[].cell": false,
	} {
		if got := has(o, path); got != want {
			t.Errorf("%s: %t", path, got)
		}
	}
}

// A field that goes with a release stands in the way only if an object has it.
func TestFieldLossThatNobodyNotices(t *testing.T) {
	route := func(name string, spec map[string]any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Thing", "metadata": map[string]any{"name": name, "namespace": "n"}, "x": spec["x"], "a": "1",
		}}
	}
	without := route("without", nil)
	delete(without.Object, "x")
	with := route("with", map[string]any{"x": "1"})
	old, next := "v1.6.1 experimental v1:a,x stored=v1", "v1.7.0 experimental v1:a,b"
	for name, test := range map[string]struct {
		objects      []runtime.Object
		live, wanted string
		action       Action
		reason       string
	}{
		"no objects":           {nil, old, next, Update, ""},
		"objects without it":   {[]runtime.Object{without}, old, next, Update, ""},
		"an object with it":    {[]runtime.Object{without, with}, old, next, Refuse, "used by n/with (x)"},
		"a version":            {nil, "v1.6.1 experimental v1:a v1beta1:a stored=v1", next, Refuse, "clients of v1beta1"},
		"somebody's own kind":  {nil, "other v1:a,x", "other v1:a,b", Refuse, "lacks v1 x"},
		"without a release":    {nil, "none v1:a,x", next, Refuse, "does not say"},
		"of the other channel": {nil, "v1.6.1 standard v1:a,x", next, Keep, "standard"},
	} {
		t.Run(name, func(t *testing.T) {
			live, wanted := definition(t, test.live), definition(t, test.wanted)
			if err := unstructured.SetNestedField(live.Object, "things", "spec", "names", "plural"); err != nil {
				t.Fatal(err)
			}
			kinds := map[schema.GroupVersionResource]string{
				{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "things"}: "ThingList",
			}
			c := Client{Interface: fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds, test.objects...)}
			d, err := c.weigh(context.Background(), live, Decide(live, wanted, Policy{}))
			if err != nil || d.Action != test.action || !strings.Contains(d.Reason, test.reason) || (d.Action == Update) != d.Unused {
				t.Errorf("%+v, error %v", d, err)
			}
			if d.Action == Update && strings.Join(d.Lost, " ") != "v1 x" {
				t.Errorf("what goes is not told: %+v", d)
			}
		})
	}
}
