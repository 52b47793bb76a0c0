package docs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/egctl/egctl/internal/docs"
	"github.com/egctl/egctl/pkg/finding"
)

// TestPagesAreCurrent holds docs/ to what the code says.
func TestPagesAreCurrent(t *testing.T) {
	for name, want := range docs.Pages() {
		have, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
		if err != nil {
			t.Fatal(err)
		}
		if string(have) != string(want) {
			t.Errorf("docs/%s is out of date: run `make docs`", name)
		}
	}
}

// TestEveryCodeIsThere fails for a code outside the parts that the page has.
func TestEveryCodeIsThere(t *testing.T) {
	page := string(docs.Pages()["findings.md"])
	for _, d := range finding.Docs() {
		if !strings.Contains(page, "### "+string(d.Code)+"\n") {
			t.Errorf("%s is missing", d.Code)
		}
	}
}
