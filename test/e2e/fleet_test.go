package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/test/e2e/suite"
)

// TestMergedGateways has two Gateways of a class share their proxies: each has its
// port, and one goes without the other noticing.
func TestMergedGateways(t *testing.T) {
	t.Parallel()
	s := shared.Get(t)
	s.Installed(t, suite.Defaults)
	namespace, class := s.Namespace(t), suite.Unique("merged")
	s.Apply(t, namespace, suite.EnvoyProxyManifest("merged", "mergeGateways: true")+
		suite.ClassManifest(class, fmt.Sprintf("  parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: merged, namespace: %s}", namespace))+
		suite.EchoManifest("backend", 1)+
		suite.GatewayManifest("first", class, "")+suite.RouteManifest("first", "first", "first.example.com", "backend")+
		fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: second}
spec:
  gatewayClassName: %s
  listeners: [{name: http, protocol: HTTP, port: 8080}]
---
`, class)+suite.RouteManifest("second", "second", "second.example.com", "backend"))
	first, second := s.Programmed(t, namespace, "first"), s.Programmed(t, namespace, "second")
	if first != second {
		t.Errorf("addresses are %s and %s, want one for both", first, second)
	}
	selector := "gateway.envoyproxy.io/owning-gatewayclass=" + class
	service := s.Service(t, suite.SystemNamespace, selector)
	s.Rollout(t, suite.SystemNamespace, service.Name)
	s.Answers(t, 30*time.Second, first+":80", "first.example.com", "/", 200)
	s.Answers(t, 30*time.Second, first+":8080", "second.example.com", "/", 200)
	s.Answers(t, 10*time.Second, first+":80", "second.example.com", "/", 404)

	load := s.StartLoad(t, suite.LoadOptions{Address: first + ":80", Hosts: []string{"first.example.com"}})
	if err := s.Gateways.GatewayV1().Gateways(namespace).Delete(t.Context(), "second", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	suite.Eventually(t, 30*time.Second, "the port of the Gateway that is gone is closed", func(ctx context.Context) error {
		r, err := s.Get(ctx, first+":8080", "second.example.com", "/")
		if err == nil {
			return fmt.Errorf("it answers with status %d", r.Status)
		}
		return nil
	})
	s.Answers(t, 10*time.Second, first+":80", "first.example.com", "/", 200)
	load.Stop(t)
}

// TestMergedParametersLost restarts the controllers while the EnvoyProxy that merges
// the Gateways of a class is missing: the proxies go on as they were.
func TestMergedParametersLost(t *testing.T) {
	s := shared.Get(t)
	s.Installed(t, suite.Defaults)
	namespace, class := s.Namespace(t), suite.Unique("lost")
	proxy := suite.EnvoyProxyManifest("lost", "mergeGateways: true")
	s.Apply(t, namespace, proxy+
		suite.ClassManifest(class, fmt.Sprintf("  parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: lost, namespace: %s}", namespace))+
		suite.EchoManifest("backend", 1)+
		suite.GatewayManifest("eg", class, "")+suite.RouteManifest("eg", "eg", "lost.example.com", "backend"))
	address := s.Programmed(t, namespace, "eg") + ":80"
	name := s.Service(t, suite.SystemNamespace, "gateway.envoyproxy.io/owning-gatewayclass="+class).Name
	before := s.Rollout(t, suite.SystemNamespace, name)
	s.Answers(t, 30*time.Second, address, "lost.example.com", "/", 200)

	load := s.StartLoad(t, suite.LoadOptions{Address: address, Hosts: []string{"lost.example.com"}})
	s.Delete(t, namespace, proxy)
	s.GatewayIs(t, namespace, "eg", gatewayv1.GatewayConditionAccepted, metav1.ConditionFalse)
	pods, err := s.Pods(t.Context(), suite.SystemNamespace, suite.ControllerSelector)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods {
		remove(t, s, suite.SystemNamespace, p.Name)
	}
	s.Rollout(t, suite.SystemNamespace, "envoy-gateway")
	// Routes are followed as before.
	s.Apply(t, namespace, suite.RouteManifest("new", "eg", "new.example.com", "backend"))
	s.Answers(t, 30*time.Second, address, "new.example.com", "/", 200)
	suite.Consistently(t, 10*time.Second, "the Deployment stays as it is", func(ctx context.Context) error {
		d, err := s.Kube.AppsV1().Deployments(suite.SystemNamespace).Get(ctx, name, metav1.GetOptions{})
		if err == nil && (d.UID != before.UID || d.Generation != before.Generation) {
			err = errors.New("it is another")
		}
		return err
	})
	load.Stop(t)
}

// TestDaemonSet has proxies as a DaemonSet, and then as a Deployment again.
func TestDaemonSet(t *testing.T) {
	t.Parallel()
	s := shared.Get(t)
	s.Installed(t, suite.Defaults)
	site := s.Site(t, suite.SiteOptions{EnvoyProxy: "provider: {type: Kubernetes, kubernetes: {envoyDaemonSet: {}}}"})
	d, err := s.Kube.AppsV1().DaemonSets(site.Proxies).Get(t.Context(), site.Resource, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if d.Status.NumberReady != 1 {
		t.Errorf("%d pods of the DaemonSet are ready, want one for the one node", d.Status.NumberReady)
	}
	if _, err := s.Kube.AppsV1().Deployments(site.Proxies).Get(t.Context(), site.Resource, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("there is a Deployment besides, or %v", err)
	}

	s.Apply(t, site.Namespace, suite.EnvoyProxyManifest("proxy", "provider: {type: Kubernetes, kubernetes: {envoyDeployment: {}}}"))
	suite.Eventually(t, 60*time.Second, "the DaemonSet is gone", func(ctx context.Context) error {
		_, err := s.Kube.AppsV1().DaemonSets(site.Proxies).Get(ctx, site.Resource, metav1.GetOptions{})
		return suite.Gone(err)
	})
	s.Rollout(t, site.Proxies, site.Resource)
	s.Answers(t, 10*time.Second, site.Address, site.Host, "/", 200)
}

// TestAutoscaled leaves the number of replicas to whoever scales.
func TestAutoscaled(t *testing.T) {
	t.Parallel()
	s := shared.Get(t)
	s.Installed(t, suite.Defaults)
	const spec = "provider: {type: Kubernetes, kubernetes: {envoyHpa: {minReplicas: 1, maxReplicas: 3}%s}}"
	site := s.Site(t, suite.SiteOptions{EnvoyProxy: fmt.Sprintf(spec, "")})
	hpa, err := s.Kube.AutoscalingV2().HorizontalPodAutoscalers(site.Proxies).Get(t.Context(), site.Resource, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if to := hpa.Spec.ScaleTargetRef; to.Kind != "Deployment" || to.Name != site.Resource || hpa.Spec.MaxReplicas != 3 {
		t.Errorf("the autoscaler is %+v", hpa.Spec)
	}

	deployments := s.Kube.AppsV1().Deployments(site.Proxies)
	scale, err := deployments.GetScale(t.Context(), site.Resource, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	scale.Spec.Replicas = 2 // as the autoscaler does
	if _, err := deployments.UpdateScale(t.Context(), site.Resource, scale, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.Rollout(t, site.Proxies, site.Resource)
	// Something else of the Deployment changes, so that it is written.
	s.Apply(t, site.Namespace, suite.EnvoyProxyManifest("proxy", fmt.Sprintf(spec, ", envoyDeployment: {pod: {labels: {changed: 'true'}}}")))
	suite.Eventually(t, 30*time.Second, "the Deployment is written", func(ctx context.Context) error {
		d, err := deployments.Get(ctx, site.Resource, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if d.Spec.Template.Labels["changed"] != "true" {
			return errors.New("without the label")
		}
		return nil
	})
	suite.Consistently(t, 5*time.Second, "replicas are the autoscaler's", func(ctx context.Context) error {
		d, err := deployments.Get(ctx, site.Resource, metav1.GetOptions{})
		if err == nil && ptr.Deref(d.Spec.Replicas, 0) != 2 {
			err = fmt.Errorf("they are %d", ptr.Deref(d.Spec.Replicas, 0))
		}
		return err
	})
}

// TestDrift changes and deletes by hand what the controller made.
func TestDrift(t *testing.T) {
	t.Parallel()
	s := shared.Get(t)
	s.Installed(t, suite.Defaults)
	site := s.Site(t, suite.SiteOptions{})
	core, name := s.Kube.CoreV1(), site.Resource

	for what, change := range map[string]struct {
		make  func(context.Context) error
		check func(context.Context) error
	}{
		"Service changed": {
			func(ctx context.Context) error {
				_, err := core.Services(site.Proxies).Patch(ctx, name, types.JSONPatchType, []byte(`[{"op":"replace","path":"/spec/ports/0/targetPort","value":1}]`), metav1.PatchOptions{})
				return err
			},
			func(ctx context.Context) error {
				o, err := core.Services(site.Proxies).Get(ctx, name, metav1.GetOptions{})
				if err == nil && o.Spec.Ports[0].TargetPort.IntValue() != 10080 {
					err = fmt.Errorf("its target is %s", o.Spec.Ports[0].TargetPort.String())
				}
				return err
			},
		},
		"image changed": {
			func(ctx context.Context) error {
				_, err := s.Kube.AppsV1().Deployments(site.Proxies).Patch(ctx, name, types.StrategicMergePatchType,
					[]byte(`{"spec":{"template":{"spec":{"containers":[{"name":"envoy","image":"example.com/other:v1"}]}}}}`), metav1.PatchOptions{})
				return err
			},
			func(ctx context.Context) error {
				o, err := s.Kube.AppsV1().Deployments(site.Proxies).Get(ctx, name, metav1.GetOptions{})
				if err != nil {
					return err
				}
				for _, c := range o.Spec.Template.Spec.Containers {
					if c.Image == "example.com/other:v1" {
						return fmt.Errorf("container %s has it", c.Name)
					}
				}
				return nil
			},
		},
		"ConfigMap deleted": {
			func(ctx context.Context) error {
				return core.ConfigMaps(site.Proxies).Delete(ctx, name, metav1.DeleteOptions{})
			},
			func(ctx context.Context) error {
				_, err := core.ConfigMaps(site.Proxies).Get(ctx, name, metav1.GetOptions{})
				return err
			},
		},
		"ServiceAccount deleted": {
			func(ctx context.Context) error {
				return core.ServiceAccounts(site.Proxies).Delete(ctx, name, metav1.DeleteOptions{})
			},
			func(ctx context.Context) error {
				_, err := core.ServiceAccounts(site.Proxies).Get(ctx, name, metav1.GetOptions{})
				return err
			},
		},
		"certificate deleted": {
			func(ctx context.Context) error {
				return core.Secrets(site.Proxies).Delete(ctx, name, metav1.DeleteOptions{})
			},
			func(ctx context.Context) error {
				_, err := core.Secrets(site.Proxies).Get(ctx, name, metav1.GetOptions{})
				return err
			},
		},
	} {
		t.Run(what, func(t *testing.T) {
			if err := change.make(t.Context()); err != nil {
				t.Fatal(err)
			}
			suite.Eventually(t, 20*time.Second, "it is put back", change.check)
		})
	}
	s.Rollout(t, site.Proxies, site.Resource)
	s.Answers(t, 20*time.Second, site.Address, site.Host, "/", 200)
}

// TestInvalidEnvoyProxy breaks the parameters of a Gateway, has them ask for the
// CA's key, and then loses them: its proxies stay, and its routes are followed.
func TestInvalidEnvoyProxy(t *testing.T) {
	t.Parallel()
	s := shared.Get(t)
	s.Installed(t, suite.Defaults)
	const good = "logging: {level: {default: warn}}"
	site := s.Site(t, suite.SiteOptions{EnvoyProxy: good})
	pods := proxies(t, site)
	load := s.StartLoad(t, suite.LoadOptions{Address: site.Address, Hosts: []string{site.Host}})

	const steals = "provider: {type: Kubernetes, kubernetes: {envoyDeployment: {patch: {value: {spec: {template: {spec: {volumes: [{name: ca, secret: {secretName: envoy-gateway-ca}}]}}}}}}}}"
	breakages := []func(){
		func() { s.Apply(t, site.Namespace, suite.EnvoyProxyManifest("proxy", good+"\n"+steals)) },
		func() {
			s.Apply(t, site.Namespace, suite.EnvoyProxyManifest("proxy", good+"\nbootstrap: {type: Replace, value: 'nonsense: ['}"))
		},
		func() { s.Delete(t, site.Namespace, suite.EnvoyProxyManifest("proxy", good)) },
	}
	for i, breakIt := range breakages {
		breakIt()
		g := s.GatewayIs(t, site.Namespace, site.Gateway, gatewayv1.GatewayConditionAccepted, metav1.ConditionFalse)
		for _, c := range g.Status.Conditions {
			if c.Type == "Accepted" && c.Reason != string(gatewayv1.GatewayReasonInvalidParameters) {
				t.Errorf("not accepted for %s: %s", c.Reason, c.Message)
			}
		}
		host := fmt.Sprintf("new-%d.example.com", i)
		s.Apply(t, site.Namespace, suite.RouteManifest("new", site.Gateway, host, "backend"))
		s.Answers(t, 20*time.Second, site.Address, host, "/", http.StatusOK)
		if now := proxies(t, site); now != pods {
			t.Errorf("proxies are %s, want those that ran before: %s", now, pods)
		}
		s.Apply(t, site.Namespace, suite.EnvoyProxyManifest("proxy", good))
		s.GatewayIs(t, site.Namespace, site.Gateway, gatewayv1.GatewayConditionAccepted, metav1.ConditionTrue)
	}
	if now := proxies(t, site); now != pods {
		t.Errorf("proxies are %s, want those that ran before: %s", now, pods)
	}
	load.Stop(t)
}

// proxies are the names of a site's pods.
func proxies(t *testing.T, site *suite.Site) string {
	t.Helper()
	pods, err := site.Pods(t.Context(), site.Proxies, site.Selector)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range pods {
		names = append(names, p.Name)
	}
	return fmt.Sprint(names)
}
