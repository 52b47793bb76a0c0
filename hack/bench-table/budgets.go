package main

import "fmt"

// budget is a limit that the project has set itself.
type budget struct {
	what    string
	limit   float64
	unit    string
	measure func(*results) (float64, bool)
}

var budgets = []budget{
	{"Route edit, 5,000 routes on one Gateway, CPU of the control plane", 10, "ms", sum(
		term{"pkg/translate Event/gateways=1/routes=5000/route-edit", "cpu-µs/op", 1e-3},
		term{"pkg/controller/xds RouteChange/clusters=5000/proxies=1", "ns/op", 1e-6})},
	{"Endpoint flap, 5,000 routes on one Gateway, CPU of the control plane", 0.2, "ms", sum(
		term{"pkg/translate Event/gateways=1/routes=5000/endpoint-flap", "cpu-µs/op", 1e-3},
		term{"pkg/controller/xds EndpointFlap/clusters=5000/proxies=1", "ns/op", 1e-6})},
	{"Route edit, 50 routes on each of 100 Gateways, CPU of the control plane", 2, "ms", sum(
		term{"pkg/translate Event/gateways=100/routes=5000/route-edit", "cpu-µs/op", 1e-3},
		term{"pkg/controller/xds HundredGateways", "ns/op", 1e-6})},
	{"Resident set with 5,000 routes", 150, "MB", sum(
		term{"pkg/translate Resident/routes=5000", "rss-MB", 1})},
	{"File to answer, 100 routes, p50 over Envoy's own", 1.5, "×", floor(100)},
	{"File to answer, 5,000 routes, p50 over Envoy's own", 1.5, "×", floor(5000)},
	{"`egctl translate`, one small file, start to exit", 100, "ms", sum(
		term{"cmd/egctl Translate/translate/routes=1", "wall-ms", 1})},
	{"`egctl translate`, 5,000 routes, start to exit", 2000, "ms", sum(
		term{"cmd/egctl Translate/translate/routes=5000", "wall-ms", 1})},
	{"`egctl translate`, 5,000 routes, peak resident set", 400, "MB", sum(
		term{"cmd/egctl Translate/translate/routes=5000", "peak-rss-MB", 1})},
}

// term is a figure and what turns it into the budget's unit.
type term struct {
	benchmark, unit string
	scale           float64
}

func sum(terms ...term) func(*results) (float64, bool) {
	return func(r *results) (total float64, ok bool) {
		for _, t := range terms {
			v, ok := r.get(t.benchmark, t.unit)
			if !ok {
				return 0, false
			}
			total += v * t.scale
		}
		return total, true
	}
}

func floor(routes int) func(*results) (float64, bool) {
	return func(r *results) (float64, bool) {
		return ratio(r, fmt.Sprintf("pkg/local FileToAnswer/routes=%d", routes), fmt.Sprintf("pkg/local EnvoyFloor/routes=%d", routes), "p50-ms")
	}
}

// figure has three digits that count, and no exponent.
func figure(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// budgetTable is empty unless everything was measured: it is the page's verdict.
func budgetTable(r *results) string {
	g := newGrid("What", "Budget", "Measured", "Kept")
	for _, b := range budgets {
		v, ok := b.measure(r)
		if !ok {
			return ""
		}
		kept := "yes"
		if v > b.limit {
			kept = "**no**"
		}
		g.row(b.what, fmt.Sprintf("%g %s", b.limit, b.unit), figure(v)+" "+b.unit, kept)
	}
	return g.String()
}
