package cli

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write the golden files")

// TestTranscripts runs the commands of each testdata/*.txtar among its files.
// The last file is the transcript: each line that begins with "$ " is a
// command, and what follows is what it prints to standard output, then to
// standard error, and its exit code.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		path, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			last := len(ar.Files) - 1
			if last < 0 || ar.Files[last].Name != "transcript" {
				t.Fatal("the last file is no transcript")
			}
			t.Chdir(t.TempDir())
			for _, f := range ar.Files[:last] {
				write(t, f.Name, f.Data)
			}
			want := ar.Files[last].Data
			var have bytes.Buffer
			for line := range strings.Lines(string(want)) {
				if command, ok := strings.CutPrefix(strings.TrimSpace(line), "$ "); ok {
					r := execute(t, context.Background(), command)
					fmt.Fprintf(&have, "$ %s\n%s", command, r.out)
					if r.err != "" {
						fmt.Fprintf(&have, "--- stderr\n%s", r.err)
					}
					fmt.Fprintf(&have, "--- exit %d\n", r.code)
				}
			}
			if bytes.Equal(want, have.Bytes()) {
				return
			}
			if *update {
				ar.Files[last].Data = have.Bytes()
				if err := os.WriteFile(path, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("differs; run go test ./internal/cli -update and read the difference\n--- want\n%s\n--- have\n%s", want, have.String())
		})
	}
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

type result struct {
	out, err string
	code     int
}

// execute runs a command line as a shell would, as far as it has the form
// [cat FILE |] egctl ARGUMENTS.
func execute(t *testing.T, ctx context.Context, line string) result {
	t.Helper()
	s := Streams{In: strings.NewReader(""), Getenv: func(string) string { return "" }}
	if file, rest, piped := strings.Cut(line, " | "); piped && strings.HasPrefix(file, "cat ") {
		data, err := os.ReadFile(strings.TrimPrefix(file, "cat "))
		if err != nil {
			t.Fatal(err)
		}
		s.In, line = bytes.NewReader(data), rest
	}
	return executeIn(ctx, s, strings.Fields(line))
}

func executeIn(ctx context.Context, s Streams, args []string) result {
	var out, errs bytes.Buffer
	s.Out, s.Err = &out, &errs
	code := Run(ctx, s, "v1.2.3", args)
	return result{out.String(), errs.String(), code}
}
