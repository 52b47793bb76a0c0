package install_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/release"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/egctl/egctl/pkg/crds"
	"github.com/egctl/egctl/pkg/install"
	"github.com/egctl/egctl/pkg/install/crd"
)

// An installation comes, changes, goes back when a change fails, and goes without
// leaving anything but definitions.
func TestLifeOfAnInstallation(t *testing.T) {
	w := newWorld(t)
	w.install(w.request())
	d, err := w.client.AppsV1().Deployments(w.namespace).Get(w.ctx, "envoy-gateway", metav1.GetOptions{})
	if err != nil || d.Status.AvailableReplicas != 1 {
		t.Fatalf("%d available, %v", d.Status.AvailableReplicas, err)
	}
	if r := crd.ReleaseOf(w.definition("httproutes.gateway.networking.k8s.io")); r.Channel != crd.Experimental {
		t.Errorf("HTTPRoute is of %s", r)
	}
	if _, err := w.installer.Plan(w.ctx, w.request()); err == nil || !strings.Contains(err.Error(), "egctl upgrade") {
		t.Errorf("a second installation: %v", err)
	}

	// The same once more is nothing to do, unless something is missing.
	upgrade := func(values map[string]any) *install.Plan {
		t.Helper()
		plan, err := w.installer.PlanUpgrade(w.ctx, install.Request{Chart: install.Chart{Program: "v0.9.0"}, Values: values, Wait: true, Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		return plan
	}
	if plan := upgrade(nil); !plan.Same {
		t.Errorf("nothing changes, but %+v", plan.Changes)
	}
	if plan := upgrade(w.request().Values); !plan.Same {
		t.Errorf("the same values, but %+v", plan.Changes)
	}
	w.sameUnlessByHand(upgrade)
	if err := w.client.CoreV1().Services(w.namespace).Delete(w.ctx, "envoy-gateway", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if plan := upgrade(nil); plan.Same || len(plan.Notes) != 1 || !strings.Contains(plan.Notes[0], "ervice") {
		t.Errorf("the Service is gone, and nothing is said of it: %q", plan.Notes)
	}
	// A misspelt field is named, and a configuration restarts nothing.
	configured := upgrade(map[string]any{"config": map[string]any{"envoyGateway": map[string]any{"gateway": map[string]any{"controlerName": "x"}}}})
	if len(configured.Ignored) != 1 || !strings.HasPrefix(configured.Ignored[0], "config.envoyGateway.gateway.controlerName: ") {
		t.Errorf("%q", configured.Ignored)
	}
	if configured.Same || configured.Restarts() || !configured.Reconfigures() {
		t.Errorf("same %t, restarts %t, reconfigures %t", configured.Same, configured.Restarts(), configured.Reconfigures())
	}

	// Values of before still hold.
	plan, err := w.installer.PlanUpgrade(w.ctx, install.Request{Chart: install.Chart{Program: "v0.9.1"}, Wait: true, Timeout: time.Minute,
		Values: map[string]any{"deployment": map[string]any{"replicas": 2}}})
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(plan.Changes, func(c install.Change) bool {
		return c.Object == "Deployment "+w.namespace+"/envoy-gateway" && len(c.Fields) == 1 && c.Fields[0].Path == "spec.replicas" && c.Fields[0].New == "2"
	}); i < 0 || len(plan.Changes) != 1 {
		t.Errorf("%+v", plan.Changes)
	}
	for _, decision := range plan.CRDs {
		if decision.Action != crd.Same {
			t.Errorf("%+v", decision)
		}
	}
	if _, err := w.installer.Apply(w.ctx, plan); err != nil {
		t.Fatal(err)
	}

	// A change that does not come to run is taken back.
	plan, err = w.installer.PlanUpgrade(w.ctx, install.Request{Chart: install.Chart{Program: "v0.9.2"}, Wait: true, Timeout: 8 * time.Second,
		Values: map[string]any{"global": map[string]any{"images": map[string]any{"envoyGateway": map[string]any{"image": "nowhere.invalid/nothing:v1"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.installer.Apply(w.ctx, plan)
	if err == nil || !strings.Contains(err.Error(), "nowhere.invalid/nothing:v1") || !strings.Contains(err.Error(), "rolled back to revision 2") {
		t.Fatalf("a broken upgrade: %v", err)
	}
	// The reason comes before what follows from it, and is not said before the end.
	reason, rest := strings.Index(err.Error(), "ImagePull"), strings.Index(err.Error(), "deployment envoy-gateway")
	if reason < 0 || rest < reason {
		t.Errorf("a broken upgrade: %v", err)
	}
	if slices.ContainsFunc(w.said, func(s string) bool { return strings.Contains(s, "nowhere.invalid") }) {
		t.Errorf("said twice: %q", w.said)
	}
	d, err = w.client.AppsV1().Deployments(w.namespace).Get(w.ctx, "envoy-gateway", metav1.GetOptions{})
	if err != nil || d.Spec.Template.Spec.Containers[0].Image != standIn || d.Status.AvailableReplicas != 2 {
		t.Errorf("%s, %d available, %v", d.Spec.Template.Spec.Containers[0].Image, d.Status.AvailableReplicas, err)
	}

	removal, err := w.installer.PlanUninstall(w.ctx, "", false)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.installer.Uninstall(w.ctx, removal, time.Minute); err != nil {
		t.Fatal(err)
	}
	w.nothingLeft()
	w.definition("httproutes.gateway.networking.k8s.io")
}

// sameUnlessByHand changes things by hand, each of which an upgrade to the same is to undo,
// and ends as it began.
func (w *world) sameUnlessByHand(upgrade func(map[string]any) *install.Plan) {
	w.t.Helper()
	deployments := w.client.AppsV1().Deployments(w.namespace)
	patch := func(p string) {
		w.t.Helper()
		if _, err := deployments.Patch(w.ctx, "envoy-gateway", types.StrategicMergePatchType, []byte(p), metav1.PatchOptions{}); err != nil {
			w.t.Fatal(err)
		}
	}
	patch(`{"metadata": {"annotations": {"example.com/somebodys": "own"}}}`)
	if plan := upgrade(nil); !plan.Same {
		w.t.Errorf("what is somebody else's stays, but %+v, %q", plan.Changes, plan.Notes)
	}
	patch(`{"spec": {"replicas": 0}}`)
	plan := upgrade(nil)
	if plan.Same || len(plan.Changes) != 1 || len(plan.Changes[0].Fields) != 1 || plan.Changes[0].Fields[0] != (install.FieldChange{Path: "spec.replicas", Old: "0", New: "1"}) ||
		len(plan.Notes) != 1 || !strings.Contains(plan.Notes[0], "changed by hand") {
		w.t.Errorf("it is scaled to none, and the changes are %+v, notes %q", plan.Changes, plan.Notes)
	}
	pods := func(n int32) func() bool {
		return func() bool {
			d, err := deployments.Get(w.ctx, "envoy-gateway", metav1.GetOptions{})
			return err == nil && d.Status.ObservedGeneration == d.Generation && d.Status.Replicas == n && d.Status.AvailableReplicas == n
		}
	}
	w.eventually("no pod is there", pods(0))
	// No node takes pods for a while.
	nodes, err := w.client.CoreV1().Nodes().List(w.ctx, metav1.ListOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	schedulable := func(is bool) {
		for _, n := range nodes.Items {
			change := []byte(`{"spec": {"unschedulable": ` + strconv.FormatBool(!is) + `}}`)
			if _, err := w.client.CoreV1().Nodes().Patch(context.WithoutCancel(w.ctx), n.Name, types.MergePatchType, change, metav1.PatchOptions{}); err != nil {
				w.t.Error(err)
			}
		}
	}
	defer schedulable(true)
	schedulable(false)
	patch(`{"spec": {"replicas": 1}}`)
	if plan := upgrade(nil); plan.Same || len(plan.Notes) != 1 || !strings.Contains(plan.Notes[0], "does not run") {
		w.t.Errorf("it does not run, and the notes are %q", plan.Notes)
	}
	schedulable(true)
	w.eventually("it runs again", pods(1))
	if plan := upgrade(nil); !plan.Same {
		w.t.Errorf("all is as it was, but %+v, %q", plan.Changes, plan.Notes)
	}
}

// nothingLeft looks for what a release leaves that belongs to no namespace, and
// for the namespace.
func (w *world) nothingLeft() {
	w.t.Helper()
	w.eventually("the namespace is gone", func() bool {
		_, err := w.client.CoreV1().Namespaces().Get(w.ctx, w.namespace, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
	selector := metav1.ListOptions{LabelSelector: "app.kubernetes.io/managed-by=Helm"}
	roles, err := w.client.RbacV1().ClusterRoles().List(w.ctx, selector)
	if err != nil || len(roles.Items) > 0 {
		w.t.Errorf("%d ClusterRoles, %v", len(roles.Items), err)
	}
	bindings, err := w.client.RbacV1().ClusterRoleBindings().List(w.ctx, selector)
	if err != nil || len(bindings.Items) > 0 {
		w.t.Errorf("%d ClusterRoleBindings, %v", len(bindings.Items), err)
	}
	policies, err := w.client.AdmissionregistrationV1().ValidatingAdmissionPolicies().List(w.ctx, metav1.ListOptions{})
	if err != nil || len(policies.Items) > 0 {
		w.t.Errorf("%d ValidatingAdmissionPolicies, %v", len(policies.Items), err)
	}
}

// What depends on an installation is counted before it goes, and a class can be
// deleted after it is gone.
func TestDependentsAreCounted(t *testing.T) {
	w := newWorld(t)
	w.install(w.request())
	class := object("GatewayClass", "", "eg", map[string]any{"controllerName": install.DefaultController})
	class.SetFinalizers([]string{"gateway-exists-finalizer.gateway.networking.k8s.io"})
	gateway := object("Gateway", "default", "eg", map[string]any{"gatewayClassName": "eg",
		"listeners": []any{map[string]any{"name": "http", "port": int64(80), "protocol": "HTTP"}}})
	route := func(name, parent string) *unstructured.Unstructured {
		return object("HTTPRoute", "default", name, map[string]any{"parentRefs": []any{map[string]any{"name": parent}}})
	}
	for _, o := range []struct {
		resource string
		object   *unstructured.Unstructured
	}{
		{"gatewayclasses", class}, {"gateways", gateway}, {"httproutes", route("ours", "eg")}, {"httproutes", route("theirs", "another")},
	} {
		create := w.dynamic.Resource(gvr(o.resource)).Namespace(o.object.GetNamespace())
		if _, err := create.Create(w.ctx, o.object, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	r, err := w.installer.PlanUninstall(w.ctx, "", true)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.Gateways, []string{"default/eg"}) || !slices.Equal(r.Routes["HTTPRoute"], []string{"default/ours"}) || r.Dependents() != 2 {
		t.Errorf("%+v", r)
	}
	if n := r.Definitions["httproutes.gateway.networking.k8s.io"]; n != 2 {
		t.Errorf("%d HTTPRoutes would be gone", n)
	}
	if err := w.installer.Uninstall(w.ctx, r, time.Minute); err != nil {
		t.Fatal(err)
	}
	w.nothingLeft()
	if all, err := (crd.Client{Interface: w.dynamic}).All(w.ctx, "gateway.networking.k8s.io"); err != nil || len(all) > 0 {
		t.Errorf("%d definitions, %v", len(all), err)
	}
}

// Definitions of the standard channel stay of that channel, and the admission
// policy's no is heard before anything happens.
func TestChannels(t *testing.T) {
	w := newWorld(t)
	r := w.request()
	r.Channel = crd.Standard
	w.install(r)
	const route = "httproutes.gateway.networking.k8s.io"
	if got := crd.ReleaseOf(w.definition(route)); got != (crd.Release{Version: crds.Version, Channel: crd.Standard}) {
		t.Fatalf("HTTPRoute is of %s", got)
	}
	plan, err := w.installer.PlanUpgrade(w.ctx, install.Request{Chart: install.Chart{Program: "v0.9.1"}})
	if err != nil || len(plan.Refused()) > 0 {
		t.Fatalf("an upgrade: %+v, %v", plan.Refused(), err)
	}
	// Asked for by name: no, and with the risk taken, the policy says no.
	up := install.Request{Chart: install.Chart{Program: "v0.9.1"}, Channel: crd.Experimental, Timeout: time.Minute}
	refused := func() string {
		t.Helper()
		plan, err := w.installer.PlanUpgrade(w.ctx, up)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.installer.Apply(w.ctx, plan)
		if err == nil {
			t.Fatal("was not refused")
		}
		return err.Error()
	}
	if s := refused(); !strings.Contains(s, "--allow-crd-risk channel") {
		t.Error(s)
	}
	up.Allow = []crd.Risk{crd.Channel}
	if s := refused(); !strings.Contains(s, crd.PolicyName) {
		t.Error(s)
	}
	if got := crd.ReleaseOf(w.definition(route)); got.Channel != crd.Standard {
		t.Errorf("HTTPRoute is of %s", got)
	}
	// Without the policy, who takes the risk gets it.
	if err := w.client.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings().Delete(w.ctx, crd.PolicyName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	up.OnlyCRDs = true
	w.eventually("the policy is out of force, and the channel changes", func() bool {
		plan, err := w.installer.PlanUpgrade(w.ctx, up)
		if err != nil {
			t.Fatal(err)
		}
		if len(plan.Refused()) > 0 {
			return false
		}
		if _, err := w.installer.Apply(w.ctx, plan); err != nil {
			t.Fatal(err)
		}
		return true
	})
	if got := crd.ReleaseOf(w.definition(route)); got.Channel != crd.Experimental {
		t.Errorf("HTTPRoute is of %s", got)
	}
	// And back: fields would be lost, which are named.
	up.Channel, up.Allow = crd.Standard, nil
	if s := refused(); !strings.Contains(s, "sessionPersistence") {
		t.Error(s)
	}
}

// A policy that somebody else installed is left alone.
func TestForeignPolicyStays(t *testing.T) {
	w := newWorld(t)
	data, err := crds.YAML(crds.Standard, "gateway.networking.k8s.io_vap_safeupgrades.yaml")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(w.ctx)
		a := w.client.AdmissionregistrationV1()
		_ = a.ValidatingAdmissionPolicies().Delete(ctx, crd.PolicyName, metav1.DeleteOptions{})
		_ = a.ValidatingAdmissionPolicyBindings().Delete(ctx, crd.PolicyName, metav1.DeleteOptions{})
	})
	w.apply(string(data))
	w.install(w.request())
	r, err := w.installer.PlanUninstall(w.ctx, "", false)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.installer.Uninstall(w.ctx, r, time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := w.client.AdmissionregistrationV1().ValidatingAdmissionPolicies().Get(w.ctx, crd.PolicyName, metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
}

// An EnvoyProxy that a GatewayClass refers to is mostly beside the controller, and somebody
// has written it.
func TestNamespaceStaysWithObjects(t *testing.T) {
	w := newWorld(t)
	w.install(w.request())
	proxies := w.dynamic.Resource(schema.GroupVersionResource{Group: "gateway.envoyproxy.io", Version: "v1alpha1", Resource: "envoyproxies"}).Namespace(w.namespace)
	custom := object("EnvoyProxy", w.namespace, "custom", map[string]any{})
	custom.SetAPIVersion("gateway.envoyproxy.io/v1alpha1")
	if _, err := proxies.Create(w.ctx, custom, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	r, err := w.installer.PlanUninstall(w.ctx, "", false)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.installer.Uninstall(w.ctx, r, time.Minute); err != nil {
		t.Fatal(err)
	}
	ns, err := w.client.CoreV1().Namespaces().Get(w.ctx, w.namespace, metav1.GetOptions{})
	if err != nil || ns.DeletionTimestamp != nil {
		t.Errorf("the namespace goes, and the EnvoyProxy with it: %v", err)
	}
	if want := "namespace " + w.namespace + " stays: it has EnvoyProxy custom"; !slices.Contains(w.said, want) {
		t.Errorf("said %q, and not %q", w.said, want)
	}
	if err := w.client.CoreV1().Namespaces().Delete(w.ctx, w.namespace, metav1.DeleteOptions{}); err != nil {
		t.Error(err)
	}
}

// Who interrupts an upgrade in the middle of Helm's work gets what was before, and all
// of it: Helm does not go on while egctl goes back.
func TestInterruptedUpgradeGoesBack(t *testing.T) {
	w := newWorld(t)
	w.install(w.request())
	ctx, interrupt := context.WithCancel(w.ctx)
	defer interrupt()
	i, err := install.New(install.Options{Getter: w.getter, Namespace: w.namespace, Say: func(s string) { t.Log(s) },
		Debug: func(s string) {
			if strings.HasPrefix(s, "creating upgraded release") {
				interrupt()
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := i.PlanUpgrade(ctx, install.Request{Chart: install.Chart{Program: "v0.9.1"}, Wait: true, Timeout: time.Minute,
		Values: map[string]any{"deployment": map[string]any{"replicas": 2}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.Apply(ctx, plan); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "rolled back to revision 1") {
		t.Errorf("an interrupted upgrade: %v", err)
	}
	now, err := i.Find("")
	if err != nil || now.Version != 3 || now.Info.Status != release.StatusDeployed || now.Chart.Metadata.Version != "v0.9.0" {
		t.Errorf("revision %d, %s, of %s, %v", now.Version, now.Info.Status, now.Chart.Metadata.Version, err)
	}
	d, err := w.client.AppsV1().Deployments(w.namespace).Get(w.ctx, "envoy-gateway", metav1.GetOptions{})
	if err != nil || *d.Spec.Replicas != 1 || d.Labels["app.kubernetes.io/version"] != "v0.9.0" {
		t.Errorf("%d replicas, labels %v, %v", *d.Spec.Replicas, d.Labels, err)
	}
}
