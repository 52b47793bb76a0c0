package manifest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/egctl/egctl/pkg/manifest"
)

func many(n, edited int) []byte {
	var b strings.Builder
	for i := range n {
		path := "/"
		if i == edited {
			path = "/edited"
		}
		fmt.Fprintf(&b, `---
# route %d
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r%d}
spec:
  rules:
  - matches: [{path: {value: %s}}]
    backendRefs: [{name: web, port: 8080, weird: 1}]
`, i, i, path)
	}
	return []byte(b.String())
}

// TestReparse: what stayed as it was keeps its object and its findings, and stands
// where it now stands.
func TestReparse(t *testing.T) {
	before := manifest.Parse("f.yaml", many(3, -1), "default")
	after := manifest.Reparse("f.yaml", append([]byte("# a comment\n"), many(3, 1)...), "default", before)
	if len(after) != 3 {
		t.Fatalf("%d documents", len(after))
	}
	for i, d := range after {
		if same := d.Object == before[i].Object; same != (i != 1) {
			t.Errorf("document %d is decoded anew: %v", i, !same)
		}
		if len(d.Findings()) != 1 {
			t.Errorf("document %d has the findings %v", i, d.Findings())
		}
		at, _ := d.Position("spec.rules[0].backendRefs")
		if want := before[i].Line + 1; d.Line != want || at.Line != want+6 {
			t.Errorf("document %d is in line %d, its field in %d; want %d and %d", i, d.Line, at.Line, want, want+6)
		}
	}
	// Another file of the same text is another document.
	if other := manifest.Reparse("g.yaml", many(3, -1), "default", before); other[0].Object == before[0].Object {
		t.Error("two files share an object")
	}
}

func BenchmarkReparse(b *testing.B) {
	before := manifest.Parse("f.yaml", many(5000, -1), "default")
	for i := 0; b.Loop(); i++ {
		before = manifest.Reparse("f.yaml", many(5000, i%5000), "default", before)
	}
}

func BenchmarkParse(b *testing.B) {
	for i := 0; b.Loop(); i++ {
		manifest.Parse("f.yaml", many(5000, i%5000), "default")
	}
}
