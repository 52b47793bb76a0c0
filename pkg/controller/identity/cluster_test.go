package identity

import (
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc/metadata"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/egctl/egctl/internal/testkube"
)

// TestTokensOfPods asks a real API server about tokens that it made for real pods.
func TestTokensOfPods(t *testing.T) {
	client, err := kubernetes.NewForConfig(testkube.Config(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	namespace := testkube.Namespace(t, client)
	for _, name := range []string{"eg", "other"} {
		if _, err := client.CoreV1().ServiceAccounts(namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	pod, err := client.CoreV1().Pods(namespace).Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "eg-7f9c-x2x4z"},
		Spec: corev1.PodSpec{
			ServiceAccountName: "eg", Containers: []corev1.Container{{Name: "c", Image: "none"}},
			SchedulingGates: []corev1.PodSchedulingGate{{Name: "egctl.dev/never"}}, // it need not run
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	token := func(account, audience string, bound *corev1.Pod) string {
		t.Helper()
		request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}}}
		if bound != nil {
			request.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: bound.Name, UID: bound.UID}
		}
		made, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, account, request, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return made.Status.Token
	}
	audience := Audience("envoy-gateway-system", "cluster.local")
	identify := Tokens(TokenOptions{
		Reviews: client.AuthenticationV1().TokenReviews(), Audience: audience, Cache: -1,
		Fleet: func(namespace, account string) (string, bool) { return namespace + "/" + account, account == "eg" },
	})
	ask := func(node, token string) (string, error) {
		return identify(metadata.NewIncomingContext(ctx, metadata.Pairs("authorization", "Bearer "+token)), &corev3.Node{Id: node, Cluster: namespace + "/other"})
	}
	good := token("eg", audience, pod)
	if fleet, err := ask(pod.Name, good); err != nil || fleet != namespace+"/eg" {
		t.Fatalf("got %q, %v", fleet, err)
	}
	for want, try := range map[string]struct{ node, token string }{
		"is that of pod " + pod.Name:  {"another-pod", good},
		"is not bound to a pod":       {pod.Name, token("eg", audience, nil)},
		"no proxies run as":           {"", ""},
		"refuses the token":           {pod.Name, token("eg", "https://kubernetes.default.svc", pod)},
		"refuses the token: [invalid": {pod.Name, good[:len(good)-8] + "AAAAAAAA"},
	} {
		if try.token == "" {
			otherPod, err := client.CoreV1().Pods(namespace).Create(ctx, &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Name: "other-pod"},
				Spec: corev1.PodSpec{
					ServiceAccountName: "other", Containers: []corev1.Container{{Name: "c", Image: "none"}},
					SchedulingGates: []corev1.PodSchedulingGate{{Name: "egctl.dev/never"}},
				},
			}, metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			try.node, try.token = otherPod.Name, token("other", audience, otherPod)
		}
		fleet, err := ask(try.node, try.token)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, %v, want %q", fleet, err, want)
		}
		if err != nil && strings.Contains(err.Error(), try.token) {
			t.Errorf("the log is told the token: %v", err)
		}
	}
	now := int64(0)
	if err := client.CoreV1().Pods(namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
		t.Fatal(err)
	}
	// The API server itself remembers good answers for 10 s.
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if _, err := ask(pod.Name, good); err != nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the token outlives its pod")
		}
	}
}
