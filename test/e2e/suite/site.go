package suite

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/test/cluster"
)

// Controller is what GatewayClasses name.
const Controller = "gateway.envoyproxy.io/gatewayclass-controller"

// Site is a Gateway that answers: in a namespace of its own, with a GatewayClass, a
// backend and a route.
type Site struct {
	*Suite
	Namespace, Class, Gateway string
	// Host is that of the route, Address where the Gateway listens, with the port.
	Host, Address string
	// Proxies is where its proxies are, Selector finds them.
	Proxies, Selector string
	// Resource is the name of the Deployment and Service.
	Resource string
}

// SiteOptions change a Site.
type SiteOptions struct {
	// EnvoyProxy is the spec, in YAML, of what the Gateway has as parameters.
	EnvoyProxy string
	// Beside says that proxies are in the Gateway's namespace.
	Beside bool
}

// EchoManifest is a backend with a Service of the same name, port 80.
func EchoManifest(name string, replicas int) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  replicas: %[2]d
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: echo
        image: %[3]s
        env:
        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
        readinessProbe: {httpGet: {path: /, port: 3000}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: %[1]s}
spec:
  selector: {app: %[1]s}
  ports: [{name: http, port: 80, targetPort: 3000}]
---
`, name, replicas, cluster.EchoImage)
}

// ClassManifest is a GatewayClass; parameters is the rest of its spec, in YAML with
// its indentation.
func ClassManifest(name, parameters string) string {
	return fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: %s}
spec:
  controllerName: %s
%s
---
`, name, Controller, parameters)
}

// GatewayManifest is a Gateway with an HTTP listener at port 80.
func GatewayManifest(name, class, parameters string) string {
	return fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: %s}
spec:
  gatewayClassName: %s
  listeners: [{name: http, protocol: HTTP, port: 80}]
%s
---
`, name, class, parameters)
}

// RouteManifest is an HTTPRoute from a host to a Service's port 80.
func RouteManifest(name, gateway, host, service string) string {
	return fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: %s}
spec:
  parentRefs: [{name: %s}]
  hostnames: [%s]
  rules: [{backendRefs: [{name: %s, port: 80}]}]
---
`, name, gateway, host, service)
}

// EnvoyProxyManifest is an EnvoyProxy; spec is YAML.
func EnvoyProxyManifest(name, spec string) string {
	return fmt.Sprintf(`
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyProxy
metadata: {name: %s}
spec:
%s
---
`, name, indent(spec, 2))
}

func indent(text string, by int) string {
	space := strings.Repeat(" ", by)
	return space + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+space)
}

// ParametersRef makes a Gateway use an EnvoyProxy.
const ParametersRef = `  infrastructure: {parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: proxy}}`

// Site makes a site and waits until it answers.
func (s *Suite) Site(t *testing.T, o SiteOptions) *Site {
	t.Helper()
	site := &Site{Suite: s, Namespace: s.Namespace(t), Class: Unique("class"), Gateway: "eg", Host: "www.example.com"}
	parameters := ""
	manifest := ClassManifest(site.Class, "") + EchoManifest("backend", 1) + RouteManifest("backend", site.Gateway, site.Host, "backend")
	if o.EnvoyProxy != "" {
		parameters = ParametersRef
		manifest += EnvoyProxyManifest("proxy", o.EnvoyProxy)
	}
	s.Apply(t, site.Namespace, manifest+GatewayManifest(site.Gateway, site.Class, parameters))
	site.Proxies = SystemNamespace
	if o.Beside {
		site.Proxies = site.Namespace
	}
	site.Selector = OwnedBy(site.Namespace, site.Gateway)
	site.Address = s.Programmed(t, site.Namespace, site.Gateway) + ":80"
	site.Resource = s.Service(t, site.Proxies, site.Selector).Name
	s.Answers(t, time.Minute, site.Address, site.Host, "/", 200)
	return site
}

// OwnedBy is the selector of what runs for a Gateway.
func OwnedBy(namespace, gateway string) string {
	return "gateway.envoyproxy.io/owning-gateway-namespace=" + namespace + ",gateway.envoyproxy.io/owning-gateway-name=" + gateway
}

// Service returns the one Service that a selector finds.
func (s *Suite) Service(t *testing.T, namespace, selector string) *corev1.Service {
	t.Helper()
	list, err := s.Kube.CoreV1().Services(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 1 {
		t.Fatalf("%d Services have the labels %s in namespace %s, want one", len(list.Items), selector, namespace)
	}
	return &list.Items[0]
}

// Programmed waits until a Gateway is, and returns its first address.
func (s *Suite) Programmed(t *testing.T, namespace, name string) string {
	t.Helper()
	g := s.GatewayIs(t, namespace, name, gatewayv1.GatewayConditionProgrammed, metav1.ConditionTrue)
	if len(g.Status.Addresses) == 0 {
		t.Fatalf("Gateway %s is Programmed and has no address", name)
	}
	return g.Status.Addresses[0].Value
}

// GatewayIs waits for a condition of a Gateway, at its newest generation.
func (s *Suite) GatewayIs(t *testing.T, namespace, name string, kind gatewayv1.GatewayConditionType, status metav1.ConditionStatus) *gatewayv1.Gateway {
	t.Helper()
	var g *gatewayv1.Gateway
	Eventually(t, 90*time.Second, fmt.Sprintf("Gateway %s has %s=%s", name, kind, status), func(ctx context.Context) (err error) {
		if g, err = s.Gateways.GatewayV1().Gateways(namespace).Get(ctx, name, metav1.GetOptions{}); err != nil {
			return err
		}
		c := meta.FindStatusCondition(g.Status.Conditions, string(kind))
		if c == nil || c.Status != status || c.ObservedGeneration != g.Generation {
			return fmt.Errorf("generation %d, conditions %s", g.Generation, Conditions(g.Status.Conditions))
		}
		return nil
	})
	return g
}

// Conditions prints conditions in a line.
func Conditions(conditions []metav1.Condition) string {
	var out []string
	for _, c := range conditions {
		out = append(out, fmt.Sprintf("%s=%s %s (generation %d): %s", c.Type, c.Status, c.Reason, c.ObservedGeneration, c.Message))
	}
	return "[" + strings.Join(out, "; ") + "]"
}
