package e2e

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/egctl/egctl/test/e2e/suite"
)

// quickstart is what users of Envoy Gateway apply first.
//
//go:embed testdata/quickstart.yaml
var quickstart string

// TestQuickstartByHelm is Envoy Gateway's quickstart, step by step, with the helm
// and kubectl that users have.
func TestQuickstartByHelm(t *testing.T) {
	s := shared.Get(t)
	for name, module := range map[string]string{"helm 3": suite.Helm3, "helm 4": suite.Helm4} {
		t.Run(name, func(t *testing.T) {
			helm := s.Helm(t, module)
			s.Uninstalled(t)
			t.Cleanup(func() {
				if t.Failed() {
					s.Dump(t, "default")
					// The next run is not to find it.
					_, err := s.TryIn(context.Background(), quickstart, "kubectl", "delete", "--ignore-not-found", "-f", "-")
					t.Log("delete what is left: ", err)
				}
			})
			repository := "oci://" + s.Registry(t) + "/egctl"
			s.Run(t, helm, "push", "--plain-http", s.Charts(t, suite.Version), repository)
			s.Run(t, helm, "install", "eg", repository+"/gateway-helm", "--version", suite.Version, "--plain-http",
				"-n", suite.SystemNamespace, "--create-namespace")
			s.Run(t, "kubectl", "wait", "--timeout=2m", "-n", suite.SystemNamespace, "deployment/envoy-gateway", "--for=condition=Available")

			apply(t, s, "apply", quickstart)
			address := s.Programmed(t, "default", "eg")
			service := strings.TrimSpace(s.Run(t, "kubectl", "get", "svc", "-n", suite.SystemNamespace,
				"--selector="+suite.OwnedBy("default", "eg"), "-o", "jsonpath={.items[0].metadata.name}"))
			if want := "envoy-default-eg-e41e7b31"; service != want {
				t.Errorf("the proxy's Service is %q, want %q, which scripts may name", service, want)
			}
			if r := s.Answers(t, 30*time.Second, address+":80", "www.example.com", "/get", 200); r.Echo.Path != "/get" || r.Echo.Namespace != "default" {
				t.Errorf("the echo server saw %+v", r.Echo)
			}
			throughPortForward(t, s, service)

			apply(t, s, "delete", quickstart)
			suite.Eventually(t, 90*time.Second, "the proxy goes with its Gateway", s.NoProxies)
			s.Run(t, helm, "uninstall", "eg", "-n", suite.SystemNamespace, "--wait")
			leavesOnlyCRDs(t, s)
		})
	}
}

// TestQuickstartWithoutLoadBalancer is egctl's own quickstart where no Service gets
// an address: it asks through a forwarded port.
func TestQuickstartWithoutLoadBalancer(t *testing.T) {
	s := shared.Get(t)
	s.Installed(t, suite.Defaults)
	if err := s.Cluster.StopComponent(t.Context(), "loadbalancer"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Cluster.StartComponent(context.Background(), "loadbalancer"); err != nil {
			t.Error(err)
		}
	})
	namespace := s.Namespace(t)
	s.Run(t, "egctl", "quickstart", "--once", "-n", namespace) // which fails unless the answer is right
	s.Run(t, "egctl", "quickstart", "--cleanup", "-n", namespace)
}

