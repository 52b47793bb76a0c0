package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/egctl/egctl/pkg/inspect/status"
)

// Who has no kubeconfig is told so, not of a port that nobody named.
func TestNoKubeconfig(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "missing"))
	for _, args := range []string{"status", "version -r", "port-forward gateway/eg 8080:80", "install", "upgrade --yes", "uninstall --yes", "quickstart", "quickstart --cleanup", "x precheck", "x status all"} {
		r := run(t, strings.Fields(args)...)
		if r.code != exitFailed || !strings.Contains(r.err, "no kubeconfig: set $KUBECONFIG or --kubeconfig") || strings.Contains(r.err, "8080") {
			t.Errorf("%s: exit code %d\n%s", args, r.code, r.err)
		}
	}
	// A file that is there and has nothing is not one that is missing.
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := run(t, "status", "--kubeconfig", empty); !strings.Contains(r.err, empty+" names no cluster") {
		t.Error(r.err)
	}
	// Who names the server means it.
	if r := run(t, "status", "--server", "http://localhost:1"); strings.Contains(r.err, "no kubeconfig") {
		t.Error(r.err)
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := "{apiVersion: v1, kind: Config, clusters: [{name: c, cluster: {server: 'http://localhost:1'}}], contexts: [{name: c, context: {cluster: c}}]}"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := run(t, "status", "--kubeconfig", path); !strings.Contains(r.err, "no current context") {
		t.Error(r.err)
	}
}

// A command's own flags come before those by which every command finds its cluster.
func TestOwnFlagsComeFirst(t *testing.T) {
	r := run(t, "status", "--help")
	own, connection, found := strings.Cut(r.out, "\nConnection flags:\n")
	if !found || !strings.Contains(own, "--watch") || !strings.Contains(own, "--namespace") || strings.Contains(own, "--as-group") ||
		!strings.Contains(connection, "--kubeconfig") || !strings.Contains(connection, "--as-group") {
		t.Error(r.out)
	}
	if r := run(t, "explain", "--help"); strings.Contains(r.out, "Connection flags") {
		t.Error(r.out)
	}
}

// Who lacks the API is told where it comes from.
func TestStatusWithoutCRDs(t *testing.T) {
	o := &statusOptions{Kinds: []string{"tcproute"}}
	if _, err := o.resources(nil); err == nil || !strings.Contains(err.Error(), "egctl install brings") {
		t.Error(err)
	}
	if _, err := o.resources(status.Known()[:4]); err == nil || !strings.Contains(err.Error(), "--channel experimental") {
		t.Error(err)
	}
}
