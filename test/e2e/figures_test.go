package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/egctl/egctl/test/e2e/suite"
)

// TestFigures measures, and prints its figures as benchmarks do, from which
// hack/bench-table makes a table. It is for publishing, not for passing.
func TestFigures(t *testing.T) {
	if os.Getenv("EGCTL_E2E_FIGURES") != "1" {
		t.Skip("measures only with EGCTL_E2E_FIGURES=1")
	}
	s := shared.Get(t)
	fmt.Println("pkg: github.com/egctl/egctl/test/e2e")
	figure := func(name, figures string, values ...any) {
		fmt.Printf("BenchmarkCluster"+name+" 1 "+figures+"\n", values...)
	}
	for name, file := range map[string]string{"program": s.Egctl(), "image": s.ImageFile()} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		figure("Size/"+name, "%.1f MB", float64(info.Size())/1e6)
	}

	// Once to have all images unpacked, and once for the figure.
	for range 2 {
		s.Uninstalled(t)
		namespace := s.Namespace(t)
		began := time.Now()
		s.Run(t, "egctl", "quickstart", "--once", "-n", namespace)
		figure("Quickstart", "%.2f s", time.Since(began).Seconds())
		s.Run(t, "egctl", "quickstart", "--cleanup", "-n", namespace)
	}

	s.Uninstalled(t)
	s.Installed(t, "")
	time.Sleep(5 * time.Second)
	m := controllerMemory(t, s)
	figure("Controller/routes=0", m.figures(), m.values()...)

	// The second Gateway: images and CRDs are warm.
	s.Site(t, suite.SiteOptions{})
	namespace, class := s.Namespace(t), suite.Unique("class")
	s.Apply(t, namespace, suite.ClassManifest(class, ""))
	began := time.Now()
	s.Apply(t, namespace, suite.GatewayManifest("eg", class, ""))
	s.Programmed(t, namespace, "eg")
	figure("Gateway", "%.2f s", time.Since(began).Seconds())

	site := s.Site(t, suite.SiteOptions{})
	hosts := make([]string, 1000)
	manyRoutes(t, s, site, hosts)
	answerAll(t, s, site, hosts)
	m = controllerMemory(t, s)
	figure("Controller/routes=1000", m.figures(), m.values()...)
	began = time.Now()
	s.Apply(t, site.Namespace, suite.RouteManifest("new", site.Gateway, "new.example.com", "backend"))
	s.Answers(t, 30*time.Second, site.Address, "new.example.com", "/", 200)
	figure("Route/routes=1000", "%.2f s", time.Since(began).Seconds())
}

// memory is that of a process, in MB.
type memory struct {
	// resident is all of it, own the anonymous part, without pages of the program's
	// file, which all who run it share.
	resident, own float64
	// working is its container's working set, by which a node evicts and which
	// kubectl top shows.
	working float64
}

func (memory) figures() string { return "%.1f rss-MB %.1f own-MB %.1f working-MB" }

func (m memory) values() []any { return []any{m.resident, m.own, m.working} }

// controllerMemory is the memory of the only controller.
func controllerMemory(t *testing.T, s *suite.Suite) (m memory) {
	t.Helper()
	pods, err := s.Kube.CoreV1().Pods(suite.SystemNamespace).List(t.Context(), metav1.ListOptions{LabelSelector: suite.ControllerSelector})
	if err != nil || len(pods.Items) != 1 {
		t.Fatalf("%d controllers, error %v", len(pods.Items), err)
	}
	for _, pid := range processesOf(t, &pods.Items[0], "") {
		status, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(pid), "status"))
		if err != nil {
			t.Fatal(err)
		}
		resident, anonymous := kilobytes(t, string(status), "VmRSS:"), kilobytes(t, string(status), "RssAnon:")
		if resident > m.resident { // the pause process is in the pod, too
			m.resident, m.own = resident, anonymous
		}
	}
	if m.resident == 0 {
		t.Fatal("no process of the controller was found")
	}
	const kB = 1024 / 1e6
	return memory{resident: m.resident * kB, own: m.own * kB, working: workingSet(t, s, &pods.Items[0])}
}

// workingSet is what the kubelet says of the first container of a pod, in MB, the
// next time that it looks.
func workingSet(t *testing.T, s *suite.Suite, pod *corev1.Pod) (megabytes float64) {
	t.Helper()
	asked := time.Now()
	suite.Eventually(t, time.Minute, "the working set of "+pod.Name, func(ctx context.Context) error {
		answer, err := s.Kube.CoreV1().RESTClient().Get().AbsPath("/api/v1/nodes", pod.Spec.NodeName, "proxy/stats/summary").DoRaw(ctx)
		if err != nil {
			return err
		}
		var summary struct {
			Pods []struct {
				Ref        struct{ UID types.UID } `json:"podRef"`
				Containers []struct {
					Memory struct {
						Time            time.Time
						WorkingSetBytes float64
					}
				}
			}
		}
		if err := json.Unmarshal(answer, &summary); err != nil {
			return err
		}
		for _, p := range summary.Pods {
			if p.Ref.UID == pod.UID && len(p.Containers) > 0 && p.Containers[0].Memory.Time.After(asked) {
				megabytes = p.Containers[0].Memory.WorkingSetBytes / 1e6
				return nil
			}
		}
		return errors.New("the kubelet has not looked since")
	})
	return megabytes
}

// kilobytes is a field of /proc/PID/status.
func kilobytes(t *testing.T, status, field string) (kB float64) {
	t.Helper()
	for line := range strings.Lines(status) {
		if text, ok := strings.CutPrefix(line, field); ok {
			if _, err := fmt.Sscan(text, &kB); err != nil {
				t.Fatal(err)
			}
		}
	}
	return kB
}