// apply gives kubectl a manifest. What a quickstart's file refers to is served at
// once, or kubectl would say so.
func apply(t *testing.T, s *suite.Suite, verb, manifest string) {
	t.Helper()
	if _, err := s.TryIn(t.Context(), manifest, "kubectl", verb, "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

// throughPortForward sends a request as users without a load balancer do.
func throughPortForward(t *testing.T, s *suite.Suite, service string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cmd := s.Cluster.Command(ctx, "kubectl", "-n", suite.SystemNamespace, "port-forward", "service/"+service, "8888:80")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = cmd.Wait() // it was killed, which is what its error says
	}()
	if _, err := io.ReadAtLeast(out, make([]byte, 16), 10); err != nil {
		t.Fatal("kubectl port-forward says nothing: ", err)
	}
	s.Answers(t, 10*time.Second, "127.0.0.1:8888", "www.example.com", "/get", 200)
}

// leavesOnlyCRDs fails the test if something of the chart or of the controller is
// still there.
func leavesOnlyCRDs(t *testing.T, s *suite.Suite) {
	t.Helper()
	kinds := "deployments,replicasets,pods,services,serviceaccounts,configmaps,secrets,jobs,horizontalpodautoscalers,poddisruptionbudgets,networkpolicies,roles,rolebindings,leases"
	suite.Eventually(t, 30*time.Second, "nothing of egctl is left", func(ctx context.Context) error {
		here, err := s.Try(ctx, "kubectl", "get", kinds, "-n", suite.SystemNamespace, "-o", "name")
		if err != nil {
			return err
		}
		everywhere, err := s.Try(ctx, "kubectl", "get", "clusterroles,clusterrolebindings,mutatingwebhookconfigurations,validatingwebhookconfigurations,validatingadmissionpolicies", "-o", "name")
		if err != nil {
			return err
		}
		var left []string
		for _, name := range strings.Fields(here) {
			// Every namespace has them.
			if name != "serviceaccount/default" && name != "configmap/kube-root-ca.crt" {
				left = append(left, name)
			}
		}
		for _, name := range strings.Fields(everywhere) {
			if strings.Contains(name, "gateway") {
				left = append(left, name)
			}
		}
		if len(left) > 0 {
			return fmt.Errorf("left behind: %s", strings.Join(left, ", "))
		}
		return nil
	})
}

// TestUpgrade goes from the chart and image of an earlier version to those of egctl
// itself, under load.
func TestUpgrade(t *testing.T) {
	s := shared.Get(t)
	helm := s.Helm(t, suite.Helm3)
	s.Uninstalled(t)
	repository := "oci://" + s.Registry(t) + "/egctl"
	s.Run(t, helm, "push", "--plain-http", s.Charts(t, suite.OldVersion), repository)
	s.Run(t, "egctl", "install", "--chart", repository+"/gateway-helm", "--version", suite.OldVersion, "--plain-http", "--set", "deployment.replicas=2")
	if image := controllerImage(t, s); image != suite.OldImage {
		t.Fatalf("the controller's image is %s, want %s", image, suite.OldImage)
	}
	site := s.Site(t, suite.SiteOptions{})
	load := s.StartLoad(t, suite.LoadOptions{Address: site.Address, Hosts: []string{site.Host}, NewConnections: true})

	s.Run(t, "egctl", "upgrade", "--yes", "--timeout", "2m")
	if image := controllerImage(t, s); image != suite.Image {
		t.Errorf("the controller's image is %s, want %s", image, suite.Image)
	}
	d := s.Rollout(t, suite.SystemNamespace, "envoy-gateway")
	if *d.Spec.Replicas != 2 {
		t.Errorf("%d replicas after the upgrade, want the 2 of the values before", *d.Spec.Replicas)
	}
	// The shutdown manager's image is the controller's: proxies follow.
	suite.Eventually(t, 60*time.Second, "proxies have the new shutdown manager", func(ctx context.Context) error {
		d, err := s.Kube.AppsV1().Deployments(site.Proxies).Get(ctx, site.Resource, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, c := range d.Spec.Template.Spec.Containers {
			if c.Name == "shutdown-manager" && c.Image != suite.Image {
				return fmt.Errorf("its image is %s", c.Image)
			}
		}
		return nil
	})
	s.Rollout(t, site.Proxies, site.Resource)
	s.Apply(t, site.Namespace, suite.RouteManifest("new", site.Gateway, "new.example.com", "backend"))
	s.Answers(t, 30*time.Second, site.Address, "new.example.com", "/", 200)
	load.Stop(t)
}

func controllerImage(t *testing.T, s *suite.Suite) string {
	t.Helper()
	d, err := s.Kube.AppsV1().Deployments(suite.SystemNamespace).Get(t.Context(), "envoy-gateway", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return d.Spec.Template.Spec.Containers[0].Image
}
