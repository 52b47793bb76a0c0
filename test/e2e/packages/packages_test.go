// Package packages runs the tests of egctl's own packages that need a cluster:
// those in files named cluster_test.go, and beside such a file those named
// TestKube…. They are skipped where there is none.
package packages

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/egctl/egctl/test/cluster"
)

var testName, kubeName = regexp.MustCompile(`(?m)^func (Test\w+)\(`), regexp.MustCompile(`(?m)^func (TestKube\w+)\(`)

// TestPackages runs them one after the other: some delete the CRDs that others need.
func TestPackages(t *testing.T) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("no cluster can be started: it needs Linux and root")
		}
		t.Skip("SKIPPED, egctl's packages were not tested with a cluster: it needs Linux and root")
	}
	files, err := filepath.Glob("../../../pkg/*/cluster_test.go")
	for _, pattern := range []string{"../../../pkg/*/*/cluster_test.go", "../../../pkg/*/*/*/cluster_test.go"} {
		more, e := filepath.Glob(pattern)
		if e != nil {
			err = e
		}
		files = append(files, more...)
	}
	if err != nil || len(files) < 5 {
		t.Fatalf("%v: found only %v", err, files)
	}
	c, err := cluster.Up(t.Context(), cluster.Options{Name: "packages", Progress: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := c.Down(ctx); err != nil {
			t.Error(err)
		}
	})
	for _, file := range files {
		dir := filepath.Dir(file)
		name, err := filepath.Rel("../../../pkg", dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) { test(t, c, dir) })
	}
}

// test builds the tests of a package outside of the cluster's network, where
// modules can be fetched, and runs inside those that need a cluster.
func test(t *testing.T, c *cluster.Cluster, dir string) {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pattern := kubeName
		if filepath.Base(file) == "cluster_test.go" {
			pattern = testName
		}
		for _, m := range pattern.FindAllStringSubmatch(string(source), -1) {
			names = append(names, m[1])
		}
	}
	if len(names) == 0 {
		t.Fatal("none of its tests needs a cluster")
	}
	binary := filepath.Join(t.TempDir(), "test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", binary, ".")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	cmd := c.Command(t.Context(), binary, "-test.v", "-test.timeout=15m", "-test.run=^("+strings.Join(names, "|")+")$")
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "EGCTL_TEST_KUBECONFIG="+c.Kubeconfig())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(strings.TrimSpace(line), "--- SKIP") {
			t.Errorf("with a cluster nothing is skipped: %s", line)
		}
	}
}
