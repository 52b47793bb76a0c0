package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestFill fills in the real manifest, of a release with all archives and of one
// that lacks one.
func TestFill(t *testing.T) {
	text, err := os.ReadFile("../../plugins/eg.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var sums strings.Builder
	for i, platform := range []string{
		"linux_amd64.tar.gz", "linux_arm64.tar.gz", "darwin_amd64.tar.gz", "darwin_arm64.tar.gz", "windows_amd64.zip", "windows_arm64.zip",
	} {
		fmt.Fprintf(&sums, "%064x  egctl_v1.2.3_%s\n", i, platform)
	}
	digests, err := read(strings.NewReader(sums.String()))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := fill(string(text), "v1.2.3", digests)
	if err != nil {
		t.Fatal(err)
	}
	var plugin struct {
		Spec struct {
			Version   string
			Platforms []struct{ URI, SHA256, Bin string }
		}
	}
	if err := yaml.Unmarshal(manifest, &plugin); err != nil {
		t.Fatal(err)
	}
	if plugin.Spec.Version != "v1.2.3" || len(plugin.Spec.Platforms) != 6 {
		t.Fatalf("version %s for %d platforms", plugin.Spec.Version, len(plugin.Spec.Platforms))
	}
	for i, p := range plugin.Spec.Platforms {
		if !strings.HasPrefix(p.URI, "https://github.com/egctl/egctl/releases/download/v1.2.3/egctl_v1.2.3_") || p.SHA256 != fmt.Sprintf("%064x", i) || p.Bin == "" {
			t.Errorf("platform %d is %+v", i, p)
		}
	}

	delete(digests, "egctl_v1.2.3_darwin_arm64.tar.gz")
	if _, err := fill(string(text), "v1.2.3", digests); err == nil || !strings.Contains(err.Error(), "egctl_v1.2.3_darwin_arm64.tar.gz") {
		t.Errorf("error of a release without an archive is %v", err)
	}
}
