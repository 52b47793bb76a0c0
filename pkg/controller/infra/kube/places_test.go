package kube_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
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

// TestKubeMove changes the deployment mode: what was before goes once its successor
// serves, and so does what is left of fleets that are gone meanwhile.
func TestKubeMove(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	own := newBench(t).namespace // the controller's
	there := *b
	there.namespace = own
	b.render.Namespace = own
	f, gone := b.fleet("eg"), b.fleet("gone")
	first := b.replica(true)
	first.want(f)
	first.want(gone)
	first.until("ready", f, ready)
	name := func(f *translate.Fleet) string { return b.render.FleetResource(f.Key) }
	before := name(f)
	there.until("both fleets are there", func() error {
		if got := there.names(); !strings.Contains(got, "Service/"+before) || !strings.Contains(got, "Service/"+name(gone)) {
			return errors.New(got)
		}
		return nil
	})
	first.end()

	b.render.GatewayNamespaceMode = true
	second := b.replica(true)
	hold := b.fleet("eg", func(k *v1alpha1.EnvoyProxyKubernetesProvider) { k.EnvoyDeployment.Replicas = ptr.To[int32](0) })
	second.want(hold)
	second.Complete()
	there.has(f, strings.ReplaceAll(all, "%", before)) // gone is gone, eg has no successor that serves
	b.has(f, "ServiceAccount/eg ConfigMap/eg Deployment/eg Service/eg")
	second.want(f)
	second.until("ready", f, ready)
	there.has(f, "")
	second.end()

	b.render.GatewayNamespaceMode = false
	third := b.replica(true)
	third.want(f)
	third.until("ready", f, ready)
	b.has(f, "")
	there.has(f, strings.ReplaceAll(all, "%", before))
}

// TestKubeMoveNotPermitted goes back to the mode of proxies beside the controller,
// with the permissions that it has: what is left beside the Gateway stays, is told of
// once with the way to be rid of it, and holds up nothing.
func TestKubeMoveNotPermitted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.render.GatewayNamespaceMode = true
	b.render.Namespace = newBench(t).namespace
	f := b.fleet("eg")
	first := b.replica(true)
	first.want(f)
	first.until("ready", f, ready)
	first.end()
	const left = "ServiceAccount/eg ConfigMap/eg Deployment/eg Service/eg"
	b.has(f, left)

	limited := *b
	limited.render.GatewayNamespaceMode = false
	user := "egctl-test:" + b.render.Namespace
	limited.config = rest.CopyConfig(b.config)
	limited.config.Impersonate.UserName = user
	log := &text{}
	limited.log = log
	b.permit("", user, "get", "list", "watch")
	b.permit(b.render.Namespace, user, "*")
	second := limited.replica(true)
	second.want(f)
	const refused = "not permitted to remove the proxies of the other deployment mode"
	b.until("that it is told", func() error {
		if !strings.Contains(log.String(), refused) {
			return errors.New("it is not")
		}
		return nil
	})
	if got := second.until("ready", f, ready); got.Message != "1/1 replicas ready" {
		t.Errorf("reported is %+v", got)
	}
	second.Refresh()
	time.Sleep(time.Second)
	if said := log.String(); strings.Count(said, refused) != 1 || !strings.Contains(said, "kubectl delete deploy,ds,hpa,pdb,svc,cm,sa -n "+b.namespace) || strings.Contains(said, "not as wanted") {
		t.Errorf("logged is\n%s", said)
	}
	b.has(f, left)
	b.permit(b.namespace, user, "*")
	b.until("that nothing is left", func() error {
		second.Refresh() // which any change of the fleet does as well
		if got := b.names(); got != "" {
			return errors.New(got)
		}
		return nil
	})
}

// permit lets a user do something with all objects of a namespace, or of all.
func (b *bench) permit(namespace, user string, verbs ...string) {
	b.t.Helper()
	api, ctx := b.client.RbacV1(), b.t.Context()
	rules := []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: verbs}}
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}}
	meta := metav1.ObjectMeta{Namespace: namespace, Name: user}
	var err, err2 error
	if namespace != "" {
		_, err = api.Roles(namespace).Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{})
		ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user}
		_, err2 = api.RoleBindings(namespace).Create(ctx, &rbacv1.RoleBinding{ObjectMeta: meta, Subjects: subjects, RoleRef: ref}, metav1.CreateOptions{})
	} else {
		_, err = api.ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{})
		ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user}
		_, err2 = api.ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: meta, Subjects: subjects, RoleRef: ref}, metav1.CreateOptions{})
		b.t.Cleanup(func() {
			if err := errors.Join(api.ClusterRoles().Delete(context.Background(), user, metav1.DeleteOptions{}), api.ClusterRoleBindings().Delete(context.Background(), user, metav1.DeleteOptions{})); err != nil {
				b.t.Error(err)
			}
		})
	}
	if err := errors.Join(err, err2); err != nil {
		b.t.Fatal(err)
	}
}

// TestKubeFrozenBesideGateway: proxies that are left as they are have to know who
// the controller is.
func TestKubeFrozenBesideGateway(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.render.GatewayNamespaceMode, b.render.Namespace = true, "elsewhere"
	var bundle atomic.Value
	bundle.Store("first")
	b.render.CABundle = func() []byte { return []byte(bundle.Load().(string)) }
	r := b.replica(true)
	f := b.fleet("eg")
	r.want(f)
	r.until("ready", f, ready)
	n := r.written("Deployment")
	frozen := b.fleet("eg", func(k *v1alpha1.EnvoyProxyKubernetesProvider) { k.EnvoyDeployment.Replicas = ptr.To[int32](5) })
	frozen.Frozen = "its EnvoyProxy is invalid"
	r.want(frozen)
	bundle.Store("second")
	r.Refresh()
	b.until("the new CA", func() error {
		m, err := b.client.CoreV1().ConfigMaps(b.namespace).Get(t.Context(), "eg", metav1.GetOptions{})
		if err == nil && m.Data["ca.crt"] != "second" {
			err = fmt.Errorf("it is %q", m.Data["ca.crt"])
		}
		return err
	})
	if now := r.written("Deployment"); now != n {
		t.Errorf("the Deployment was written %d times more", now-n)
	}
}

// TestKubeAccount gives proxies another ServiceAccount: the one before stays, and
// speaks for them, until none runs as it.
func TestKubeAccount(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.render.GatewayNamespaceMode, b.render.Namespace = true, "elsewhere"
	r := b.replica(true)
	f := b.fleet("eg")
	r.want(f)
	r.until("ready", f, ready)
	named := func(image string) *translate.Fleet {
		return b.fleet("eg", func(k *v1alpha1.EnvoyProxyKubernetesProvider) {
			k.EnvoyServiceAccount = &v1alpha1.KubernetesServiceAccountSpec{Name: ptr.To("another")}
			k.EnvoyDeployment.Container = &v1alpha1.KubernetesContainerSpec{Image: &image}
		})
	}
	r.want(named("docker.io/egctl/none:none")) // whose rollout does not end
	const both = "ServiceAccount/another ServiceAccount/eg ConfigMap/eg Deployment/eg Service/eg"
	b.has(f, both)
	time.Sleep(time.Second)
	b.has(f, both)
	for _, account := range []string{"eg", "another"} {
		if got, ok := r.ServiceAccountFleet(b.namespace, account); !ok || got != b.namespace+"/eg" {
			t.Errorf("account %s is that of %q", account, got)
		}
	}
	r.want(named(b.render.ProxyImage))
	b.has(f, "ServiceAccount/another ConfigMap/eg Deployment/eg Service/eg")
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
