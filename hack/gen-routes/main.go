// Command gen-routes prints a Gateway, and HTTPRoutes with a Service and an
// EndpointSlice each, to measure egctl with:
//
//	go run ./hack/gen-routes 5000 > routes.yaml
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
)

const gateway = `apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata:
  name: eg
spec:
  controllerName: gateway.envoyproxy.io/gatewayclass-controller
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: eg
spec:
  gatewayClassName: eg
  listeners:
  - name: http
    protocol: HTTP
    port: 80
`

const route = `---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: route-%[1]d
  labels:
    app: app-%[1]d
spec:
  parentRefs:
  - name: eg
  hostnames:
  - host-%[1]d.example.com
  rules:
  - matches:
    - path:
        type: PathPrefix
        value: /api
      headers:
      - name: version
        value: "1"
    filters:
    - type: RequestHeaderModifier
      requestHeaderModifier:
        set:
        - name: x-route
          value: route-%[1]d
    backendRefs:
    - name: service-%[1]d
      port: 8080
  - backendRefs:
    - name: service-%[1]d
      port: 8080
`

const service = `---
apiVersion: v1
kind: Service
metadata:
  name: service-%[1]d
spec:
  selector:
    app: app-%[1]d
  ports:
  - name: http
    port: 8080
    targetPort: 3000
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: service-%[1]d-abcde
  labels:
    kubernetes.io/service-name: service-%[1]d
addressType: IPv4
ports:
- name: http
  port: 3000
  protocol: TCP
endpoints:
- addresses:
  - 10.%[2]d.%[3]d.%[4]d
  conditions:
    ready: true
`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gen-routes:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	n, err := strconv.Atoi(append(args, "5000")[0])
	if err != nil {
		return fmt.Errorf("number of routes: %w", err)
	}
	w := bufio.NewWriter(os.Stdout)
	fmt.Fprint(w, gateway)
	for i := range n {
		fmt.Fprintf(w, route, i)
		fmt.Fprintf(w, service, i, i>>16&255, i>>8&255, i&255)
	}
	return w.Flush()
}
