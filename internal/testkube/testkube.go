// Package testkube gives tests a place of their own in a real cluster.
package testkube

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/egctl/egctl/pkg/crds"
)

// EnvVar names the kubeconfig of the cluster to test in.
const EnvVar = "EGCTL_TEST_KUBECONFIG"

// EchoImage is a server on port 3000 that answers with the name of its pod.
const EchoImage = "registry.k8s.io/gateway-api/conformance/echo-basic:v0.1.0"

// Patience is how long a test waits for what must happen at some time.
const Patience = 60 * time.Second

// Cluster is a namespace for one test.
type Cluster struct {
	Config    *rest.Config
	Client    kubernetes.Interface
	Dynamic   dynamic.Interface
	Namespace string
}

// Kubeconfig returns the file that leads to the cluster to test in. Where there is none, the
// test is skipped: "make e2e" runs it.
func Kubeconfig(t *testing.T) string {
	t.Helper()
	path := os.Getenv(EnvVar)
	if path == "" {
		t.Skipf("SKIPPED, what runs in Kubernetes is not tested: $%s names no kubeconfig", EnvVar)
	}
	return path
}

// Config is how that cluster is reached.
func Config(t *testing.T) *rest.Config {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", Kubeconfig(t))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.Burst = 200, 400
	return config
}

// New makes a namespace that goes with the test, which it skips where there is no cluster. The
// cluster has the CRDs of the Gateway API then.
func New(t *testing.T) *Cluster {
	t.Helper()
	config := Config(t)
	c := &Cluster{Config: config}
	var err error
	if c.Client, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	if c.Dynamic, err = dynamic.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	c.Namespace = Namespace(t, c.Client)
	c.crds(t)
	return c
}

// Namespace makes a namespace that goes with the test.
func Namespace(t *testing.T, client kubernetes.Interface) string {
	t.Helper()
	ns, err := client.CoreV1().Namespaces().Create(t.Context(), &core.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "egctl-test-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.CoreV1().Namespaces().Delete(context.Background(), ns.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	return ns.Name
}

// crds installs those that are missing.
func (c *Cluster) crds(t *testing.T) {
	t.Helper()
	names, err := crds.Names(crds.Standard)
	if err != nil {
		t.Fatal(err)
	}
	resource := c.Dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	for _, name := range names {
		text, err := crds.YAML(crds.Standard, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, doc := range strings.Split(string(text), "\n---\n") {
			o := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(doc), &o.Object); err != nil {
				t.Fatal(err)
			}
			if o.GetKind() != "CustomResourceDefinition" {
				continue
			}
			if _, err := resource.Create(context.Background(), o, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
				t.Fatal(err)
			}
			Eventually(t, o.GetName()+" to be served", func() bool {
				have, err := resource.Get(context.Background(), o.GetName(), metav1.GetOptions{})
				if err != nil {
					return false
				}
				list, _, err := unstructured.NestedSlice(have.Object, "status", "conditions")
				return err == nil && slices.ContainsFunc(list, func(v any) bool {
					m, ok := v.(map[string]any)
					return ok && m["type"] == "Established" && m["status"] == "True"
				})
			})
		}
	}
}

// Apply creates objects from YAML, in the namespace of the test where they name none, and sets
// their status if they have one.
func (c *Cluster) Apply(t *testing.T, resource schema.GroupVersionResource, namespaced bool, text string) {
	t.Helper()
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
		t.Fatal(err)
	}
	var client dynamic.ResourceInterface = c.Dynamic.Resource(resource)
	if namespaced {
		client = c.Dynamic.Resource(resource).Namespace(c.Namespace)
		o.SetNamespace(c.Namespace)
	}
	options := metav1.ApplyOptions{FieldManager: "egctl-test", Force: true}
	ctx := context.Background()
	if _, err := client.Apply(ctx, o.GetName(), o, options); err != nil {
		t.Fatal(err)
	}
	if o.Object["status"] != nil {
		if _, err := client.ApplyStatus(ctx, o.GetName(), o, options); err != nil {
			t.Fatal(err)
		}
	}
	if !namespaced {
		t.Cleanup(func() {
			if err := client.Delete(ctx, o.GetName(), metav1.DeleteOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// Echo runs so many echo servers in a Deployment of that name, with the label app, and waits
// until they are ready.
func (c *Cluster) Echo(t *testing.T, name string, replicas int32) {
	t.Helper()
	labels := map[string]string{"app": name}
	// As proxies do, they answer on for a moment when they are told to go.
	grace, preStop := int64(3), &core.Lifecycle{PreStop: &core.LifecycleHandler{Sleep: &core.SleepAction{Seconds: 2}}}
	field := func(env, path string) core.EnvVar {
		return core.EnvVar{Name: env, ValueFrom: &core.EnvVarSource{FieldRef: &core.ObjectFieldSelector{FieldPath: path}}}
	}
	d := &apps.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: apps.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: core.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: core.PodSpec{TerminationGracePeriodSeconds: &grace, Containers: []core.Container{{
					Name: "echo", Image: EchoImage, ImagePullPolicy: core.PullIfNotPresent, Lifecycle: preStop,
					Ports:          []core.ContainerPort{{Name: "web", ContainerPort: 3000}},
					ReadinessProbe: &core.Probe{PeriodSeconds: 1, ProbeHandler: core.ProbeHandler{TCPSocket: &core.TCPSocketAction{Port: intstr.FromString("web")}}},
					Env:            []core.EnvVar{field("POD_NAME", "metadata.name"), field("NAMESPACE", "metadata.namespace")},
				}}},
			},
		},
	}
	ctx := context.Background()
	if _, err := c.Client.AppsV1().Deployments(c.Namespace).Create(ctx, d, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	Eventually(t, "the echo servers", func() bool {
		d, err := c.Client.AppsV1().Deployments(c.Namespace).Get(ctx, name, metav1.GetOptions{})
		return err == nil && d.Status.ReadyReplicas == replicas
	})
}

// Scale changes the number of replicas of a Deployment.
func (c *Cluster) Scale(t *testing.T, name string, replicas int32) {
	t.Helper()
	ctx := context.Background()
	scale, err := c.Client.AppsV1().Deployments(c.Namespace).GetScale(ctx, name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	scale.Spec.Replicas = replicas
	if _, err := c.Client.AppsV1().Deployments(c.Namespace).UpdateScale(ctx, name, scale, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// Eventually waits until a condition holds.
func Eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(Patience); ; time.Sleep(50 * time.Millisecond) {
		if holds() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("waited %s for %s", Patience, what)
		}
	}
}
