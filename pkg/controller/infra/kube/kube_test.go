package kube_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/translate"
)

const all = "ServiceAccount/% ConfigMap/% Secret/% Deployment/% Service/%"

// TestKubeFleetLives follows one fleet from its first object to its last.
func TestKubeFleetLives(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	leader, follower := b.replica(true), b.replica(false)
	f := b.fleet("eg")
	begin := time.Now()
	leader.want(f)
	follower.want(f)
	leader.until("address", f, func(i translate.Infrastructure) bool { return len(i.Addresses) > 0 })
	address := time.Since(begin)
	got := leader.until("ready", f, ready)
	t.Logf("address after %s, ready after %s", address, time.Since(begin))
	if got.Message != "1/1 replicas ready" || got.Addresses[0].Hostname || !strings.HasPrefix(got.Addresses[0].Value, "10.") {
		t.Errorf("reported is %+v", got)
	}
	follower.until("the follower's word", f, ready)
	b.has(f, all)
	if n := leader.written("Deployment"); n > 2 {
		t.Errorf("the Deployment was written %d times", n)
	}
	if n := follower.written("Deployment"); n != 0 {
		t.Errorf("a replica that does not lead wrote %d times", n)
	}

	leader.Want(f.Key, nil)
	follower.Want(f.Key, nil)
	b.has(f, "")
	if leader.about(f) != nil || follower.about(f) != nil {
		t.Error("a fleet that is gone is reported")
	}
}

// TestKubeChangesByHand are put back, but what others add is left to them.
func TestKubeChangesByHand(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.replica(true)
	f := b.fleet("eg")
	r.want(f)
	b.has(f, all)
	name := b.render.FleetResource(f.Key)
	ctx := t.Context()

	services := b.client.CoreV1().Services(b.namespace)
	patch := `{"metadata":{"annotations":{"others.example.com/note":"keep"},"labels":{"app.kubernetes.io/name":"changed"}},"spec":{"externalTrafficPolicy":"Cluster"}}`
	if _, err := services.Patch(ctx, name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	b.until("the Service is put back", func() error {
		s, err := services.Get(ctx, name, metav1.GetOptions{})
		if err == nil && (s.Spec.ExternalTrafficPolicy != "Local" || s.Labels["app.kubernetes.io/name"] != "envoy" || s.Annotations["others.example.com/note"] != "keep") {
			err = fmt.Errorf("it has %v, %v, %v", s.Spec.ExternalTrafficPolicy, s.Labels, s.Annotations)
		}
		return err
	})

	deployments := b.client.AppsV1().Deployments(b.namespace)
	if _, err := deployments.Patch(ctx, name, types.StrategicMergePatchType, []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"envoy","image":"docker.io/envoyproxy/envoy:other"}]}}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	b.until("the image is put back", func() error {
		d, err := deployments.Get(ctx, name, metav1.GetOptions{})
		if err == nil && d.Spec.Template.Spec.Containers[0].Image != b.render.ProxyImage {
			err = errors.New(d.Spec.Template.Spec.Containers[0].Image)
		}
		return err
	})

	if err := b.client.CoreV1().ConfigMaps(b.namespace).Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := deployments.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	b.until("what was deleted is back", func() error {
		_, err := b.client.CoreV1().ConfigMaps(b.namespace).Get(ctx, name, metav1.GetOptions{})
		d, err2 := deployments.Get(ctx, name, metav1.GetOptions{})
		if err2 == nil && d.DeletionTimestamp != nil {
			err2 = errors.New("the Deployment is still going")
		}
		return errors.Join(err, err2)
	})
	r.until("ready", f, ready)

	// Nothing is written when nothing changes.
	time.Sleep(2 * time.Second)
	before := len(r.snapshot())
	time.Sleep(3 * time.Second)
	if after := r.snapshot(); len(after) != before {
		t.Errorf("written without a reason: %+v", after[before:])
	}
}

