package install_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"

	"github.com/egctl/egctl/charts"
	"github.com/egctl/egctl/internal/testkube"
	"github.com/egctl/egctl/pkg/install"
	"github.com/egctl/egctl/pkg/install/crd"
)

// What hooks of Envoy Gateway have made goes with the upgrade that can remove it, be
// it the first or a later one; what has taken a name since then stays.
func TestKubeMoveIsSettledLater(t *testing.T) {
	w := newWorld(t)
	config := &action.Configuration{}
	if err := config.Init(w.getter, w.namespace, "", func(string, ...any) {}); err != nil {
		t.Fatal(err)
	}
	template := func(name string) *chart.File {
		return &chart.File{Name: "templates/" + name + ".yaml", Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", labels: {made-by: envoy-gateway}, annotations: {helm.sh/hook: pre-install}}\n")}
	}
	quota := &chart.File{Name: "templates/unseen.yaml", Data: []byte("apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: unseen, labels: {made-by: envoy-gateway}, annotations: {helm.sh/hook: pre-install}}\nspec: {}\n")}
	a := action.NewInstall(config)
	a.ReleaseName, a.Namespace = "eg", w.namespace
	ours := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace, Labels: map[string]string{"app.kubernetes.io/managed-by": "egctl"}}}
	if _, err := w.client.CoreV1().Namespaces().Create(w.ctx, ours, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	former := &chart.Chart{Metadata: &chart.Metadata{APIVersion: "v2", Name: charts.Gateway, Version: "1.9.1", Home: "https://gateway.envoyproxy.io/"}, Templates: []*chart.File{template("left"), template("taken"), quota}}
	if _, err := a.RunWithContext(w.ctx, former, nil); err != nil {
		t.Fatal(err)
	}
	maps := w.client.CoreV1().ConfigMaps(w.namespace)
	upgrade := func(wait bool) (removed []string) {
		t.Helper()
		r := w.request()
		r.Wait = wait
		plan, err := w.installer.PlanUpgrade(w.ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range plan.Changes {
			if c.Kind == install.Removed && strings.HasPrefix(c.Object, "ConfigMap ") {
				removed = append(removed, c.Object)
			}
		}
		if _, err := w.installer.Apply(w.ctx, plan); err != nil {
			t.Fatal(err)
		}
		return removed
	}
	if got := upgrade(false); len(got) != 2 {
		t.Errorf("to be removed at first is %q", got)
	}
	if _, err := maps.Get(w.ctx, "left", metav1.GetOptions{}); err != nil {
		t.Fatal(err) // nobody waited
	}
	taken, err := maps.Get(w.ctx, "taken", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	taken.Labels = map[string]string{"made-by": "me"}
	if _, err := maps.Update(w.ctx, taken, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	// With nobody to wait for it, an upgrade says once more that it leaves it.
	w.said = nil
	if upgrade(false); !strings.Contains(strings.Join(w.said, "\n"), "egctl upgrade once more") {
		t.Errorf("what is not removed is not told: %q", w.said)
	}
	// Who may not see one of them can plan nevertheless.
	plan, err := w.withoutQuotas().PlanUpgrade(w.ctx, w.request())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(plan.Notes, func(n string) bool { return strings.Contains(n, "ResourceQuota unseen") }) ||
		slices.ContainsFunc(plan.Changes, func(c install.Change) bool { return strings.HasPrefix(c.Object, "ResourceQuota") }) {
		t.Errorf("what may not be seen: changes %+v, notes %q", plan.Changes, plan.Notes)
	}
	if got := upgrade(true); len(got) != 1 || !strings.HasSuffix(got[0], "left") {
		t.Errorf("to be removed later is %q", got)
	}
	if _, err := maps.Get(w.ctx, "left", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("what a hook made is still there: %v", err)
	}
	if _, err := maps.Get(w.ctx, "taken", metav1.GetOptions{}); err != nil {
		t.Errorf("what somebody else made is gone: %v", err)
	}
	if got := upgrade(true); len(got) != 0 {
		t.Errorf("to be removed once more is %q", got)
	}
	if err := maps.Delete(w.ctx, "taken", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

// withoutQuotas is an installer of somebody who may do anything but see a ResourceQuota.
func (w *world) withoutQuotas() *install.Installer {
	w.t.Helper()
	const name = "egctl-install-test-somebody"
	all := []string{"*"}
	rules := []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps", "namespaces", "pods", "secrets", "serviceaccounts", "services"}, Verbs: all},
		{NonResourceURLs: all, Verbs: all},
	}
	for _, group := range []string{"apps", "apiextensions.k8s.io", "admissionregistration.k8s.io", "autoscaling", "batch", "coordination.k8s.io", "policy",
		"rbac.authorization.k8s.io", "gateway.networking.k8s.io", "gateway.networking.x-k8s.io", "gateway.envoyproxy.io"} {
		rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{group}, Resources: all, Verbs: all})
	}
	rbac := w.client.RbacV1()
	if _, err := rbac.ClusterRoles().Create(w.ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	if _, err := rbac.ClusterRoleBindings().Create(w.ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: name}}}, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		ctx := context.WithoutCancel(w.ctx)
		if err := errors.Join(rbac.ClusterRoleBindings().Delete(ctx, name, metav1.DeleteOptions{}), rbac.ClusterRoles().Delete(ctx, name, metav1.DeleteOptions{})); err != nil {
			w.t.Error(err)
		}
	})
	kubeconfig, user := testkube.Kubeconfig(w.t), name
	flags := genericclioptions.NewConfigFlags(true).WithWrapConfigFn(func(c *rest.Config) *rest.Config {
		c.QPS, c.Burst = 100, 200
		return c
	})
	flags.KubeConfig, flags.Namespace, flags.Impersonate = &kubeconfig, &w.namespace, &user
	i, err := install.New(install.Options{Getter: flags, Namespace: w.namespace})
	if err != nil {
		w.t.Fatal(err)
	}
	return i
}

