package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const output = `goos: linux
goarch: amd64
pkg: github.com/egctl/egctl/pkg/translate
cpu: Some CPU
BenchmarkEvent/gateways=1/routes=100/route-edit-2         	      50	    222378 ns/op	       222.9 cpu-µs/op	   47287 B/op	     427 allocs/op
BenchmarkResident/routes=5000-2	       1	 745649274 ns/op	       153.3 rss-MB
PASS
ok  	github.com/egctl/egctl/pkg/translate	54.264s
pkg: github.com/egctl/egctl/pkg/local
BenchmarkFileToAnswer/routes=100-2	50	 12925709 ns/op	 12.0 p50-ms	 27.98 p99-ms
BenchmarkEnvoyFloor/routes=100-2	50	 8381912 ns/op	 6.0 p50-ms	 19.85 p99-ms
`

func page() string {
	var b strings.Builder
	for _, t := range tables {
		fmt.Fprintf(&b, "before %[1]s\n<!-- bench:%[1]s -->\nold %[1]s\n<!-- /bench:%[1]s -->\nafter\n", t.name)
	}
	return b.String()
}

// write runs the program over a page and returns the page.
func write(t *testing.T, page, bench string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	err := run([]string{file}, strings.NewReader(bench))
	text, readErr := os.ReadFile(file)
	if readErr != nil {
		t.Fatal(readErr)
	}
	return string(text), err
}

func TestTablesAreWritten(t *testing.T) {
	text, err := write(t, page(), output)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"with Some CPU, 2 cores (linux/amd64)",
		"| 1 × 100 | 0.22 ms (427) |  |  |  |",
		"| 5000 |  |  | 153 MB |",
		"| 100 | 12.0 ms | 28.0 ms | 6.0 ms | 19.9 ms | 2.00 |",
		"before latency\n", "after\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
	// What was not measured stays.
	for _, name := range []string{"ads", "process", "budgets"} {
		if !strings.Contains(text, "old "+name) {
			t.Errorf("table %q was overwritten", name)
		}
	}
	again, err := write(t, text, output)
	if err != nil || again != text {
		t.Errorf("the second run changes the page: %v\n%s", err, again)
	}
}

// TestBudgetsNameBenchmarks feeds every figure that a budget needs, twice the
// limit, and expects each to be called broken: a budget whose benchmark has
// another name would silently never be judged.
func TestBudgetsNameBenchmarks(t *testing.T) {
	r := &results{figures: map[string]map[string]float64{}}
	for _, name := range []string{
		"pkg/translate Event/gateways=1/routes=5000/route-edit", "pkg/translate Event/gateways=1/routes=5000/endpoint-flap",
		"pkg/translate Event/gateways=100/routes=5000/route-edit", "pkg/translate Resident/routes=5000",
		"pkg/controller/xds RouteChange/clusters=5000/proxies=1", "pkg/controller/xds EndpointFlap/clusters=5000/proxies=1",
		"pkg/controller/xds HundredGateways", "pkg/local FileToAnswer/routes=100", "pkg/local FileToAnswer/routes=5000",
		"cmd/egctl Translate/translate/routes=1", "cmd/egctl Translate/translate/routes=5000",
	} {
		r.figures[name] = map[string]float64{"cpu-µs/op": 1e6, "ns/op": 1e9, "rss-MB": 1000, "p50-ms": 1000, "wall-ms": 1e4, "peak-rss-MB": 1e4}
	}
	for _, routes := range []int{100, 5000} {
		r.figures[fmt.Sprintf("pkg/local EnvoyFloor/routes=%d", routes)] = map[string]float64{"p50-ms": 100}
	}
	if got := strings.Count(budgetTable(r), "**no**"); got != len(budgets) {
		t.Errorf("%d of %d budgets are judged:\n%s", got, len(budgets), budgetTable(r))
	}
}

func TestFailuresAreNotPublished(t *testing.T) {
	if text, err := write(t, page(), output+"--- FAIL: BenchmarkFull\n"); err == nil || text != page() {
		t.Errorf("error %v, page\n%s", err, text)
	}
	if _, err := write(t, "no markers", output); err == nil || !strings.Contains(err.Error(), "<!-- bench:machine -->") {
		t.Errorf("error %v", err)
	}
}
