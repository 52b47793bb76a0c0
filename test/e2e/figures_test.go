package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/egctl/egctl/test/e2e/suite"
)

// TestFigures measures, and prints a line for each figure in the form of a
// benchmark. It is for publishing, not for passing.
func TestFigures(t *testing.T) {
	if os.Getenv("EGCTL_E2E_FIGURES") != "1" {
		t.Skip("measures only with EGCTL_E2E_FIGURES=1")
	}
	s := shared.Get(t)
	figure := func(name string, value float64, unit string) {
		fmt.Printf("BenchmarkCluster/%s 1 %.3f %s\n", name, value, unit)
	}
	for name, file := range map[string]string{"binary": s.Egctl(), "image": s.ImageFile()} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		figure(name, float64(info.Size())/1e6, "MB")
	}
	s.Uninstalled(t)
	s.Installed(t, "")
	time.Sleep(5 * time.Second)
	figure("controller/idle", controllerMemory(t, s), "MB")

	// The second Gateway: images and CRDs are warm.
	s.Site(t, suite.SiteOptions{})
	namespace, class := s.Namespace(t), suite.Unique("class")
	s.Apply(t, namespace, suite.ClassManifest(class, ""))
	began := time.Now()
	s.Apply(t, namespace, suite.GatewayManifest("eg", class, ""))
	s.Programmed(t, namespace, "eg")
	figure("gateway/programmed", time.Since(began).Seconds(), "s")

	site := s.Site(t, suite.SiteOptions{})
	hosts := make([]string, 1000)
	manyRoutes(t, s, site, hosts)
	answerAll(t, s, site, hosts)
	figure("controller/1000-routes", controllerMemory(t, s), "MB")
	began = time.Now()
	s.Apply(t, site.Namespace, suite.RouteManifest("new", site.Gateway, "new.example.com", "backend"))
	s.Answers(t, 30*time.Second, site.Address, "new.example.com", "/", 200)
	figure("route/answers-among-1000", time.Since(began).Seconds(), "s")
}

// controllerMemory is the resident memory of the controller, in MB.
func controllerMemory(t *testing.T, s *suite.Suite) float64 {
	t.Helper()
	pods, err := s.Kube.CoreV1().Pods(suite.SystemNamespace).List(t.Context(), metav1.ListOptions{LabelSelector: suite.ControllerSelector})
	if err != nil || len(pods.Items) != 1 {
		t.Fatalf("%d controllers, error %v", len(pods.Items), err)
	}
	processes := processesOf(t, &pods.Items[0], "")
	if len(processes) == 0 {
		t.Fatal("no process of the controller was found")
	}
	var kB float64
	for _, pid := range processes {
		status, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(pid), "status"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(status)) {
			if text, ok := strings.CutPrefix(line, "VmRSS:"); ok {
				var own float64
				if _, err := fmt.Sscan(text, &own); err != nil {
					t.Fatal(err)
				}
				kB = max(kB, own) // the pause process is in the pod, too
			}
		}
	}
	return kB * 1024 / 1e6
}