const securityPolicies = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: securitypolicies.gateway.envoyproxy.io}
spec:
  group: gateway.envoyproxy.io
  scope: Namespaced
  names: {kind: SecurityPolicy, listKind: SecurityPolicyList, plural: securitypolicies, singular: securitypolicy}
  versions:
    - name: v1alpha1
      served: true
      storage: true
      subresources: {status: {}}
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`

const acceptedPolicy = `
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: SecurityPolicy
metadata: {name: locked, namespace: default}
status:
  ancestors:
    - controllerName: ` + install.DefaultController + `
      conditions: [{type: Accepted, status: "True", reason: Accepted, message: "", lastTransitionTime: "2026-01-01T00:00:00Z"}]
`

// An upgrade to the same takes back what an earlier one could not: that a policy is said to
// be in force. That is said where nobody waits for egctl to run.
func TestKubeStatusesAreTakenBackLater(t *testing.T) {
	w := newWorld(t)
	w.install(w.request())
	if _, err := w.dynamic.Resource(crd.Resource).Create(w.ctx, parse(t, securityPolicies), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	policies := w.dynamic.Resource(schema.GroupVersionResource{Group: "gateway.envoyproxy.io", Version: "v1alpha1", Resource: "securitypolicies"}).Namespace("default")
	policy := parse(t, acceptedPolicy)
	w.eventually("policies can be made", func() bool {
		made, err := policies.Create(w.ctx, policy.DeepCopy(), metav1.CreateOptions{})
		if err != nil {
			return false
		}
		policy.SetResourceVersion(made.GetResourceVersion())
		return true
	})
	if _, err := policies.UpdateStatus(w.ctx, policy, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, wait := range []bool{false, true} {
		r := w.request()
		r.Wait, w.said = wait, nil
		plan, err := w.installer.PlanUpgrade(w.ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		if plan.Same || !slices.ContainsFunc(plan.Notes, func(n string) bool { return strings.Contains(n, "SecurityPolicy default/locked") }) {
			t.Errorf("same %t, notes %q", plan.Same, plan.Notes)
		}
		if _, err := w.installer.Apply(w.ctx, plan); err != nil {
			t.Fatal(err)
		}
		if hint := strings.Contains(strings.Join(w.said, "\n"), "egctl upgrade once more"); hint == wait {
			t.Errorf("waiting %t, said %q", wait, w.said)
		}
	}
	now, err := policies.Get(w.ctx, "locked", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ancestors, _, err := unstructured.NestedSlice(now.Object, "status", "ancestors")
	if s := fmt.Sprint(ancestors); err != nil || !strings.Contains(s, "Unsupported") {
		t.Errorf("the status is %s, %v", s, err)
	}
	plan, err := w.installer.PlanUpgrade(w.ctx, w.request())
	if err != nil || !plan.Same {
		t.Errorf("all is settled, but %+v, %q, %v", plan.Changes, plan.Notes, err)
	}
}