// TestKubeAutoscaler: replicas that an autoscaler decides on are not ours, and
// it starts from as many as there are.
func TestKubeAutoscaler(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.replica(true)
	f := b.fleet("eg", func(k *v1alpha1.EnvoyProxyKubernetesProvider) { k.EnvoyDeployment.Replicas = ptr.To[int32](3) })
	r.want(f)
	r.until("three replicas", f, func(i translate.Infrastructure) bool { return i.Message == "3/3 replicas ready" })

	deployments := b.client.AppsV1().Deployments(b.namespace)
	name := b.render.FleetResource(f.Key)
	replicas := func() int32 {
		d, err := deployments.Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return *d.Spec.Replicas
	}
	w, err := deployments.Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan []int32)
	go func() {
		var numbers []int32
		for e := range w.ResultChan() {
			if d, ok := e.Object.(*appsv1.Deployment); ok {
				numbers = append(numbers, *d.Spec.Replicas)
			}
		}
		seen <- numbers
	}()
	f = b.fleet("eg", func(k *v1alpha1.EnvoyProxyKubernetesProvider) {
		k.EnvoyHpa = &v1alpha1.KubernetesHorizontalPodAutoscalerSpec{MinReplicas: ptr.To[int32](2), MaxReplicas: ptr.To[int32](6)}
	})
	r.want(f)
	b.has(f, all+" HPA/%")
	time.Sleep(time.Second)
	w.Stop()
	if numbers := <-seen; len(numbers) == 0 || slices.ContainsFunc(numbers, func(n int32) bool { return n != 3 }) {
		t.Errorf("at the handover there were %v replicas", numbers)
	}
	scale, err := deployments.GetScale(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	scale.Spec.Replicas = 4
	if _, err := deployments.UpdateScale(t.Context(), name, scale, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	f = b.fleet("eg", func(k *v1alpha1.EnvoyProxyKubernetesProvider) {
		k.EnvoyHpa = f.Parameters.Provider.Kubernetes.EnvoyHpa
		k.EnvoyPDB = &v1alpha1.KubernetesPodDisruptionBudgetSpec{MinAvailable: ptr.To(intstr.FromInt32(1))}
	})
	f.Labels = map[string]string{"another": "template"}
	r.want(f)
	b.has(f, strings.Replace(all, "ServiceAccount/%", "ServiceAccount/% ServiceAccount/%-mark", 1)+" HPA/% PDB/%")
	r.until("four replicas", f, func(i translate.Infrastructure) bool { return strings.HasSuffix(i.Message, "/4 replicas ready") })
	if n := replicas(); n != 4 {
		t.Errorf("after an autoscaler set 4 replicas there are %d", n)
	}

	// Without an autoscaler its objects go, and the budget's.
	f = b.fleet("eg", func(k *v1alpha1.EnvoyProxyKubernetesProvider) { k.EnvoyDeployment.Replicas = ptr.To[int32](1) })
	r.want(f)
	b.has(f, all)
	b.until("one replica", func() error {
		if n := replicas(); n != 1 {
			return fmt.Errorf("%d replicas", n)
		}
		return nil
	})
}

// TestKubeRename and the switch to the other kind keep a proxy running all the
// time.
func TestKubeRename(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.replica(true)
	f := b.fleet("eg")
	r.want(f)
	r.until("ready", f, ready)
	r.submitted(func() {
		f = b.fleet("eg", func(k *v1alpha1.EnvoyProxyKubernetesProvider) {
			k.EnvoyDeployment.Name, k.EnvoyService = ptr.To("web"), &v1alpha1.KubernetesServiceSpec{Name: ptr.To("web-service")}
		})
		r.want(f)
		b.has(f, "ServiceAccount/% ConfigMap/% Secret/% Deployment/web Service/web-service")
		f = b.fleet("eg", func(k *v1alpha1.EnvoyProxyKubernetesProvider) {
			k.EnvoyDeployment, k.EnvoyDaemonSet = nil, &v1alpha1.KubernetesDaemonSetSpec{Patch: alone}
		})
		r.want(f)
		b.has(f, "ServiceAccount/% ConfigMap/% Secret/% DaemonSet/% Service/%")
	})
	r.until("ready", f, func(i translate.Infrastructure) bool { return ready(i) && i.Message == "1/1 replicas ready" })
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, i := range r.during {
		if !i.Ready {
			t.Errorf("no proxy was ready: %+v", i)
		}
	}
}

// TestKubeLeftovers: what fleets left behind while nobody led is removed, once
// it is known which fleets there are.
func TestKubeLeftovers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.replica(true)
	gone, stays := b.fleet("gone"), b.fleet("stays")
	first.want(gone)
	b.has(gone, all)
	first.want(stays)
	first.until("ready", stays, ready)
	first.end()

	second := b.replica(true)
	second.want(stays)
	second.until("the second leader's word", stays, ready)
	time.Sleep(500 * time.Millisecond)
	if !strings.Contains(b.names(), b.render.FleetResource(gone.Key)) {
		t.Error("the objects of a fleet were removed before it was known that there is none")
	}
	second.Complete()
	b.has(stays, all)
}

