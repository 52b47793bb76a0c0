package kube_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/internal/testkube"
	"github.com/egctl/egctl/pkg/controller/infra/kube"
	"github.com/egctl/egctl/pkg/controller/infra/kube/render"
	"github.com/egctl/egctl/pkg/controller/pki"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

// bench is a namespace of a real cluster to run fleets in.
type bench struct {
	t         *testing.T
	config    *rest.Config
	client    kubernetes.Interface
	namespace string
	render    render.Config
	// log is where replicas log to besides the test's output; nil: nowhere.
	log io.Writer
}

// newBench skips the test where there is no cluster.
func newBench(t *testing.T) *bench {
	t.Helper()
	config := testkube.Config(t)
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	namespace := testkube.Namespace(t, client)
	return &bench{t: t, config: config, client: client, namespace: namespace, render: render.Config{
		Namespace: namespace, ClusterDomain: "cluster.local",
		ProxyImage: "docker.io/envoyproxy/envoy:distroless-v1.40.0", ShutdownManagerImage: "docker.io/egctl/egctl:none", Command: []string{"egctl"},
		Bootstrap: func(*translate.Fleet) (string, error) { return bootstrap, nil },
		CABundle:  func() []byte { return []byte("certificates") },
	}}
}

// bootstrap is an Envoy that is ready without a controller.
const bootstrap = `
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 19000}}}
static_resources:
  listeners:
  - name: ready
    address: {socket_address: {address: 0.0.0.0, port_value: 19003}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ready
          http_filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
          route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200}}]}]}
`

// alone is a patch that leaves Envoy without the shutdown manager, whose image
// these tests do not have.
var alone = &v1alpha1.KubernetesPatchSpec{Value: apiextensionsv1.JSON{Raw: []byte(
	`{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":1,"containers":[{"name":"shutdown-manager","$patch":"delete"},{"name":"envoy","lifecycle":null,"resources":{"requests":{"cpu":"1m","memory":"8Mi"}}}]}}}}`)}}

// fleet is one that becomes ready.
func (b *bench) fleet(name string, edit ...func(*v1alpha1.EnvoyProxyKubernetesProvider)) *translate.Fleet {
	k := &v1alpha1.EnvoyProxyKubernetesProvider{EnvoyDeployment: &v1alpha1.KubernetesDeploymentSpec{Patch: alone}}
	for _, e := range edit {
		e(k)
	}
	return &translate.Fleet{
		Key: store.ID{Kind: store.Gateway, Namespace: b.namespace, Name: name}.Key(), Class: "eg",
		Ports:      []translate.FleetPort{{Name: "http-80", Port: 80, ContainerPort: 10080}},
		Parameters: &v1alpha1.EnvoyProxySpec{Concurrency: ptr.To[int32](1), Provider: &v1alpha1.EnvoyProxyProvider{Type: v1alpha1.EnvoyProxyProviderKubernetes, Kubernetes: k}},
	}
}

// certificates writes Secrets that look like certificates.
type certificates struct{ b *bench }

func (c certificates) Ensure(ctx context.Context, want pki.Client) error {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: want.Namespace, Name: want.Secret, Labels: want.Labels},
		Data: map[string][]byte{"tls.crt": []byte("c"), "tls.key": []byte("k"), "ca.crt": []byte("a")}}
	_, err := c.b.client.CoreV1().Secrets(want.Namespace).Create(ctx, s, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

func (certificates) Forget(string, string) {}

// replica is one process of the controller.
type replica struct {
	*kube.Infrastructure
	b   *bench
	end context.CancelFunc

	mu     sync.Mutex
	told   map[store.Key]*translate.Infrastructure
	writes []kube.Write
	// during is what was told while submitted ran.
	during    []translate.Infrastructure
	recording bool
}

func (b *bench) replica(lead bool) *replica {
	b.t.Helper()
	r := &replica{b: b, told: map[store.Key]*translate.Infrastructure{}}
	log := b.t.Output()
	if b.log != nil {
		log = io.MultiWriter(log, b.log)
	}
	o := kube.Options{
		Client: b.config, Render: b.render, Submit: r.submit, Certificates: certificates{b},
		Observe: func(w kube.Write) { r.mu.Lock(); r.writes = append(r.writes, w); r.mu.Unlock() },
		Logger:  slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if b.render.GatewayNamespaceMode {
		o.Certificates, o.Namespaces = nil, []string{b.namespace}
	}
	var err error
	if r.Infrastructure, err = kube.New(o); err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		if err := r.Run(ctx); err != nil {
			b.t.Error(err)
		}
	})
	if lead {
		group.Go(func() {
			if err := r.Lead(ctx); err != nil {
				b.t.Error(err)
			}
		})
	}
	r.end = sync.OnceFunc(func() { cancel(); group.Wait() })
	b.t.Cleanup(r.end)
	return r
}

