package manifest_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/egctl/egctl/pkg/manifest"
)

// routes is one file of n HTTPRoutes of the usual size.
func routes(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, `---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: route-%[1]d
  namespace: team-%[2]d
  labels:
    app: web
spec:
  parentRefs:
  - name: eg
    sectionName: http
  hostnames:
  - host-%[1]d.example.com
  rules:
  - matches:
    - path:
        type: PathPrefix
        value: /app-%[1]d
      headers:
      - name: x-version
        value: "v%[2]d"
    filters:
    - type: RequestHeaderModifier
      requestHeaderModifier:
        set:
        - name: x-route
          value: route-%[1]d
    backendRefs:
    - name: backend
      port: 8080
`, i, i%10)
	}
	return b.Bytes()
}

// The budget: 5,000 routes in one file well under a second on two cores.
func BenchmarkRead(b *testing.B) {
	for _, n := range []int{1, 100, 5000} {
		data := routes(n)
		b.Run(fmt.Sprintf("routes=%d", n), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				set, err := manifest.Read(context.Background(), manifest.Options{Paths: []string{"-"}, Stdin: bytes.NewReader(data)})
				if err != nil {
					b.Fatal(err)
				}
				if got := len(set.Objects()); got != n {
					b.Fatalf("read %d of %d objects: %v", got, n, set.Findings())
				}
			}
		})
	}
}