// TestKubeFrozen leaves what runs as it is.
func TestKubeFrozen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.replica(true)
	f := b.fleet("eg")
	r.want(f)
	r.until("ready", f, ready)
	n := len(r.snapshot())
	frozen := b.fleet("eg", func(k *v1alpha1.EnvoyProxyKubernetesProvider) { k.EnvoyDeployment.Replicas = ptr.To[int32](5) })
	frozen.Frozen = "its EnvoyProxy is invalid"
	r.want(frozen)
	empty := b.fleet("eg")
	empty.Ports = nil
	time.Sleep(300 * time.Millisecond)
	r.want(empty)
	time.Sleep(300 * time.Millisecond)
	if now := r.snapshot(); len(now) != n {
		t.Errorf("written: %+v", now[n:])
	}
	if now := r.about(f); now == nil || !ready(*now) {
		t.Errorf("reported is %+v", now)
	}
	nothing := b.fleet("nothing")
	nothing.Ports = nil
	r.want(nothing)
	time.Sleep(300 * time.Millisecond)
	b.has(f, all)
}

// TestKubeRefusals: what the API server or we refuse is told, naming object and
// remedy, and hurts no other fleet.
func TestKubeRefusals(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.replica(true)
	address := b.fleet("address")
	address.Addresses = []string{"169.254.10.10"}
	cluster := b.fleet("cluster-ip", func(k *v1alpha1.EnvoyProxyKubernetesProvider) {
		k.EnvoyService = &v1alpha1.KubernetesServiceSpec{Type: ptr.To(v1alpha1.ServiceTypeClusterIP)}
	})
	cluster.Addresses = []string{"203.0.113.1"}
	field := b.fleet("field", func(k *v1alpha1.EnvoyProxyKubernetesProvider) {
		p := *alone
		p.Value.Raw = []byte(`{"spec":{"replicas":1,"minReadySecond":3}}`)
		k.EnvoyDeployment.Patch = &p
	})
	taken := b.fleet("taken", func(k *v1alpha1.EnvoyProxyKubernetesProvider) {
		k.EnvoyService = &v1alpha1.KubernetesServiceSpec{Name: ptr.To("mine")}
	})
	mine := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "mine"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 1234}}}}
	if _, err := b.client.CoreV1().Services(b.namespace).Create(t.Context(), mine, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	good := b.fleet("good")
	good.Addresses = []string{"203.0.113.2"}
	for _, f := range []*translate.Fleet{address, cluster, field, taken, good} {
		r.want(f)
	}
	says := func(f *translate.Fleet, unusable bool, texts ...string) {
		t.Helper()
		r.until(f.Key.Name, f, func(i translate.Infrastructure) bool {
			for _, text := range texts {
				if !strings.Contains(i.Message, text) {
					return false
				}
			}
			return !i.Ready && (i.Unusable != "") == unusable
		})
	}
	says(address, true, "169.254.10.10 cannot be had", "Service "+b.namespace)
	says(cluster, true, "203.0.113.1 cannot be had")
	says(field, false, "Deployment "+b.namespace, "minReadySecond", "EnvoyProxy")
	says(taken, false, "Service "+b.namespace+"/mine exists and is left alone", "rename")
	got := r.until("good", good, ready)
	if len(got.Addresses) != 1 || got.Addresses[0].Value != "203.0.113.2" || got.Unusable != "" {
		t.Errorf("reported is %+v", got)
	}

	// A refusal is not for ever.
	address.Addresses = nil
	again := *address
	r.want(&again)
	r.until("without the address", &again, ready)
	if err := b.client.CoreV1().Services(b.namespace).Delete(t.Context(), "mine", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	r.until("without the stranger", taken, ready)
}
