package status

import (
	"fmt"
	"io"
	"testing"
)

// BenchmarkRoutes reads and prints 5,000 routes, as often as an object is in a status.
func BenchmarkRoutes(b *testing.B) {
	const routes = 5000
	var items [][]byte
	for i := range routes {
		items = append(items, fmt.Appendf(nil, `{"apiVersion":"gateway.networking.k8s.io/v1","kind":"HTTPRoute",
"metadata":{"name":"route-%d","namespace":"default","generation":1,"creationTimestamp":"2026-11-24T11:55:00Z","managedFields":[{"manager":"kubectl","fieldsV1":{"f:spec":{"f:hostnames":{},"f:parentRefs":{},"f:rules":{}}}}]},
"spec":{"parentRefs":[{"group":"gateway.networking.k8s.io","kind":"Gateway","name":"eg"}],"hostnames":["%d.example.com"],
"rules":[{"backendRefs":[{"group":"","kind":"Service","name":"web","port":80,"weight":1}],"matches":[{"path":{"type":"PathPrefix","value":"/"}}]}]},
"status":{"parents":[{"parentRef":{"group":"gateway.networking.k8s.io","kind":"Gateway","name":"eg"},"controllerName":"gateway.envoyproxy.io/gatewayclass-controller","conditions":[
{"type":"Accepted","status":"True","reason":"Accepted","message":"Route is accepted","observedGeneration":1,"lastTransitionTime":"2026-11-24T11:55:01Z"},
{"type":"ResolvedRefs","status":"True","reason":"ResolvedRefs","message":"Resolved all the Object references for the Route","observedGeneration":1,"lastTransitionTime":"2026-11-24T11:55:01Z"}]}]}}`, i, i))
	}
	r := Known()[3]
	b.ReportAllocs()
	for b.Loop() {
		objects := make([]*Object, 0, routes)
		for _, item := range items {
			o, err := Decode(item, false)
			if err != nil {
				b.Fatal(err)
			}
			objects = append(objects, o)
		}
		p := Printer{W: io.Discard}
		if err := p.Table(NewTable(r, objects, TableOptions{Now: noon})); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/routes, "µs/route")
}
