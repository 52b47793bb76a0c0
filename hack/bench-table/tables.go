package main

import (
	"fmt"
	"strings"
)

// tables are the parts of the page. A body is empty if nothing was measured.
var tables = []struct {
	name string
	body func(*results) string
}{
	{"machine", machine},
	{"budgets", budgetTable},
	{"events", eventTable},
	{"full", fullTable},
	{"ads", adsTable},
	{"latency", latencyTable},
	{"process", processTable},
	{"cluster", clusterTable},
}

// grid collects the rows of a Markdown table, leaving out those without figures.
type grid struct {
	b    strings.Builder
	rows int
}

func newGrid(head ...string) *grid {
	g := &grid{}
	g.line(head)
	rule := make([]string, len(head))
	for i := range rule {
		rule[i] = "---:"
	}
	rule[0] = "---"
	g.line(rule)
	return g
}

func (g *grid) line(cells []string) { g.b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }

// row adds a row of a label and cells, of which missing ones are empty.
func (g *grid) row(label string, cells ...string) {
	if strings.Join(cells, "") == "" {
		return
	}
	g.rows++
	g.line(append([]string{label}, cells...))
}

func (g *grid) String() string {
	if g.rows == 0 {
		return ""
	}
	return g.b.String()
}

// cell formats a figure with a scale, or is empty.
func (r *results) cell(benchmark, unit, format string, scale float64) string {
	v, ok := r.get(benchmark, unit)
	if !ok {
		return ""
	}
	return fmt.Sprintf(format, v*scale)
}

func eventTable(r *results) string {
	g := newGrid("Gateways × routes each", "Route edit", "Endpoint flap", "Certificate", "Gateway edit")
	for _, size := range [][2]int{{1, 100}, {1, 1000}, {1, 5000}, {1, 10000}, {100, 1000}, {100, 5000}, {100, 10000}} {
		var cells []string
		for _, event := range []string{"route-edit", "endpoint-flap", "certificate", "gateway-edit"} {
			name := fmt.Sprintf("pkg/translate Event/gateways=%d/routes=%d/%s", size[0], size[1], event)
			c := r.cell(name, "cpu-µs/op", "%.2f ms", 1e-3)
			if a := r.cell(name, "allocs/op", " (%.0f)", 1); c != "" {
				c += a
			}
			cells = append(cells, c)
		}
		g.row(fmt.Sprintf("%d × %d", size[0], size[1]/size[0]), cells...)
	}
	return g.String()
}

func fullTable(r *results) string {
	g := newGrid("Routes", "First translation", "Go heap", "Resident set")
	for _, routes := range []int{0, 100, 1000, 5000, 10000} {
		full, resident := fmt.Sprintf("pkg/translate Full/routes=%d", routes), fmt.Sprintf("pkg/translate Resident/routes=%d", routes)
		g.row(fmt.Sprint(routes), r.cell(full, "ns/op", "%.0f ms", 1e-6), r.cell(full, "heap-MB", "%.0f MB", 1), r.cell(resident, "rss-MB", "%.0f MB", 1))
	}
	return g.String()
}

func adsTable(r *results) string {
	g := newGrid("Change", "Time", "Memory", "Allocations")
	for _, row := range []struct{ label, name string }{
		{"One endpoint, 1 proxy", "EndpointFlap/clusters=5000/proxies=1"},
		{"One endpoint, 100 proxies", "EndpointFlap/clusters=5000/proxies=100"},
		{"The route table, 1 proxy", "RouteChange/clusters=5000/proxies=1"},
		{"The route table, 100 proxies", "RouteChange/clusters=5000/proxies=100"},
		{"One cluster, 1 proxy", "ClusterChange"},
		{"One route table of 100 Gateways with 50 clusters each", "HundredGateways"},
	} {
		name := "pkg/controller/xds " + row.name
		g.row(row.label, r.cell(name, "ns/op", "%.3f ms", 1e-6), r.cell(name, "B/op", "%.0f kB", 1e-3), r.cell(name, "allocs/op", "%.0f", 1))
	}
	text := g.String()
	if c := r.cell("pkg/controller/xds Memory", "B/proxy", "%.2f MB", 1e-6); c != "" {
		text += "\nA connected proxy with 5,000 clusters costs the server " + c + " of memory.\n"
	}
	return text
}

func latencyTable(r *results) string {
	g := newGrid("Routes", "egctl p50", "egctl p99", "Envoy alone p50", "Envoy alone p99", "p50 to p50")
	for _, routes := range []int{100, 5000} {
		ours, floor := fmt.Sprintf("pkg/local FileToAnswer/routes=%d", routes), fmt.Sprintf("pkg/local EnvoyFloor/routes=%d", routes)
		factor := ""
		if v, ok := ratio(r, ours, floor, "p50-ms"); ok {
			factor = fmt.Sprintf("%.2f", v)
		}
		g.row(fmt.Sprint(routes), r.cell(ours, "p50-ms", "%.1f ms", 1), r.cell(ours, "p99-ms", "%.1f ms", 1),
			r.cell(floor, "p50-ms", "%.1f ms", 1), r.cell(floor, "p99-ms", "%.1f ms", 1), factor)
	}
	return g.String()
}

func ratio(r *results, a, b, unit string) (float64, bool) {
	x, okX := r.get(a, unit)
	y, okY := r.get(b, unit)
	return x / y, okX && okY && y > 0
}

func processTable(r *results) string {
	g := newGrid("Command", "Start to exit", "CPU", "Peak resident set")
	for _, command := range []string{"translate", "validate"} {
		for _, routes := range []int{1, 100, 1000, 5000} {
			name := fmt.Sprintf("cmd/egctl Translate/%s/routes=%d", command, routes)
			g.row(fmt.Sprintf("`egctl %s`, routes: %d", command, routes),
				r.cell(name, "wall-ms", "%.0f ms", 1), r.cell(name, "cpu-ms", "%.0f ms", 1), r.cell(name, "peak-rss-MB", "%.0f MB", 1))
		}
	}
	return g.String()
}

func clusterTable(r *results) string {
	g := newGrid("What", "Aim", "Measured")
	for _, row := range []struct{ label, aim, name, unit, format string }{
		{"`egctl quickstart`, nothing installed, images present, to the answer", "15 s", "Quickstart", "s", "%.1f s"},
		{"A Gateway more, from its creation to Programmed", "", "Gateway", "s", "%.1f s"},
		{"A new route among 1,000, to the first answer", "", "Route/routes=1000", "s", "%.2f s"},
		{"Controller, idle: resident set", "60 MB", "Controller/routes=0", "rss-MB", "%.0f MB"},
		{"… of that its own, not pages of the program's file", "", "Controller/routes=0", "own-MB", "%.0f MB"},
		{"… its container's working set, which `kubectl top` shows", "60 MB", "Controller/routes=0", "working-MB", "%.0f MB"},
		{"Controller with 1,000 routes: resident set", "110 MB", "Controller/routes=1000", "rss-MB", "%.0f MB"},
		{"… of that its own", "", "Controller/routes=1000", "own-MB", "%.0f MB"},
		{"… its container's working set", "110 MB", "Controller/routes=1000", "working-MB", "%.0f MB"},
		{"The program, stripped", "90 MB", "Size/program", "MB", "%.1f MB"},
		{"The image, uncompressed", "", "Size/image", "MB", "%.1f MB"},
	} {
		v := r.cell("test/e2e Cluster"+row.name, row.unit, row.format, 1)
		if v == "" {
			continue
		}
		g.row(row.label, row.aim, v)
	}
	return g.String()
}
