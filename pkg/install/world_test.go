package install_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/egctl/egctl/internal/testkube"
	"github.com/egctl/egctl/pkg/install"
	"github.com/egctl/egctl/pkg/install/crd"
)

// standIn is an image that the test cluster has and that answers the probes as
// the controller would. What is tested here is the installation, not what is
// installed.
const standIn = "registry.k8s.io/gateway-api/conformance/echo-basic:v0.2.0"

// world is a cluster without the Gateway API, and an installer for a namespace
// that is not there yet. Tests of other packages must not be at work in it: the
// Gateway API comes and goes.
type world struct {
	t         *testing.T
	ctx       context.Context
	namespace string
	getter    genericclioptions.RESTClientGetter
	config    *rest.Config
	client    kubernetes.Interface
	dynamic   dynamic.Interface
	installer *install.Installer
	said      []string
	states    []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	kubeconfig := testkube.Kubeconfig(t)
	w := &world{t: t, namespace: "egctl-install-test"}
	flags := genericclioptions.NewConfigFlags(true).WithWrapConfigFn(func(c *rest.Config) *rest.Config {
		c.QPS, c.Burst = 100, 200
		return c
	})
	flags.KubeConfig, flags.Namespace = &kubeconfig, &w.namespace
	w.getter = flags
	var cancel context.CancelFunc
	w.ctx, cancel = context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	var err error
	if w.config, err = flags.ToRESTConfig(); err != nil {
		t.Fatal(err)
	}
	w.client, w.dynamic = kubernetes.NewForConfigOrDie(w.config), dynamic.NewForConfigOrDie(w.config)
	w.installer, err = install.New(install.Options{Getter: flags, Namespace: w.namespace,
		Say:   func(s string) { w.said = append(w.said, s); t.Log(s) },
		State: func(s string) { w.states = append(w.states, s); t.Log("…", s) }})
	if err != nil {
		t.Fatal(err)
	}
	w.clean()
	t.Cleanup(func() {
		w.ctx = context.WithoutCancel(w.ctx)
		w.clean()
	})
	return w
}

// clean leaves nothing of a test in the cluster.
func (w *world) clean() {
	w.t.Helper()
	r, err := w.installer.PlanUninstall(w.ctx, "", true)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.installer.Uninstall(w.ctx, r, time.Minute); err != nil {
		w.t.Fatal(err)
	}
	w.eventually("the namespace is gone", func() bool {
		_, err := w.client.CoreV1().Namespaces().Get(w.ctx, w.namespace, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}

func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("not after a minute: %s", what)
		}
	}
}

// request installs the chart with the stand-in for the controller.
func (w *world) request() install.Request {
	probe := map[string]any{"httpGet": map[string]any{"path": "/", "port": 3000}}
	return install.Request{
		Chart: install.Chart{Program: "v0.9.0"}, Wait: true, Timeout: time.Minute,
		Values: map[string]any{
			"global": map[string]any{"images": map[string]any{"envoyGateway": map[string]any{"image": standIn}}},
			"deployment": map[string]any{"envoyGateway": map[string]any{
				"startupProbe": probe, "livenessProbe": probe, "readinessProbe": probe,
				"extraEnv": []any{map[string]any{"name": "POD_NAME", "value": "x"}, map[string]any{"name": "NAMESPACE", "value": "x"}},
			}},
		},
	}
}

func (w *world) install(r install.Request) {
	w.t.Helper()
	plan, err := w.installer.Plan(w.ctx, r)
	if err != nil {
		w.t.Fatal(err)
	}
	w.states = nil
	if _, err := w.installer.Apply(w.ctx, plan); err != nil {
		w.t.Fatal(err)
	}
	created := 0
	for _, d := range plan.CRDs {
		if d.Action == crd.Create {
			created++
		}
	}
	last := fmt.Sprintf("applying CustomResourceDefinitions: %d of %d, ", created, created)
	if created > 0 && !slices.ContainsFunc(w.states, func(s string) bool { return strings.HasPrefix(s, last) }) {
		w.t.Errorf("%d definitions were created, and told of is %q", created, w.states)
	}
}

func (w *world) definition(name string) *unstructured.Unstructured {
	w.t.Helper()
	u, err := w.dynamic.Resource(crd.Resource).Get(w.ctx, name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

func gvr(resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: resource}
}

func object(kind, namespace, name string, spec map[string]any) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "gateway.networking.k8s.io/v1", "kind": kind, "spec": spec}}
	u.SetName(name)
	u.SetNamespace(namespace)
	return u
}

func (w *world) apply(manifest string) {
	w.t.Helper()
	for _, doc := range strings.Split(manifest, "\n---\n") {
		u := parse(w.t, doc)
		resource := schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicies"}
		if u.GetKind() == "ValidatingAdmissionPolicyBinding" {
			resource.Resource = "validatingadmissionpolicybindings"
		}
		if _, err := w.dynamic.Resource(resource).Apply(w.ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: "somebody"}); err != nil {
			w.t.Fatal(err)
		}
	}
}

func parse(t *testing.T, doc string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(doc), &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}
