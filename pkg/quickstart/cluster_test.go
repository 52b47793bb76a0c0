package quickstart

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/egctl/egctl/internal/testkube"
	"github.com/egctl/egctl/pkg/inspect/proxies"
	"github.com/egctl/egctl/pkg/install"
	"github.com/egctl/egctl/pkg/install/crd"
)

// gatewayAPI are kinds of it.
func gatewayAPI(resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: resource}
}

// trial is a quickstart in a namespace of its own, as far as it goes without a controller.
type trial struct {
	*clusterRun
	t    *testing.T
	said bytes.Buffer
}

func newTrial(t *testing.T, namespace, controller string, timeout time.Duration) *trial {
	t.Helper()
	kubeconfig := testkube.Kubeconfig(t)
	flags := genericclioptions.NewConfigFlags(true)
	flags.KubeConfig = &kubeconfig
	q := &trial{t: t}
	probe := map[string]any{"httpGet": map[string]any{"path": "/", "port": 3000}}
	run, err := newClusterRun(ClusterOptions{
		Getter: flags, Namespace: namespace, Controller: controller, Version: "v0.9.0", Timeout: timeout, Out: io.Discard, Err: io.Discard,
		Say: func(s string) { q.said.WriteString(s + "\n"); t.Log(s) }, State: func(string) {},
		// The cluster has an image that answers the probes as the controller would.
		Values: map[string]any{
			"global": map[string]any{"images": map[string]any{"envoyGateway": map[string]any{"image": "registry.k8s.io/gateway-api/conformance/echo-basic:v0.2.0"}}},
			"deployment": map[string]any{"envoyGateway": map[string]any{
				"startupProbe": probe, "livenessProbe": probe, "readinessProbe": probe,
				"extraEnv": []any{map[string]any{"name": "POD_NAME", "value": "x"}, map[string]any{"name": "NAMESPACE", "value": "x"}},
			}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	q.clusterRun = run
	return q
}

// apply does what a quickstart does with its manifest.
func (q *trial) apply() error {
	q.t.Helper()
	if err := q.learnKinds(); err != nil {
		q.t.Fatal(err)
	}
	if err := q.demo.foreign(q.t.Context()); err != nil {
		return err
	}
	return q.demo.apply(q.t.Context(), q.Say)
}

// cleanup returns what a clean-up says.
func (q *trial) cleanup() (string, error) {
	q.said.Reset()
	err := Cleanup(q.t.Context(), q.ClusterOptions)
	return q.said.String(), err
}

// by applies the manifest as kubectl does: without the label.
func (q *trial) by(manager string) {
	q.t.Helper()
	if err := q.learnKinds(); err != nil {
		q.t.Fatal(err)
	}
	for _, u := range q.demo.objects {
		client, name, err := q.demo.resource(u)
		if err != nil {
			q.t.Fatal(err)
		}
		plain := u.DeepCopy()
		labels := plain.GetLabels()
		delete(labels, madeBy)
		plain.SetLabels(labels)
		if _, err := client.Apply(q.t.Context(), u.GetName(), plain, metav1.ApplyOptions{FieldManager: manager}); err != nil {
			q.t.Fatalf("%s: %v", name, err)
		}
	}
}

// TestWhatIsOthers: what somebody else has made or uses outlives a quickstart, and is used
// by it where it can be.
func TestWhatIsOthers(t *testing.T) {
	c := testkube.New(t)
	ctx := context.Background()
	classes := c.Dynamic.Resource(gatewayAPI("gatewayclasses"))
	t.Cleanup(func() {
		if err := classes.Delete(ctx, gatewayName, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	})
	hasClass := func() bool {
		t.Helper()
		_, err := classes.Get(ctx, gatewayName, metav1.GetOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
		return err == nil
	}
	// The proxies of a class stay; who waits for their end fails after this.
	const soon = 3 * time.Second
	first := newTrial(t, c.Namespace, c.Namespace, soon)
	second := newTrial(t, testkube.Namespace(t, c.Client), c.Namespace, soon)

	// Two quickstarts share the class, and proxies.
	for _, q := range []*trial{first, second} {
		if err := q.apply(); err != nil {
			t.Fatal(err)
		}
	}
	c.Echo(t, "proxies", 1)
	if _, err := c.Client.CoreV1().Services(c.Namespace).Create(ctx, &core.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "proxies", Labels: map[string]string{proxies.OwningGatewayClass: gatewayName}},
		Spec:       core.ServiceSpec{Selector: map[string]string{"app": "proxies"}, Ports: []core.ServicePort{{Port: 80}}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if said, err := first.cleanup(); err != nil || !hasClass() || !strings.Contains(said, "GatewayClass eg stays: other Gateways are of it: "+second.Namespace+"/eg\n") {
		t.Errorf("the class is needed by another quickstart: %v\n%s", err, said)
	}
	if said, err := second.cleanup(); err != nil || hasClass() {
		t.Errorf("nobody needs the class any more: %v\n%s", err, said)
	}

	// What kubectl has applied is used, and stays.
	first.by("kubectl")
	first.said.Reset()
	if err := first.apply(); err != nil || !strings.Contains(first.said.String(), "used as it is: GatewayClass eg, "+c.Namespace+"/Gateway eg, ") {
		t.Errorf("the same manifest is in the way: %v\n%s", err, first.said.String())
	}
	if said, err := first.cleanup(); err != nil || !strings.Contains(said, "nothing to clean up") || !hasClass() {
		t.Errorf("the clean-up of what kubectl has applied: %v\n%s", err, said)
	}
	// Another object of the same name is in the way, be it in what can be changed or not.
	for _, o := range []struct{ resource, patch, name string }{
		{"services", `{"spec":{"ports":[{"name":"http","port":3000,"targetPort":8080}]}}`, "Service backend"},
		{"gateways", `{"spec":{"listeners":[{"name":"http","protocol":"HTTP","port":8080}]}}`, "Gateway eg"},
	} {
		kind := gatewayAPI(o.resource)
		if o.resource == "services" {
			kind = core.SchemeGroupVersion.WithResource(o.resource)
		}
		name := o.name[strings.Index(o.name, " ")+1:]
		if _, err := c.Dynamic.Resource(kind).Namespace(c.Namespace).Patch(ctx, name, types.MergePatchType, []byte(o.patch), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := first.apply(); err == nil || !strings.Contains(err.Error(), c.Namespace+"/"+o.name) {
			t.Errorf("another %s: %v", o.name, err)
		}
	}

	// No other namespace helps against the class of another controller.
	if err := classes.Delete(ctx, gatewayName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	testkube.Eventually(t, "the end of the class", func() bool { return !hasClass() })
	c.Apply(t, gatewayAPI("gatewayclasses"), false, `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: eg}
spec: {controllerName: example.com/theirs}`)
	if err := second.apply(); err == nil || !strings.Contains(err.Error(), "of controller example.com/theirs") || strings.Contains(err.Error(), "-n") {
		t.Errorf("the class of another controller: %v", err)
	}
}

// TestNote: a clean-up takes the release that the quickstart has installed and no other, and
// what an interrupted one has left.
func TestNote(t *testing.T) {
	q := newTrial(t, "default", "egctl-quickstart-test", time.Minute)
	ctx := t.Context()
	bare := func(ctx context.Context, definitions bool) {
		t.Helper()
		r, err := q.install.PlanUninstall(ctx, "", definitions)
		if err == nil {
			err = q.install.Uninstall(ctx, r, time.Minute)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	bare(ctx, true)
	t.Cleanup(func() {
		ctx := context.Background()
		bare(ctx, true)
		if err := q.client.CoreV1().Namespaces().Delete(ctx, q.Controller, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	})
	installed := func() {
		t.Helper()
		if err := q.ensureController(ctx); err != nil {
			t.Fatal(err)
		}
	}

	// Another release has taken the name of the quickstart's.
	installed()
	bare(ctx, false)
	plan, err := q.install.Plan(ctx, install.Request{Name: "eg", Chart: install.Chart{Program: "v0.9.0"}, Values: q.Values, Wait: true, Timeout: q.Timeout})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.install.Apply(ctx, plan); err != nil {
		t.Fatal(err)
	}
	if said, err := q.cleanup(); err != nil || !strings.Contains(said, "is not the one that the quickstart has installed; it stays") {
		t.Errorf("another release: %v\n%s", err, said)
	}
	if _, err := q.install.Find("eg"); err != nil {
		t.Errorf("another release is gone: %v", err)
	}
	bare(ctx, true)
	testkube.Eventually(t, "the end of the namespace", func() bool {
		_, err := q.client.CoreV1().Namespaces().Get(ctx, q.Controller, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})

	// The second installation is not that of the first one's note, and the definitions are
	// still the quickstart's.
	installed()
	bare(ctx, false)
	installed()
	// A definition that does not go stops the clean-up after the release has gone.
	const last = "tlsroutes.gateway.networking.k8s.io"
	finalizers := func(list string) {
		t.Helper()
		if _, err := q.demo.client.Resource(crd.Resource).Patch(ctx, last, types.MergePatchType, []byte(`{"metadata":{"finalizers":`+list+`}}`), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	finalizers(`["example.com/stay"]`)
	impatient := newTrial(t, q.Namespace, q.Controller, 25*time.Second)
	if said, err := impatient.cleanup(); err == nil || !strings.Contains(err.Error(), last) {
		t.Errorf("the clean-up was not stopped: %v\n%s", err, said)
	}
	finalizers("[]")
	if said, err := q.cleanup(); err != nil || !strings.Contains(said, "namespace "+q.Controller+" is deleted") {
		t.Errorf("the second clean-up: %v\n%s", err, said)
	}
	if all, err := (crd.Client{Interface: q.demo.client}).All(ctx, "gateway.networking.k8s.io", "gateway.envoyproxy.io"); err != nil || len(all) > 0 {
		t.Errorf("%d definitions are left, %v", len(all), err)
	}
}
