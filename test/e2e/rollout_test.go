package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/egctl/egctl/test/e2e/suite"
)

// quick keeps the time that proxies take to go within bounds for a test.
const quick = "shutdown: {drainTimeout: 20s, minDrainDuration: 5s}\n"

const replicated = quick + "provider: {type: Kubernetes, kubernetes: {envoyDeployment: {replicas: %d}}}\n"

// TestProxiesRollingUpdate restarts all proxies under load, by hand and by a change
// of their parameters. No request is lost, be it on a connection that was there or
// on a new one.
func TestProxiesRollingUpdate(t *testing.T) {
	t.Parallel()
	s := shared.Get(t)
	s.Installed(t, suite.Defaults)
	site := s.Site(t, suite.SiteOptions{EnvoyProxy: fmt.Sprintf(replicated, 2)})
	s.Rollout(t, site.Proxies, site.Resource)
	kept := s.StartLoad(t, suite.LoadOptions{Address: site.Address, Hosts: []string{site.Host}, Pause: 10 * time.Millisecond})
	fresh := s.StartLoad(t, suite.LoadOptions{Address: site.Address, Hosts: []string{site.Host}, Pause: 10 * time.Millisecond, NewConnections: true})

	before := proxies(t, site)
	s.Run(t, "kubectl", "rollout", "restart", "-n", site.Proxies, "deployment/"+site.Resource)
	s.Rollout(t, site.Proxies, site.Resource)
	restarted := proxies(t, site)
	if restarted == before {
		t.Error("kubectl rollout restart replaced no pod")
	}
	s.Apply(t, site.Namespace, suite.EnvoyProxyManifest("proxy", fmt.Sprintf(replicated, 2)+"logging: {level: {default: info}}"))
	suite.Eventually(t, 20*time.Second, "the Deployment follows the EnvoyProxy", logLevel(site, "info"))
	s.Rollout(t, site.Proxies, site.Resource)
	kept.Stop(t)
	fresh.Stop(t)
}

// TestProxiesScaleDown takes replicas away under load.
func TestProxiesScaleDown(t *testing.T) {
	t.Parallel()
	s := shared.Get(t)
	s.Installed(t, suite.Defaults)
	site := s.Site(t, suite.SiteOptions{EnvoyProxy: fmt.Sprintf(replicated, 3)})
	s.Rollout(t, site.Proxies, site.Resource)
	kept := s.StartLoad(t, suite.LoadOptions{Address: site.Address, Hosts: []string{site.Host}, Pause: 10 * time.Millisecond, Concurrency: 8})
	fresh := s.StartLoad(t, suite.LoadOptions{Address: site.Address, Hosts: []string{site.Host}, Pause: 10 * time.Millisecond, NewConnections: true})
	time.Sleep(time.Second)
	s.Apply(t, site.Namespace, suite.EnvoyProxyManifest("proxy", fmt.Sprintf(replicated, 1)))
	suite.Eventually(t, 90*time.Second, "two of three proxies are gone", podCount(site, 1))
	time.Sleep(time.Second)
	kept.Stop(t)
	fresh.Stop(t)
}

// TestProxyKilled kills Envoy, which comes back with its configuration. The proxies
// of others do not notice.
func TestProxyKilled(t *testing.T) {
	t.Parallel()
	s := shared.Get(t)
	s.Installed(t, suite.Defaults)
	site, other := s.Site(t, suite.SiteOptions{}), s.Site(t, suite.SiteOptions{})
	load := s.StartLoad(t, suite.LoadOptions{Address: other.Address, Hosts: []string{other.Host}})
	pods, err := s.Pods(t.Context(), site.Proxies, site.Selector)
	if err != nil || len(pods) != 1 {
		t.Fatalf("%d proxies, error %v", len(pods), err)
	}
	kill(t, &pods[0], "envoy")
	killed := time.Now()
	suite.Eventually(t, 20*time.Second, "the container is started again", restarted(site, 1))
	s.Answers(t, 30*time.Second, site.Address, site.Host, "/", 200)
	t.Logf("it answers %s after it was killed", time.Since(killed).Round(100*time.Millisecond))
	s.Apply(t, site.Namespace, suite.RouteManifest("new", site.Gateway, "new.example.com", "backend"))
	s.Answers(t, 20*time.Second, site.Address, "new.example.com", "/", 200)
	load.Stop(t)
}
