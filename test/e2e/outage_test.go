package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/egctl/egctl/test/e2e/suite"
)

// TestAPIServerDown takes the API server away for a minute. Traffic does not
// notice; a proxy that is killed meanwhile gets its configuration from the
// controller; edits catch up afterwards.
func TestAPIServerDown(t *testing.T) {
	s := shared.Get(t)
	s.Installed(t, suite.Defaults)
	site, other := s.Site(t, suite.SiteOptions{}), s.Site(t, suite.SiteOptions{})
	before := restarts(t, s, suite.SystemNamespace, suite.ControllerSelector)
	pods, err := s.Pods(t.Context(), other.Proxies, other.Selector)
	if err != nil {
		t.Fatal(err)
	}
	load := s.StartLoad(t, suite.LoadOptions{Address: site.Address, Hosts: []string{site.Host}, Pause: 10 * time.Millisecond})

	down := time.Now()
	if err := s.Cluster.StopComponent(t.Context(), "kube-apiserver"); err != nil {
		t.Fatal(err)
	}
	stopped := true
	t.Cleanup(func() {
		if !stopped {
			return
		}
		// Others need it, whatever became of this test.
		if err := s.Cluster.StartComponent(context.Background(), "kube-apiserver"); err != nil {
			t.Error(err)
		}
	})
	time.Sleep(20 * time.Second) // longer than a leader may go without its lease
	kill(t, &pods[0], "envoy")
	s.Answers(t, 30*time.Second, other.Address, other.Host, "/", 200)
	time.Sleep(time.Until(down.Add(time.Minute)))
	if err := load.Err(); err != nil {
		t.Error("while the API server was down: ", err)
	}
	if err := s.Cluster.StartComponent(t.Context(), "kube-apiserver"); err != nil {
		t.Fatal(err)
	}
	stopped = false
	catchesUp(t, s, site)
	load.Stop(t)
	if after := restarts(t, s, suite.SystemNamespace, suite.ControllerSelector); after != before {
		t.Errorf("controllers were restarted %d times", after-before)
	}
}

// TestEtcdRestarted takes etcd away for a few seconds.
func TestEtcdRestarted(t *testing.T) {
	s := shared.Get(t)
	s.Installed(t, suite.Defaults)
	site := s.Site(t, suite.SiteOptions{})
	load := s.StartLoad(t, suite.LoadOptions{Address: site.Address, Hosts: []string{site.Host}})
	if err := s.Cluster.StopComponent(t.Context(), "etcd"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second)
	if err := s.Cluster.StartComponent(t.Context(), "etcd"); err != nil {
		t.Fatal(err)
	}
	catchesUp(t, s, site)
	load.Stop(t)
}

// catchesUp makes an edit and waits until traffic and status follow.
func catchesUp(t *testing.T, s *suite.Suite, site *suite.Site) {
	t.Helper()
	// Pods reach the API server by a Service, and who keeps that up may wait a minute
	// before it asks again.
	suite.Eventually(t, 2*time.Minute, "pods reach the API server", func(ctx context.Context) error {
		c, err := s.Cluster.DialContext(ctx, "tcp", "10.96.0.1:443")
		if err != nil {
			return err
		}
		return c.Close()
	})
	back := time.Now()
	s.Apply(t, site.Namespace, suite.RouteManifest("new", site.Gateway, "new.example.com", "backend"))
	s.Answers(t, 40*time.Second, site.Address, "new.example.com", "/", 200)
	accepted(t, s, site.Namespace, "new", 30*time.Second)
	t.Logf("edits are followed %s after the API server is back", time.Since(back).Round(100*time.Millisecond))
}

// restarts counts those of the pods that a selector finds.
func restarts(t *testing.T, s *suite.Suite, namespace, selector string) int {
	t.Helper()
	pods, err := s.Pods(t.Context(), namespace, selector)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, p := range pods {
		for _, c := range p.Status.ContainerStatuses {
			n += int(c.RestartCount)
		}
	}
	return n
}
