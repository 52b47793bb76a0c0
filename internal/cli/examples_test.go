package cli

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// parsedOnly are the commands whose examples are parsed and not run, because
// they start an Envoy on ports of its own. So are those of commands that need a
// cluster, and of those that run in a proxy's pod.
var parsedOnly = map[string]bool{"run": true, "quickstart": true, "shutdown": true, "shutdown-manager": true}

var port = regexp.MustCompile(`:\d{4}\b`)

// TestExamples runs every example of every command, in a folder with the files
// that they name. Ports are free ones; servers are interrupted.
func TestExamples(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/examples")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		if !cmd.Runnable() || cmd.HasParent() && (cmd.Name() == "help" || cmd.Parent().Name() == "completion") {
			return
		}
		if cmd.Example == "" {
			t.Errorf("%s has no example", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Example) {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") || strings.Contains(line, "https://") {
				continue
			}
			t.Run(line, func(t *testing.T) {
				if parsedOnly[cmd.Name()] || cmd.Flags().Lookup("kubeconfig") != nil {
					found, args, err := newRoot(Streams{}, "", "egctl").Find(strings.Fields(line)[1:])
					if err != nil || found.Name() != cmd.Name() {
						t.Fatalf("%s, %v", found.Name(), err)
					}
					if err := found.ParseFlags(args); err != nil {
						t.Error(err)
					}
					return
				}
				line := port.ReplaceAllString(line, ":0")
				if head, rest, ok := strings.Cut(line, " | "); ok && !strings.HasPrefix(head, "egctl") {
					rest, _, _ = strings.Cut(rest, " | ")
					line = head + " | " + rest
				} else if ok {
					line = head
				}
				line, _, _ = strings.Cut(line, " > ")
				env := map[string]string{"HTTP_PORT": "0", "H2C_PORT": "0"}
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				if cmd.Name() == "echo" {
					timer := time.AfterFunc(200*time.Millisecond, cancel)
					defer timer.Stop()
				}
				s := Streams{In: strings.NewReader(""), Getenv: func(k string) string { return env[k] }}
				if file, rest, piped := strings.Cut(line, " | "); piped {
					data, err := os.ReadFile(strings.TrimPrefix(file, "cat "))
					if err != nil {
						t.Fatal(err)
					}
					s.In, line = strings.NewReader(string(data)), rest
				}
				args := strings.Fields(line)
				if args[0] != "egctl" {
					t.Fatalf("not an egctl command: %s", line)
				}
				if r := executeIn(ctx, s, args); r.code != exitOK || r.out == "" && cmd.Name() != "echo" && cmd.Name() != "validate" {
					t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
				}
			})
		}
	}
	walk(newRoot(Streams{}, "", "egctl"))
}
