package kube_test

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/translate"
)

// TestKubeNodePorts reports the addresses of nodes where a proxy is ready.
func TestKubeNodePorts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.replica(true)
	f := b.fleet("eg", func(k *v1alpha1.EnvoyProxyKubernetesProvider) {
		k.EnvoyService = &v1alpha1.KubernetesServiceSpec{Type: ptr.To(v1alpha1.ServiceTypeNodePort)}
	})
	r.want(f)
	got := r.until("ready", f, ready)
	nodes, err := b.client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if want := nodes.Items[0].Status.Addresses[0].Address; len(got.Addresses) != 1 || got.Addresses[0].Value != want {
		t.Errorf("reported is %+v, the node is %s", got, want)
	}
}

// TestKubeBesideGateway runs a fleet in its Gateway's namespace, and leaves alone
// what is there under its name.
func TestKubeBesideGateway(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.render.GatewayNamespaceMode = true
	b.render.Namespace = "elsewhere"
	own := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "mine"}}
	if _, err := b.client.CoreV1().ServiceAccounts(b.namespace).Create(t.Context(), own, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	r := b.replica(true)
	f, mine := b.fleet("eg"), b.fleet("mine")
	r.want(f)
	r.until("ready", f, ready)
	b.has(f, "ServiceAccount/eg ConfigMap/eg Deployment/eg Service/eg")
	if got, ok := r.ServiceAccountFleet(b.namespace, "eg"); !ok || got != b.namespace+"/eg" {
		t.Errorf("its account is that of %q", got)
	}
	r.want(mine)
	r.until("the stranger's account", mine, func(i translate.Infrastructure) bool {
		return strings.Contains(i.Message, "ServiceAccount "+b.namespace+"/mine exists and is left alone")
	})
	r.Want(mine.Key, nil)
	b.has(f, "ServiceAccount/eg ConfigMap/eg Deployment/eg Service/eg")
	r.end()

	// Of another controller's fleets nothing is removed, of ours all.
	b.render.Namespace = "another"
	other := b.replica(true)
	other.Complete()
	time.Sleep(time.Second)
	b.has(f, "ServiceAccount/eg ConfigMap/eg Deployment/eg Service/eg")
	other.end()
	b.render.Namespace = "elsewhere"
	b.replica(true).Complete()
	b.has(f, "")
}

// TestKubeSelector goes on with the selector that a Deployment has.
func TestKubeSelector(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	f := b.fleet("eg")
	labels := b.render.StableLabels(f.Key)
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: b.render.FleetResource(f.Key), Labels: labels}, Spec: appsv1.DeploymentSpec{
		Replicas: ptr.To[int32](0),
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/name": "envoy", "gateway.envoyproxy.io/owning-gateway-name": "eg"}},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "envoy", Image: "none"}}}},
	}}
	if _, err := b.client.AppsV1().Deployments(b.namespace).Create(t.Context(), d, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	r := b.replica(true)
	f.Parameters.Provider.Kubernetes.EnvoyDeployment.Replicas = ptr.To[int32](1)
	r.want(f)
	r.until("ready", f, ready)
}
