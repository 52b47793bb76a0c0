package main

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// results are the figures of a run, by the benchmark's package and name and by
// unit: figures["pkg/translate Full/routes=100"]["ns/op"].
type results struct {
	goos, goarch, cpu string
	procs             int
	figures           map[string]map[string]float64
}

const module = "github.com/egctl/egctl/"

// parse reads Go's benchmark format. The last figure of a repeated benchmark
// counts. A failed benchmark is an error: half a table is none.
func parse(in io.Reader) (*results, error) {
	r := &results{procs: 1, figures: map[string]map[string]float64{}}
	pkg := ""
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		line := lines.Text()
		key, value, _ := strings.Cut(line, ": ")
		switch {
		case key == "goos":
			r.goos = value
		case key == "goarch":
			r.goarch = value
		case key == "cpu":
			r.cpu = strings.TrimSpace(value)
		case key == "pkg":
			pkg = strings.TrimPrefix(value, module)
		case strings.HasPrefix(line, "FAIL"), strings.HasPrefix(line, "--- FAIL"):
			return nil, fmt.Errorf("the benchmarks failed: %s", line)
		case strings.HasPrefix(line, "Benchmark"):
			if err := r.add(pkg, strings.Fields(line)); err != nil {
				return nil, fmt.Errorf("line %q: %w", line, err)
			}
		}
	}
	return r, lines.Err()
}

// add takes a line: name, iterations, then pairs of figure and unit.
func (r *results) add(pkg string, fields []string) error {
	if len(fields) < 4 {
		return nil // the name alone, before a benchmark that prints
	}
	name := strings.TrimPrefix(fields[0], "Benchmark")
	if i := strings.LastIndexByte(name, '-'); i > 0 {
		if n, err := strconv.Atoi(name[i+1:]); err == nil {
			name, r.procs = name[:i], n
		}
	}
	units := map[string]float64{}
	for i := 2; i+1 < len(fields); i += 2 {
		v, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return err
		}
		units[fields[i+1]] = v
	}
	r.figures[pkg+" "+name] = units
	return nil
}

// get returns a figure and whether it was measured.
func (r *results) get(benchmark, unit string) (float64, bool) {
	v, ok := r.figures[benchmark][unit]
	return v, ok
}
