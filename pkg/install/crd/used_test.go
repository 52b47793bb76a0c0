package crd

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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
	without := unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": "without", "namespace": "n"}, "a": "1"}}
	with := unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": "with", "namespace": "n"}, "a": "1", "x": "1"}}
	old, next := "v1.6.1 experimental v1:a,x stored=v1", "v1.7.0 experimental v1:a,b"
	for name, test := range map[string]struct {
		objects      []unstructured.Unstructured
		live, wanted string
		action       Action
		reason       string
	}{
		"no objects":           {nil, old, next, Update, ""},
		"objects without it":   {[]unstructured.Unstructured{without}, old, next, Update, ""},
		"an object with it":    {[]unstructured.Unstructured{without, with}, old, next, Refuse, "used by n/with (x)"},
		"a version":            {nil, "v1.6.1 experimental v1:a v1beta1:a stored=v1", next, Refuse, "clients of v1beta1"},
		"somebody's own kind":  {nil, "other v1:a,x", "other v1:a,b", Refuse, "lacks v1 x"},
		"without a release":    {nil, "none v1:a,x", next, Refuse, "does not say"},
		"of the other channel": {nil, "v1.6.1 standard v1:a,x", next, Keep, "standard"},
	} {
		t.Run(name, func(t *testing.T) {
			live, wanted := definition(t, test.live), definition(t, test.wanted)
			d := Decide(live, wanted, Policy{})
			if weighable(live, d) {
				d = d.weighed(map[string][]unstructured.Unstructured{"v1": test.objects})
			}
			if d.Action != test.action || !strings.Contains(d.Reason, test.reason) || (d.Action == Update) != d.Unused {
				t.Errorf("%+v", d)
			}
			if d.Action == Update && strings.Join(d.Lost, " ") != "v1 x" {
				t.Errorf("what goes is not told: %+v", d)
			}
		})
	}
}
