package e2e

import (
	"context"
	"testing"
	"time"

	authv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/egctl/egctl/test/e2e/suite"
)

const beside = "config: {envoyGateway: {provider: {kubernetes: {deploy: {type: GatewayNamespace}}}}}\n"

// TestGatewayNamespaceMode has proxies beside their Gateways: named as these, owned
// by them, known by the tokens of their ServiceAccounts.
func TestGatewayNamespaceMode(t *testing.T) {
	s := shared.Get(t)
	s.Installed(t, beside)
	a, b := s.Site(t, suite.SiteOptions{Beside: true}), s.Site(t, suite.SiteOptions{Beside: true})

	if a.Resource != a.Gateway {
		t.Errorf("the Service is called %s, want the Gateway's name %s", a.Resource, a.Gateway)
	}
	labelled, err := s.Kube.AppsV1().Deployments(a.Namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "gateway.networking.k8s.io/gateway-name=" + a.Gateway})
	if err != nil || len(labelled.Items) != 1 {
		t.Fatalf("%d Deployments are labelled with the Gateway's name, error %v", len(labelled.Items), err)
	}
	if owners := labelled.Items[0].OwnerReferences; len(owners) != 1 || owners[0].Kind != "Gateway" || owners[0].Name != a.Gateway {
		t.Errorf("owners are %v, want the Gateway", owners)
	}

	t.Run("foreign proxy", func(t *testing.T) {
		podA, podB := onePod(t, a), onePod(t, b)
		token := func(site *suite.Site, pod *metav1.ObjectMeta, audience string) string {
			r := &authv1.TokenRequest{Spec: authv1.TokenRequestSpec{Audiences: []string{audience}}}
			if pod != nil {
				r.Spec.BoundObjectRef = &authv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID}
			}
			r, err := s.Kube.CoreV1().ServiceAccounts(site.Namespace).CreateToken(t.Context(), site.Resource, r, metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			return r.Status.Token
		}
		const audience = "envoy-gateway." + suite.SystemNamespace + ".svc.cluster.local"
		own := claim{cluster: b.Namespace + "/" + b.Gateway, id: podB.Name, token: token(b, podB, audience)}
		names := ownConfiguration(t, s, own, b)
		for what, c := range map[string]claim{
			"a token of another Gateway's proxy":                             {own.cluster, own.id, token(a, podA, audience), nil},
			"a token of another Gateway's proxy, without lies about the pod": {own.cluster, podA.Name, token(a, podA, audience), nil},
			"a token that is bound to no pod":                                {own.cluster, own.id, token(b, nil, audience), nil},
			"a token for somebody else":                                      {own.cluster, own.id, token(b, podB, "somebody-else"), nil},
			"no token":                                                       {own.cluster, own.id, "", nil},
		} {
			t.Run(what, func(t *testing.T) { getsNothing(t, s, c, names, b) })
		}
	})

	t.Run("goes with the Gateway", func(t *testing.T) {
		if err := s.Gateways.GatewayV1().Gateways(a.Namespace).Delete(t.Context(), a.Gateway, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		suite.Eventually(t, 30*time.Second, "the Service is gone", func(ctx context.Context) error {
			_, err := s.Kube.CoreV1().Services(a.Namespace).Get(ctx, a.Resource, metav1.GetOptions{})
			return suite.Gone(err)
		})
		s.Answers(t, 10*time.Second, b.Address, b.Host, "/", 200)
	})
}

// onePod returns a pod of a site's proxies.
func onePod(t *testing.T, site *suite.Site) *metav1.ObjectMeta {
	t.Helper()
	pods, err := site.Pods(t.Context(), site.Proxies, site.Selector)
	if err != nil || len(pods) == 0 {
		t.Fatalf("no proxies: %v", err)
	}
	return &pods[0].ObjectMeta
}
