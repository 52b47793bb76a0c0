package e2e

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/test/cluster"
	"github.com/egctl/egctl/test/e2e/suite"
)

// locked is a route that nobody may use: Envoy Gateway says so, egctl cannot.
const locked = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: locked}
spec:
  parentRefs: [{name: eg}]
  hostnames: [locked.example.com]
  rules: [{backendRefs: [{name: backend, port: 3000}]}]
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: SecurityPolicy
metadata: {name: locked}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: locked}]
  authorization: {defaultAction: Deny}
`

// TestMoveFromEnvoyGateway installs Envoy Gateway by its own chart, follows its
// quickstart, and turns it into egctl, back, and again into egctl, under load.
func TestMoveFromEnvoyGateway(t *testing.T) {
	s := shared.Get(t)
	upstream := s.Upstream(t)
	helm := s.Helm(t, suite.Helm3)
	s.Uninstalled(t)
	// Its definitions are older than ours, which egctl would not replace by them.
	noDefinitions := func() {
		if _, err := s.Try(context.Background(), "egctl", "uninstall", "--crds", "--yes"); err != nil {
			t.Error(err)
		}
	}
	noDefinitions()
	t.Cleanup(func() {
		if t.Failed() {
			s.Dump(t, "default")
			_, err := s.TryIn(context.Background(), upstream.Quickstart+"---"+locked, "kubectl", "delete", "--ignore-not-found", "-n", "default", "-f", "-")
			t.Log("delete what is left: ", err)
		}
	})

	s.Run(t, "egctl", "install", "--chart", upstream.Chart, "--timeout", "3m",
		"--set", "global.images.envoyGateway.image="+suite.UpstreamImage, "--set", "global.images.envoyProxy.image="+cluster.EnvoyImage)
	s.Run(t, "kubectl", "wait", "--timeout=1m", "-n", suite.SystemNamespace, "deployment/envoy-gateway", "--for=condition=Available")
	if image := controllerImage(t, s); image != suite.UpstreamImage {
		t.Fatalf("the controller's image is %s, want %s", image, suite.UpstreamImage)
	}
	apply(t, s, "apply", upstream.Quickstart)
	address := s.Programmed(t, "default", "eg") + ":80"
	s.Answers(t, time.Minute, address, "www.example.com", "/get", 200)
	apply(t, s, "apply", locked)
	s.Answers(t, 30*time.Second, address, "locked.example.com", "/", 403)
	m := &move{Suite: s, address: address, service: s.Service(t, suite.SystemNamespace, suite.OwnedBy("default", "eg")), secrets: certgenSecrets(t, s)}

	t.Run("refused without a word on the policy", func(t *testing.T) {
		if out := s.Run(t, "egctl", "x", "precheck"); !strings.Contains(out, "1 SecurityPolicy: default/locked") {
			t.Errorf("egctl x precheck does not name the SecurityPolicy:\n%s", out)
		}
		for _, args := range [][]string{{"upgrade", "--dry-run"}, {"upgrade", "--yes"}, {"upgrade", "--yes", "--ignore-unsupported", "ClientTrafficPolicy"}} {
			if _, err := s.Try(t.Context(), "egctl", args...); err == nil || !strings.Contains(err.Error(), "--ignore-unsupported SecurityPolicy") {
				t.Errorf("egctl %s: %v", strings.Join(args, " "), err)
			}
		}
		if image := controllerImage(t, s); image != suite.UpstreamImage {
			t.Errorf("the controller's image is %s now", image)
		}
		s.Answers(t, 5*time.Second, address, "locked.example.com", "/", 403)
	})
	if t.Failed() {
		return
	}
	t.Run("to an egctl that does not start", func(t *testing.T) {
		load := m.load(t)
		_, err := s.Try(t.Context(), "egctl", "upgrade", "--yes", "--ignore-unsupported", "SecurityPolicy", "--timeout", "15s",
			"--set", "global.images.envoyGateway.image=docker.io/egctl/egctl:no-such-tag")
		if err == nil || !strings.Contains(err.Error(), "rolled back to revision 1") {
			t.Fatalf("error is %v", err)
		}
		m.follows(t, suite.UpstreamImage)
		s.Answers(t, 5*time.Second, address, "locked.example.com", "/", 403)
		load.Stop(t)
	})
	if !t.Run("to egctl", m.toEgctl) {
		return
	}
	t.Run("back", func(t *testing.T) {
		load := m.load(t)
		s.Run(t, helm, "rollback", "eg", "1", "-n", suite.SystemNamespace, "--wait", "--timeout", "2m")
		m.follows(t, suite.UpstreamImage)
		s.Answers(t, time.Minute, address, "locked.example.com", "/", 403)
		load.Stop(t)
	})
	t.Run("to egctl again", m.toEgctl)

	apply(t, s, "delete", locked)
	apply(t, s, "delete", upstream.Quickstart)
	suite.Eventually(t, 90*time.Second, "the proxy goes with its Gateway", s.NoProxies)
	s.Run(t, "egctl", "uninstall", "--yes")
	leavesOnlyCRDs(t, s)
	noDefinitions()
}

// move is what stays the same in it.
type move struct {
	*suite.Suite
	address string
	service *corev1.Service
	secrets map[string]string
	routes  int
}

// load is requests over connections that are kept, and over new ones.
func (m *move) load(t *testing.T) loads {
	t.Helper()
	o := suite.LoadOptions{Address: m.address, Hosts: []string{"www.example.com"}, Path: "/get", Concurrency: 2}
	kept := m.StartLoad(t, o)
	o.NewConnections = true
	return loads{kept, m.StartLoad(t, o)}
}

type loads []*suite.Load

func (l loads) Stop(t *testing.T) {
	t.Helper()
	for _, one := range l {
		one.Stop(t)
	}
}

func (m *move) toEgctl(t *testing.T) {
	load := m.load(t)
	m.Run(t, "egctl", "upgrade", "--yes", "--ignore-unsupported", "SecurityPolicy", "--timeout", "2m")
	m.follows(t, suite.Image)
	load.Stop(t)

	// What was said is true: nothing protects the route, and nothing says that something does.
	m.Answers(t, 30*time.Second, m.address, "locked.example.com", "/", 200)
	status := m.Run(t, "kubectl", "get", "securitypolicy", "locked", "-o",
		`jsonpath={range .status.ancestors[*].conditions[?(@.type=="Accepted")]}{.status} {.reason};{end}`)
	if status != "False Unsupported;" {
		t.Errorf("the SecurityPolicy's status is %q", status)
	}
	if left := m.Run(t, "kubectl", "get", "mutatingwebhookconfigurations,clusterroles,clusterrolebindings", "-o", "name"); strings.Contains(left, "topology") || strings.Contains(left, "certgen") {
		t.Errorf("left behind of Envoy Gateway:\n%s", left)
	}
}

// follows waits until the controller of an image runs the proxies, and fails the test
// if they have become others than they were.
func (m *move) follows(t *testing.T, image string) {
	t.Helper()
	if got := controllerImage(t, m.Suite); got != image {
		t.Fatalf("the controller's image is %s, want %s", got, image)
	}
	m.Rollout(t, suite.SystemNamespace, "envoy-gateway")
	m.routes++
	host := fmt.Sprintf("new-%d.example.com", m.routes)
	apply(t, m.Suite, "apply", fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: new}
spec:
  parentRefs: [{name: eg}]
  hostnames: [%s]
  rules: [{backendRefs: [{name: backend, port: 3000}]}]
`, host))
	m.Answers(t, 90*time.Second, m.address, host, "/", 200)
	suite.Eventually(t, 90*time.Second, "the proxies' shutdown manager is "+image, func(ctx context.Context) error {
		d, err := m.Kube.AppsV1().Deployments(suite.SystemNamespace).Get(ctx, m.service.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, c := range d.Spec.Template.Spec.Containers {
			if c.Name == "shutdown-manager" && c.Image != image {
				return fmt.Errorf("its image is %s", c.Image)
			}
		}
		return nil
	})
	m.Rollout(t, suite.SystemNamespace, m.service.Name)
	suite.Eventually(t, 2*time.Minute, "the proxies before have drained and are gone", func(ctx context.Context) error {
		pods, err := m.Kube.CoreV1().Pods(suite.SystemNamespace).List(ctx, metav1.ListOptions{LabelSelector: suite.OwnedBy("default", "eg")})
		if err == nil && len(pods.Items) != 1 {
			err = fmt.Errorf("%d pods are there", len(pods.Items))
		}
		return err
	})
	m.Answers(t, 10*time.Second, m.address, host, "/", 200)

	service := m.Service(t, suite.SystemNamespace, suite.OwnedBy("default", "eg"))
	ports := func(s *corev1.Service) string {
		var out []string
		for _, p := range s.Spec.Ports {
			out = append(out, fmt.Sprint(p.Name, " ", p.Port, " ", p.NodePort))
		}
		return strings.Join(out, ", ")
	}
	if service.UID != m.service.UID || service.Spec.ClusterIP != m.service.Spec.ClusterIP || ports(service) != ports(m.service) {
		t.Errorf("the proxies' Service was %s %s with ports %s, and is %s %s with %s",
			m.service.UID, m.service.Spec.ClusterIP, ports(m.service), service.UID, service.Spec.ClusterIP, ports(service))
	}
	g := m.GatewayIs(t, "default", "eg", gatewayv1.GatewayConditionProgrammed, metav1.ConditionTrue)
	if len(g.Status.Addresses) != 1 || g.Status.Addresses[0].Value+":80" != m.address {
		t.Errorf("the Gateway's addresses are %v, want %s", g.Status.Addresses, m.address)
	}
	r, err := m.Gateways.GatewayV1().HTTPRoutes("default").Get(t.Context(), "backend", metav1.GetOptions{})
	if err != nil || len(r.Status.Parents) != 1 || !meta.IsStatusConditionTrue(r.Status.Parents[0].Conditions, "Accepted") {
		t.Errorf("the route's status is %+v, error %v", r.Status, err)
	}
	if now := certgenSecrets(t, m.Suite); !maps.Equal(now, m.secrets) {
		t.Errorf("Envoy Gateway's Secrets were %v, and are %v", m.secrets, now)
	}
}

// certgenSecrets are the versions of the Secrets that Envoy Gateway cannot be without.
func certgenSecrets(t *testing.T, s *suite.Suite) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, name := range []string{"envoy-gateway", "envoy", "envoy-rate-limit", "envoy-oidc-hmac"} {
		secret, err := s.Kube.CoreV1().Secrets(suite.SystemNamespace).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		out[name] = secret.ResourceVersion
	}
	return out
}
