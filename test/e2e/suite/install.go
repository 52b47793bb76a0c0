package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Defaults are the values of an installation that most tests share: the chart's,
// but with a second replica to take over.
const Defaults = "deployment: {replicas: 2}\n"

// What is installed at first, and what may be after a test of the installation.
const (
	nothing = "\x00"
	unknown = "\x01"
)

// ControllerSelector finds the controller's pods, ProxySelector those of all
// proxies.
const (
	ControllerSelector = "control-plane=envoy-gateway"
	ProxySelector      = "app.kubernetes.io/name=envoy,app.kubernetes.io/managed-by=envoy-gateway"
)

// Installed sees to it that egctl is installed with these values (YAML), by egctl
// install with these flags. Tests that want the same share one installation.
func (s *Suite) Installed(t *testing.T, values string, flags ...string) {
	t.Helper()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if want := strings.Join(append(flags, values), "\x00"); s.installed != want {
		if err := s.uninstall(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.installed = unknown
		if err := s.install(t.Context(), values, flags...); err != nil {
			t.Fatal(err)
		}
		s.installed = want
	}
}

// Uninstalled sees to it that egctl is not installed, for a test of the
// installation.
func (s *Suite) Uninstalled(t *testing.T) {
	t.Helper()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if err := s.uninstall(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.installed = unknown
}

func (s *Suite) install(ctx context.Context, values string, flags ...string) error {
	args := append([]string{"install", "--timeout", "2m"}, flags...)
	if values != "" {
		file := filepath.Join(s.Dir, "values.yaml")
		if err := os.WriteFile(file, []byte(values), 0o644); err != nil {
			return err
		}
		args = append(args, "-f", file)
	}
	if _, err := s.Try(ctx, "egctl", args...); err != nil {
		return errors.Join(err, s.describe(ctx))
	}
	return nil
}

// describe is what there is to say of a controller that did not start.
func (s *Suite) describe(ctx context.Context) error {
	pods, err := s.Try(ctx, "kubectl", "describe", "pods", "-n", SystemNamespace)
	logs, logErr := s.Try(ctx, "kubectl", "logs", "-n", SystemNamespace, "-l", ControllerSelector, "--tail=30")
	return errors.Join(errors.New(tail(pods, 40)+logs), err, logErr)
}

// uninstall removes the installation, if there is one. Proxies go first: without a
// controller nobody would take them away.
func (s *Suite) uninstall(ctx context.Context) error {
	if s.installed == nothing {
		return nil
	}
	if err := s.clean(ctx); err != nil {
		return err
	}
	s.installed = nothing
	return nil
}

// clean removes what tests and installations have made, also those of a run that
// was killed.
func (s *Suite) clean(ctx context.Context) error {
	namespaces, err := s.Kube.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: testLabel})
	if err != nil {
		return err
	}
	for _, ns := range namespaces.Items {
		if err := s.removeNamespace(ctx, ns.Name); err != nil {
			return err
		}
	}
	classes := s.Dynamic.Resource(schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gatewayclasses"})
	if err := classes.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsMethodNotSupported(err) {
		return err
	}
	if err := Poll(ctx, 2*time.Minute, s.NoProxies); err != nil {
		return fmt.Errorf("proxies of Gateways that are gone: %w", err)
	}
	releases, err := s.Kube.CoreV1().Secrets(SystemNamespace).List(ctx, metav1.ListOptions{LabelSelector: "owner=helm"})
	if err != nil {
		return err
	}
	if len(releases.Items) > 0 {
		if _, err := s.Try(ctx, "egctl", "uninstall", "--yes"); err != nil {
			return err
		}
	}
	err = s.Kube.CoreV1().Namespaces().Delete(ctx, SystemNamespace, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	s.installed = nothing
	return Poll(ctx, time.Minute, func(ctx context.Context) error {
		_, err := s.Kube.CoreV1().Namespaces().Get(ctx, SystemNamespace, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case err != nil:
			return err
		}
		return fmt.Errorf("namespace %s is still there", SystemNamespace)
	})
}

// NoProxies returns nil once there are neither proxies nor what makes some.
func (s *Suite) NoProxies(ctx context.Context) error {
	o := metav1.ListOptions{LabelSelector: ProxySelector}
	pods, err := s.Kube.CoreV1().Pods("").List(ctx, o)
	if err != nil {
		return err
	}
	deployments, err := s.Kube.AppsV1().Deployments("").List(ctx, o)
	if err != nil {
		return err
	}
	if len(pods.Items)+len(deployments.Items) > 0 {
		return fmt.Errorf("%d pods and %d Deployments of proxies are there", len(pods.Items), len(deployments.Items))
	}
	return nil
}

// Rollout waits until a Deployment has as many replicas as it wants, all of its
// newest form and available, and none besides.
func (s *Suite) Rollout(t *testing.T, namespace, name string) *appsv1.Deployment {
	t.Helper()
	var d *appsv1.Deployment
	Eventually(t, 2*time.Minute, "Deployment "+name+" is rolled out", func(ctx context.Context) (err error) {
		if d, err = s.Kube.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{}); err != nil {
			return err
		}
		want := int32(1)
		if d.Spec.Replicas != nil {
			want = *d.Spec.Replicas
		}
		st := d.Status
		if st.ObservedGeneration < d.Generation || st.UpdatedReplicas != want || st.AvailableReplicas != want || st.Replicas != want {
			return fmt.Errorf("%d replicas wanted; %d there, %d of them new, %d available (generation %d of %d)",
				want, st.Replicas, st.UpdatedReplicas, st.AvailableReplicas, st.ObservedGeneration, d.Generation)
		}
		return nil
	})
	return d
}

// Pods returns the pods that a selector finds, and that are not on their way out.
func (s *Suite) Pods(ctx context.Context, namespace, selector string) ([]corev1.Pod, error) {
	list, err := s.Kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	var out []corev1.Pod
	for _, p := range list.Items {
		if p.DeletionTimestamp == nil {
			out = append(out, p)
		}
	}
	return out, nil
}

// Ready says whether a pod is.
func Ready(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
