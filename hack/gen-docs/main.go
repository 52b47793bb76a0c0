// Command gen-docs writes the generated pages of docs/. `make docs` runs it.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/egctl/egctl/internal/docs"
)

func main() {
	for name, text := range docs.Pages() {
		if err := os.WriteFile(filepath.Join("docs", name), text, 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "gen-docs:", err)
			os.Exit(1)
		}
	}
}
