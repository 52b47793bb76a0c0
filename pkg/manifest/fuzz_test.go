package manifest_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/manifest"
)

// FuzzParse holds every document to what readers of a set rely on.
func FuzzParse(f *testing.F) {
	defaults, err := os.ReadFile("testdata/defaults.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, part := range bytes.Split(defaults, []byte("---\n")) {
		f.Add(part)
	}
	f.Add(routes(2))
	f.Add([]byte("%YAML 1.1\n---\na: &a [*a, <<: *a]\n...\n--- !!binary x\n\uFEFF# c\r\n? [k]\n: v\n"))
	f.Add([]byte(`{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"List","items":[null,{}]}]}{"kind":7}`))
	f.Add([]byte("apiVersion: v1\nkind: Secret\nmetadata: {name: s, creationTimestamp: 1, generation: 1e400}\ndata: {a: =, <<: [{b: c}, 1]}\n"))
	f.Add([]byte("apiVersion: v1\nkind: Service\nmetadata: &m {name: s, labels: *m}\nspec: {ports: [{port: 0x1F, targetPort: 1.5}]}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		// The YAML parser also ends lines at what editors do not.
		lines := 1
		for _, end := range []string{"\n", "\r", "\u0085", "\u2028", "\u2029"} {
			lines += bytes.Count(data, []byte(end))
		}
		utf16 := bytes.HasPrefix(data, []byte{0xFF, 0xFE}) || bytes.HasPrefix(data, []byte{0xFE, 0xFF})
		set := manifest.NewSet(manifest.Parse("f", data, "default"))
		for _, d := range set.Documents {
			if !utf16 && (d.Line < 1 || d.Line > lines) {
				t.Errorf("document on line %d of %d", d.Line, lines)
			}
			if d.Object == nil {
				continue
			}
			if d.Object.GetName() != d.Key.Name || d.Object.GetNamespace() != d.Key.Namespace {
				t.Errorf("%s holds %s/%s", d.Key, d.Object.GetNamespace(), d.Object.GetName())
			}
			if _, err := d.Value(); err != nil {
				t.Errorf("%s was decoded and has no value: %v", d.Key, err)
			}
		}
		for _, f := range set.Findings() {
			p, ok := set.Position(f.Object, f.Path)
			if !ok || p.File != "f" || p.Line < 1 || p.Column < 1 {
				t.Errorf("%s is at %v (%v)", f, p, ok)
			}
		}
		set.Position(finding.Object{}, "a[b].c[1]")
		set.Objects()
	})
}

// FuzzSplit puts a document of its own before and after whatever comes: both
// must be read, whatever stands between them.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{"", "a: [", "x: \"\n", "|\n  x\n", "...\n", "---", "--- |\n", "%TAG ! x\n", "\uFEFF", "# c", "{\"a\":1}\n{", "\r", "'"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, between []byte) {
		before, after := configMap("before"), configMap("after")
		data := []byte(before + "---\n" + string(between) + "\n...\n---\n" + after)
		docs := manifest.Parse("f", data, "")
		first, last := docs[0], docs[len(docs)-1]
		if first.Key.Name != "before" || first.Object == nil || first.Line != 1 {
			t.Errorf("the first document was read as %s on line %d: %v", first.Key, first.Line, first.Findings())
		}
		if want := bytes.Count(data, []byte{'\n'}) - 3; last.Key.Name != "after" || last.Object == nil || last.Line != want {
			t.Errorf("the last document was read as %s on line %d, not %d: %v", last.Key, last.Line, want, last.Findings())
		}
	})
}