// text is a log that is read while it is written.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) { t.mu.Lock(); defer t.mu.Unlock(); return t.b.Write(p) }
func (t *text) String() string              { t.mu.Lock(); defer t.mu.Unlock(); return t.b.String() }

func (r *replica) submit(changes ...store.Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range changes {
		if c.Object == nil {
			delete(r.told, c.Key)
			continue
		}
		v := c.Object.(*store.Value[translate.Infrastructure]).V
		r.told[c.Key] = &v
		if r.recording {
			r.during = append(r.during, v)
		}
		r.b.t.Logf("told of %s: %+v", c.Key, v)
	}
}

func (r *replica) want(f *translate.Fleet) { r.Want(f.Key, f) }

func (r *replica) about(f *translate.Fleet) *translate.Infrastructure {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.told[translate.InfrastructureKey(f.Key)]
}

// until waits for what the replica reports of a fleet.
func (r *replica) until(what string, f *translate.Fleet, ok func(translate.Infrastructure) bool) translate.Infrastructure {
	r.b.t.Helper()
	r.b.until(what, func() error {
		if now := r.about(f); now == nil || !ok(*now) {
			return fmt.Errorf("reported is %+v", now)
		}
		return nil
	})
	return *r.about(f)
}

// submitted records what is told while do runs.
func (r *replica) submitted(do func()) {
	set := func(on bool) { r.mu.Lock(); r.recording = on; r.mu.Unlock() }
	set(true)
	defer set(false)
	do()
}

// snapshot returns all writes so far.
func (r *replica) snapshot() []kube.Write {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.writes)
}

// written counts the writes to objects of a kind.
func (r *replica) written(kind string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, w := range r.writes {
		if w.Kind == kind {
			n++
		}
	}
	return n
}

// until waits for a condition of the cluster.
func (b *bench) until(what string, check func() error) {
	b.t.Helper()
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	b.t.Fatalf("%s: %v", what, err)
}

// names lists objects of the namespace as "Kind/name", those of fleets only.
func (b *bench) names() string {
	b.t.Helper()
	var out []string
	list := metav1.ListOptions{LabelSelector: render.ManagedByLabel + "=" + render.ManagedBy}
	add := func(kind string, err error, n int, name func(int) metav1.ObjectMeta) {
		if err != nil {
			b.t.Fatal(err)
		}
		for i := range n {
			if m := name(i); m.DeletionTimestamp == nil {
				out = append(out, kind+"/"+m.Name)
			}
		}
	}
	ctx := b.t.Context()
	sa, err := b.client.CoreV1().ServiceAccounts(b.namespace).List(ctx, list)
	add("ServiceAccount", err, len(sa.Items), func(i int) metav1.ObjectMeta { return sa.Items[i].ObjectMeta })
	cm, err := b.client.CoreV1().ConfigMaps(b.namespace).List(ctx, list)
	add("ConfigMap", err, len(cm.Items), func(i int) metav1.ObjectMeta { return cm.Items[i].ObjectMeta })
	sec, err := b.client.CoreV1().Secrets(b.namespace).List(ctx, list)
	add("Secret", err, len(sec.Items), func(i int) metav1.ObjectMeta { return sec.Items[i].ObjectMeta })
	dep, err := b.client.AppsV1().Deployments(b.namespace).List(ctx, list)
	add("Deployment", err, len(dep.Items), func(i int) metav1.ObjectMeta { return dep.Items[i].ObjectMeta })
	ds, err := b.client.AppsV1().DaemonSets(b.namespace).List(ctx, list)
	add("DaemonSet", err, len(ds.Items), func(i int) metav1.ObjectMeta { return ds.Items[i].ObjectMeta })
	svc, err := b.client.CoreV1().Services(b.namespace).List(ctx, list)
	add("Service", err, len(svc.Items), func(i int) metav1.ObjectMeta { return svc.Items[i].ObjectMeta })
	hpa, err := b.client.AutoscalingV2().HorizontalPodAutoscalers(b.namespace).List(ctx, list)
	add("HPA", err, len(hpa.Items), func(i int) metav1.ObjectMeta { return hpa.Items[i].ObjectMeta })
	pdb, err := b.client.PolicyV1().PodDisruptionBudgets(b.namespace).List(ctx, list)
	add("PDB", err, len(pdb.Items), func(i int) metav1.ObjectMeta { return pdb.Items[i].ObjectMeta })
	return strings.Join(out, " ")
}

// has waits until the namespace holds these objects of fleets and no others; %
// stands for the fleet's resource name.
func (b *bench) has(f *translate.Fleet, want string) {
	b.t.Helper()
	want = strings.ReplaceAll(want, "%", b.render.FleetResource(f.Key))
	b.until("objects", func() error {
		if got := b.names(); got != want {
			return fmt.Errorf("there are\n%s\nnot\n%s", got, want)
		}
		return nil
	})
}

func ready(i translate.Infrastructure) bool { return i.Ready && len(i.Addresses) > 0 }
