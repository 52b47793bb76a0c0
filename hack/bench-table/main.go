// Command bench-table reads what `go test -bench` printed and writes the tables
// of docs/performance.md between their markers. A table whose benchmarks are not
// in the input stays as it is. `make bench` runs it:
//
//	go run ./hack/bench-table docs/performance.md < bench.out
package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/egctl/egctl/pkg/envoy"
)

func main() {
	if err := run(os.Args[1:], os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "bench-table:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: bench-table FILE.md < bench.out")
	}
	r, err := parse(in)
	if err != nil {
		return err
	}
	page, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	text := string(page)
	for _, t := range tables {
		body := t.body(r)
		if body == "" {
			fmt.Fprintf(os.Stderr, "table %q: not measured, left as it is\n", t.name)
			continue
		}
		if text, err = splice(text, t.name, body); err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
	}
	return os.WriteFile(args[0], []byte(text), 0o644)
}

// splice replaces what stands between the markers of a table.
func splice(text, name, body string) (string, error) {
	begin, end := "<!-- bench:"+name+" -->\n", "<!-- /bench:"+name+" -->"
	before, rest, ok := strings.Cut(text, begin)
	if !ok {
		return "", fmt.Errorf("there is no %s", strings.TrimSpace(begin))
	}
	_, after, ok := strings.Cut(rest, end)
	if !ok {
		return "", fmt.Errorf("there is no %s", end)
	}
	return before + begin + "\n" + body + "\n" + end + after, nil
}

// machine is the line that says what the figures were measured with.
func machine(r *results) string {
	if r.cpu == "" {
		return ""
	}
	return fmt.Sprintf("Measured on %s with %s, %d cores (%s/%s), %s, Envoy %s.\n",
		time.Now().UTC().Format(time.DateOnly), r.cpu, r.procs, r.goos, r.goarch, runtime.Version(), envoy.Version)
}
