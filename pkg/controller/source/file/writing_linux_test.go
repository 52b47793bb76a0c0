package file

import (
	"os"
	"path/filepath"
	"testing"
)

// TestBeingWritten opens a file for writing, as a slow writer does.
func TestBeingWritten(t *testing.T) {
	name := filepath.Join(t.TempDir(), "web.yaml")
	w, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if !beingWritten(name) {
		t.Skip("no leases on this file system")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if beingWritten(name) {
		t.Error("a closed file counts as being written")
	}
	if beingWritten(name + ".not") {
		t.Error("a file that does not exist counts as being written")
	}
}
