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
	all, own := controllerMemory(t, s)
	figure("Controller/routes=0", "%.1f rss-MB %.1f own-MB", all, own)

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
	all, own = controllerMemory(t, s)
	figure("Controller/routes=1000", "%.1f rss-MB %.1f own-MB", all, own)
	began = time.Now()
	s.Apply(t, site.Namespace, suite.RouteManifest("new", site.Gateway, "new.example.com", "backend"))
	s.Answers(t, 30*time.Second, site.Address, "new.example.com", "/", 200)
	figure("Route/routes=1000", "%.2f s", time.Since(began).Seconds())
}

// controllerMemory is the resident memory of the controller, in MB: all of it, and
// the anonymous part, without pages of the program's file, which all who run it share.
func controllerMemory(t *testing.T, s *suite.Suite) (all, own float64) {
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
		if resident > all { // the pause process is in the pod, too
			all, own = resident, anonymous
		}
	}
	if all == 0 {
		t.Fatal("no process of the controller was found")
	}
	return all * 1024 / 1e6, own * 1024 / 1e6
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
