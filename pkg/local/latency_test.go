package local_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/internal/testenvoy"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
	"github.com/egctl/egctl/pkg/translate/testworld"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// BenchmarkFileToAnswer measures the time from the rename of an edited manifest
// to the first answer that shows the edit, through a real Envoy, with a folder
// of as many routes, one file each. p50-ms and p99-ms are over the edits.
func BenchmarkFileToAnswer(b *testing.B) {
	for _, routes := range []int{100, 5000} {
		b.Run(fmt.Sprintf("routes=%d", routes), func(b *testing.B) {
			files := map[string]string{"base.yaml": base}
			for i := range routes {
				files[fmt.Sprintf("route-%d.yaml", i)] = versioned(i, 0)
			}
			g := start(b, nil, files)
			measure(b, func(version int) (change func(), seen func() bool) {
				i := version * 7 % routes
				return func() { g.write(fmt.Sprintf("route-%d.yaml", i), versioned(i, version)) },
					func() bool { return answers(g.port, fmt.Sprintf("host-%d.example.com", i), version) }
			})
		})
	}
}

// BenchmarkEnvoyFloor measures the least that a change of a route table can
// take: Envoy reloads the same table, already encoded, from a file.
func BenchmarkEnvoyFloor(b *testing.B) {
	for _, routes := range []int{100, 5000} {
		b.Run(fmt.Sprintf("routes=%d", routes), func(b *testing.B) {
			port, dir := testenvoy.FreePort(b), b.TempDir()
			settings := translate.DefaultSettings()
			tr := translate.New(settings)
			f := testworld.Fleet{Gateways: 1, Routes: routes}
			objects := f.Objects()
			for _, o := range objects {
				if r, ok := o.(*gwapi.HTTPRoute); ok {
					redirecting(r, 0) // the routes of the other benchmark
				}
			}
			tr.Store.Apply(testworld.Changes(objects...)...)
			edit := func(version int) (table []byte) {
				tr.Store.Apply(store.Put(redirecting(f.Route(version*7%routes, version), version)))
				return encodeTable(b, tr.Update())
			}
			writeTable(b, dir, edit(0))
			startStatic(b, dir, port)
			measure(b, func(version int) (change func(), seen func() bool) {
				table, i := edit(version), version*7%routes
				return func() { writeTable(b, dir, table) },
					func() bool { return answers(port, fmt.Sprintf("host-%d.example.com", i), version) }
			})
		})
	}
}

// measure times edits: edit prepares one, and returns how to make it and how to
// see it.
func measure(b *testing.B, edit func(version int) (change func(), seen func() bool)) {
	b.Helper()
	var took []time.Duration
	b.ResetTimer()
	for n := range b.N {
		change, seen := edit(n + 1)
		begin := time.Now()
		change()
		for !seen() {
			if time.Since(begin) > 20*time.Second {
				b.Fatal("the edit is not seen")
			}
		}
		took = append(took, time.Since(begin))
	}
	b.StopTimer()
	slices.Sort(took)
	at := func(p float64) float64 {
		return float64(took[min(len(took)-1, int(p*float64(len(took))))].Microseconds()) / 1000
	}
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
}

// versioned is a route that answers by itself with its version in the Location.
func versioned(i, version int) string {
	return fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: route-%[1]d}
spec:
  parentRefs: [{name: eg}]
  hostnames: [host-%[1]d.example.com]
  rules:
  - matches: [{path: {type: PathPrefix, value: /api}}]
    filters:
    - type: RequestRedirect
      requestRedirect: {path: {type: ReplaceFullPath, replaceFullPath: /version-%[2]d}}
`, i, version)
}

// answers asks once and says whether the answer shows the version.
func answers(port int, host string, version int) bool {
	req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/api", port), nil)
	if err != nil {
		return false
	}
	req.Host = host
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return strings.HasSuffix(resp.Header.Get("Location"), fmt.Sprintf("/version-%d", version))
}

// encodeTable returns the route table of a change as a file that Envoy reads.
func encodeTable(b *testing.B, ch translate.Changes) []byte {
	b.Helper()
	for _, s := range ch.Snapshots {
		table := s.Of(xds.RouteType)[0]
		body, err := proto.Marshal(&discovery.DiscoveryResponse{VersionInfo: table.Version(), TypeUrl: string(table.Type), Resources: []*anypb.Any{table.Any()}})
		if err != nil {
			b.Fatal(err)
		}
		return body
	}
	b.Fatal("no table changed")
	return nil
}

// writeTable puts a route table where Envoy watches for it.
func writeTable(b *testing.B, dir string, table []byte) {
	b.Helper()
	if err := os.WriteFile(filepath.Join(dir, "table.tmp"), table, 0o600); err != nil {
		b.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "table.tmp"), filepath.Join(dir, "table.pb")); err != nil {
		b.Fatal(err)
	}
}
