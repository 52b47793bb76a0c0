package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/test/e2e/suite"
)

const lease = "5b9825d2.gateway.envoyproxy.io"

// TestLeaderKilled kills the leader of two replicas under load: traffic does not
// notice, configuration reaches proxies at once, and statuses are written again
// within the time of the lease.
func TestLeaderKilled(t *testing.T) {
	s := shared.Get(t)
	s.Installed(t, suite.Defaults)
	site := s.Site(t, suite.SiteOptions{})
	s.Rollout(t, suite.SystemNamespace, "envoy-gateway")
	load := s.StartLoad(t, suite.LoadOptions{Address: site.Address, Hosts: []string{site.Host}})

	l, err := s.Kube.CoordinationV1().Leases(suite.SystemNamespace).Get(t.Context(), lease, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	leader := ptr.Deref(l.Spec.HolderIdentity, "")
	// A pod that is only killed comes back under its name and leads on.
	killed := time.Now()
	remove(t, s, suite.SystemNamespace, leader)

	s.Apply(t, site.Namespace, suite.RouteManifest("new", site.Gateway, "new.example.com", "backend"))
	s.Answers(t, 10*time.Second, site.Address, "new.example.com", "/", 200)
	t.Logf("a route works %s after the leader was killed", time.Since(killed).Round(time.Millisecond))
	// The lease is 15 s, and others look every 2 s.
	accepted(t, s, site.Namespace, "new", 20*time.Second)
	t.Logf("statuses are written %s after the leader was killed", time.Since(killed).Round(time.Millisecond))
	if l, err = s.Kube.CoordinationV1().Leases(suite.SystemNamespace).Get(t.Context(), lease, metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	if next := ptr.Deref(l.Spec.HolderIdentity, ""); next == leader {
		t.Errorf("%s leads still", leader)
	}
	load.Stop(t)
	s.Rollout(t, suite.SystemNamespace, "envoy-gateway")
}

// TestControllersRestart takes all replicas away at once, with 500 routes under
// load: no proxy may be told anything before everything is known again, and nobody
// that the Gateway is not programmed any more.
func TestControllersRestart(t *testing.T) {
	const routes = 500
	s := shared.Get(t)
	s.Installed(t, suite.Defaults)
	site := s.Site(t, suite.SiteOptions{})
	hosts := make([]string, routes)
	manyRoutes(t, s, site, hosts)
	answerAll(t, s, site, hosts)

	load := s.StartLoad(t, suite.LoadOptions{Address: site.Address, Hosts: hosts, Pause: 2 * time.Millisecond})
	pods, err := s.Pods(t.Context(), suite.SystemNamespace, suite.ControllerSelector)
	if err != nil {
		t.Fatal(err)
	}
	programmed := staysProgrammed(t, s, site)
	for _, p := range pods {
		remove(t, s, suite.SystemNamespace, p.Name)
	}
	s.Rollout(t, suite.SystemNamespace, "envoy-gateway")
	// Proof that the proxy is connected again: something new arrives.
	s.Apply(t, site.Namespace, suite.RouteManifest("new", site.Gateway, "new.example.com", "backend"))
	s.Answers(t, 30*time.Second, site.Address, "new.example.com", "/", 200)
	answerAll(t, s, site, hosts)
	accepted(t, s, site.Namespace, "new", 30*time.Second) // there is a leader again
	programmed()
	load.Stop(t)
}

// staysProgrammed watches the Gateway of a site until the function that it returns
// is called, which fails the test if Programmed was ever anything but True.
func staysProgrammed(t *testing.T, s *suite.Suite, site *suite.Site) (stop func()) {
	t.Helper()
	w, err := s.Gateways.GatewayV1().Gateways(site.Namespace).Watch(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=" + site.Gateway})
	if err != nil {
		t.Fatal(err)
	}
	var wrong []string
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for e := range w.ResultChan() {
			g, ok := e.Object.(*gatewayv1.Gateway)
			if !ok {
				break // also said when the watch is stopped
			}
			c := meta.FindStatusCondition(g.Status.Conditions, string(gatewayv1.GatewayConditionProgrammed))
			if c == nil || c.Status != metav1.ConditionTrue {
				wrong = append(wrong, fmt.Sprintf("%+v", c))
			}
		}
		select {
		case <-stopped:
		default:
			wrong = append(wrong, "not to be seen: the watch has ended")
		}
	}()
	return func() {
		t.Helper()
		close(stopped)
		w.Stop()
		<-done
		for _, c := range wrong {
			t.Errorf("the Gateway was for a moment: %s", c)
		}
	}
}

// manyRoutes makes a route for each host, and names them.
func manyRoutes(t *testing.T, s *suite.Suite, site *suite.Site, hosts []string) {
	t.Helper()
	group := errgroup.Group{}
	group.SetLimit(8)
	for i := range hosts {
		hosts[i] = fmt.Sprintf("host-%d.example.com", i)
		group.Go(func() error {
			_, err := s.TryApply(t.Context(), site.Namespace, suite.RouteManifest(fmt.Sprintf("route-%d", i), site.Gateway, hosts[i], "backend"))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// answerAll waits until every host is answered.
func answerAll(t *testing.T, s *suite.Suite, site *suite.Site, hosts []string) {
	t.Helper()
	next := 0
	suite.Eventually(t, time.Minute, "all routes answer", func(ctx context.Context) error {
		for ; next < len(hosts); next++ {
			r, err := s.Get(ctx, site.Address, hosts[next], "/")
			if err != nil {
				return err
			}
			if r.Status != http.StatusOK {
				return fmt.Errorf("%s: status %d", hosts[next], r.Status)
			}
		}
		return nil
	})
}

// accepted waits until a route's status says that it is, and that it was looked at
// in its newest form.
func accepted(t *testing.T, s *suite.Suite, namespace, name string, within time.Duration) {
	t.Helper()
	suite.Eventually(t, within, "HTTPRoute "+name+" is Accepted", func(ctx context.Context) error {
		r, err := s.Gateways.GatewayV1().HTTPRoutes(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, p := range r.Status.Parents {
			if c := meta.FindStatusCondition(p.Conditions, "Accepted"); c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration == r.Generation {
				return nil
			}
		}
		return fmt.Errorf("generation %d, parents %+v", r.Generation, r.Status.Parents)
	})
}

// remove makes a pod as gone as by the loss of its node: it is killed, and has no
// time to say good-bye.
func remove(t *testing.T, s *suite.Suite, namespace, name string) {
	t.Helper()
	pod, err := s.Kube.CoreV1().Pods(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	kill(t, pod, "")
	if err := s.Kube.CoreV1().Pods(namespace).Delete(t.Context(), name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}); err != nil {
		t.Fatal(err)
	}
}

// kill sends SIGKILL to the processes of a pod's container, or of all of them.
func kill(t *testing.T, pod *corev1.Pod, container string) {
	t.Helper()
	processes := processesOf(t, pod, container)
	if len(processes) == 0 {
		t.Fatalf("no process of pod %s, container %q was found", pod.Name, container)
	}
	for _, pid := range processes {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatal(err)
		}
	}
}

// processesOf are those whose control group names the container, or one of the pod.
func processesOf(t *testing.T, pod *corev1.Pod, container string) []int {
	t.Helper()
	var ids []string
	for _, c := range pod.Status.ContainerStatuses {
		if _, id, ok := strings.Cut(c.ContainerID, "://"); ok && (container == "" || c.Name == container) {
			ids = append(ids, id)
		}
	}
	files, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	var out []int
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended meanwhile
		}
		if !slices.ContainsFunc(ids, func(id string) bool { return strings.Contains(string(text), id) }) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, pid)
	}
	return out
}
