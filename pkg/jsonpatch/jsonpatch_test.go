package jsonpatch

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/egctl/egctl/api/v1alpha1"
)

const doc = `{"a":{"b":[1,2,3]},"list":[{"name":"x","n":1},{"name":"y","n":2},{"name":"x","n":3}],"t/~":0}`

func TestApply(t *testing.T) {
	for _, test := range []struct{ name, patch, want, problem string }{
		{"add", `[{op: add, path: /a/c, value: {d: 1}}]`, `{"a":{"b":[1,2,3],"c":{"d":1}}`, ""},
		{"add to a list", `[{op: add, path: /a/b/-, value: 4}]`, `"b":[1,2,3,4]`, ""},
		{"add with parents", `[{op: add, path: /x/y/z, value: 1}]`, `"x":{"y":{"z":1}}`, ""},
		{"replace", `[{op: replace, path: /a/b/0, value: 9}]`, `"b":[9,2,3]`, ""},
		{"remove", `[{op: remove, path: /a}]`, `{"list"`, ""},
		{"move", `[{op: move, from: /a/b, path: /c}]`, `"c":[1,2,3]`, ""},
		{"copy", `[{op: copy, from: /a/b/2, path: /c}]`, `"c":3`, ""},
		{"test", `[{op: test, path: /a/b/0, value: 1}, {op: remove, path: /list}]`, `{"a":{"b":[1,2,3]},"t/~":0}`, ""},
		{"null is no value", `[{op: add, path: /n, value: null}]`, "", "missing value"},
		{"jsonPath", `[{op: replace, jsonPath: "$.list[?@.name == 'x']", path: /n, value: 7}]`, `[{"name":"x","n":7},{"name":"y","n":2},{"name":"x","n":7}]`, ""},
		{"jsonPath removes several", `[{op: remove, jsonPath: "$.list[?@.name == 'x']"}]`, `"list":[{"name":"y","n":2}]`, ""},
		{"jsonPath to a name with signs", `[{op: replace, jsonPath: "$['t/~']", value: 5}]`, `"t/~":5`, ""},

		{"no such place", `[{op: replace, path: /nothing, value: 1}]`, "", "patch 0 (replace): "},
		{"second is wrong", `[{op: remove, path: /a}, {op: remove, path: /a}]`, "", "patch 1 (remove): "},
		{"failed test", `[{op: test, path: /a/b/0, value: 2}]`, "", "patch 0 (test): "},
		{"no match", `[{op: remove, jsonPath: "$.list[?@.name == 'z']"}]`, "", "matches nothing"},
		{"bad jsonPath", `[{op: remove, jsonPath: "list["}]`, "", "jsonPath \"list[\""},
		{"no place at all", `[{op: remove}]`, "", "neither path nor jsonPath"},
		{"no value", `[{op: add, path: /x}]`, "", "patch 0 (add)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var operations []v1alpha1.JSONPatchOperation
			if err := yaml.UnmarshalStrict([]byte(test.patch), &operations); err != nil {
				t.Fatal(err)
			}
			got, err := Apply([]byte(doc), operations)
			if test.problem != "" {
				if err == nil || !strings.Contains(err.Error(), test.problem) {
					t.Errorf("got %s, %v, want %q", got, err, test.problem)
				}
				return
			}
			canonical := func(text string) string {
				out, err := yaml.YAMLToJSON([]byte(text))
				if err != nil {
					t.Fatal(err)
				}
				return string(out)
			}
			if err != nil {
				t.Fatal(err)
			}
			// Keys may be in the order of the document, or sorted.
			if !strings.Contains(string(got), test.want) && !strings.Contains(canonical(string(got)), test.want) {
				t.Errorf("got %s, want %s in it", got, test.want)
			}
		})
	}
}

func FuzzApply(f *testing.F) {
	f.Add(doc, `[{"op":"replace","jsonPath":"$.list[?@.name == 'x']","path":"/n","value":7}]`)
	f.Add(doc, `[{"op":"move","from":"/a","path":"/a/b"}]`)
	f.Fuzz(func(t *testing.T, doc, text string) {
		var operations []v1alpha1.JSONPatchOperation
		if yaml.Unmarshal([]byte(text), &operations) != nil {
			return
		}
		_, _ = Apply([]byte(doc), operations) // must return
	})
}
