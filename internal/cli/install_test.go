package cli

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// nowhere is the kubeconfig of a cluster that does not answer.
func nowhere(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	config := `apiVersion: v1
kind: Config
current-context: c
clusters: [{name: c, cluster: {server: "http://` + address + `"}}]
users: [{name: u, user: {}}]
contexts: [{name: c, context: {cluster: c, user: u, namespace: elsewhere}}]
`
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What is wrong with how a command was called is said before a cluster is asked.
func TestInstallUsage(t *testing.T) {
	config := nowhere(t)
	for args, want := range map[string]string{
		"install eg":                                  "--name",
		"install --skip-crds --only-crds":             "nothing to do",
		"install --timeout 0s":                        "--timeout",
		"install --channel beta":                      "--channel",
		"install --allow-crd-risk everything":         "--allow-crd-risk",
		"install --plain-http":                        "--chart oci://",
		"install --password-file x":                   "--username",
		"install -n Not_A_Name":                       "--namespace",
		"upgrade --allow-crd-risk downgrade,nonsense": "nonsense",
		"install --ignore-unsupported Gateway":        "--ignore-unsupported",
		"upgrade eg":                                  "--name",
		"uninstall eg":                                "--name",
		"uninstall --timeout -1s":                     "--timeout",
		"x precheck --fail-on everything":             "--fail-on",
		"x precheck -o sarif":                         "--output",
	} {
		r := run(t, append(strings.Fields(args), "--kubeconfig", config)...)
		if r.code != exitUsage || !strings.Contains(r.err, want) {
			t.Errorf("%s: exit code %d\n%s", args, r.code, r.err)
		}
	}
}

// A cluster that does not answer is an error of one kind for all commands.
func TestInstallWithoutCluster(t *testing.T) {
	config := nowhere(t)
	for _, args := range []string{"install", "install --dry-run", "install --skip-precheck", "upgrade --yes", "uninstall --yes", "x install", "x uninstall --with-crds --wait", "x precheck"} {
		r := run(t, append(strings.Fields(args), "--kubeconfig", config)...)
		if r.code != exitFailed || !strings.Contains(r.err, "connection refused") {
			t.Errorf("%s: exit code %d\n%s", args, r.code, r.err)
		}
	}
}

// Flags of Envoy Gateway's egctl are taken.
func TestInstallTakesEnvoyGatewaysFlags(t *testing.T) {
	for _, line := range []string{
		"x install --version v1.9.0 --name envoy-gateway -n envoy-gateway-system --dry-run --skip-crds --only-crds --timeout 5m --debug -f values.yaml --set a=b",
		"x uninstall --name envoy-gateway --with-crds --wait",
	} {
		cmd, args, err := newRoot(Streams{}, "", "egctl").Find(strings.Fields(line))
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.ParseFlags(args); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	for line, want := range map[string]string{"install": "eg", "x install": "envoy-gateway"} {
		cmd, _, err := newRoot(Streams{}, "", "egctl").Find(strings.Fields(line))
		if err != nil {
			t.Fatal(err)
		}
		if name := cmd.Flags().Lookup("name").DefValue; name != want {
			t.Errorf("%s: release %s", line, name)
		}
	}
}

func TestConfirm(t *testing.T) {
	for answer, want := range map[string]string{"y\n": "", "Yes\n": "", "yes": "", "n\n": "nothing was changed", "\n": "nothing was changed", "": "--yes"} {
		var out strings.Builder
		c := console{s: Streams{In: strings.NewReader(answer), Err: &out}}
		err := c.confirm("Uninstall?")
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v", answer, err)
		}
		if !strings.HasPrefix(out.String(), "Uninstall? [y/N] ") {
			t.Errorf("%q", out.String())
		}
	}
}

// On a terminal what is waited for goes away; in a log it is a line.
func TestConsole(t *testing.T) {
	for terminal, want := range map[bool]string{
		true:  "… waiting\r\x1b[K… still waiting\r\x1b[Kthere\n",
		false: "… waiting\n… still waiting\nthere\n",
	} {
		var out strings.Builder
		c := console{s: Streams{Err: &out, Terminal: terminal}}
		c.state("waiting")
		c.state("still waiting")
		c.say("there")
		c.done()
		if out.String() != want {
			t.Errorf("terminal %t: %q", terminal, out.String())
		}
	}
}

// An interrupted installation ends at once.
func TestInstallInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := Streams{In: strings.NewReader(""), Getenv: func(string) string { return "" }}
	if r := executeIn(ctx, s, []string{"egctl", "install", "--kubeconfig", nowhere(t)}); r.code != exitFailed {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
}
