package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/egctl/egctl/test/e2e/suite"
)

// TestCertificatesReplaced replaces the certificate of a Gateway's proxies again and
// again, as who fears that it was stolen does: by taking its Secret away. No request
// is lost, edits arrive all the time, and a proxy connects with the last one.
func TestCertificatesReplaced(t *testing.T) {
	t.Parallel()
	s := shared.Get(t)
	s.Installed(t, suite.Defaults)
	site := s.Site(t, suite.SiteOptions{})
	pods, err := s.Pods(t.Context(), site.Proxies, site.Selector)
	if err != nil || len(pods) != 1 {
		t.Fatalf("%d proxies, error %v", len(pods), err)
	}
	certificate := func(ctx context.Context) ([]byte, error) {
		secret, err := s.Kube.CoreV1().Secrets(site.Proxies).Get(ctx, site.Resource, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		return secret.Data["tls.crt"], nil
	}
	current, err := certificate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	load := s.StartLoad(t, suite.LoadOptions{Address: site.Address, Hosts: []string{site.Host}, NewConnections: true})
	for n := range 5 {
		s.Run(t, "kubectl", "delete", "secret", "-n", site.Proxies, site.Resource)
		suite.Eventually(t, 20*time.Second, "another certificate", func(ctx context.Context) error {
			next, err := certificate(ctx)
			if err == nil && bytes.Equal(next, current) {
				err = errors.New("it is the same as before")
			}
			if err == nil {
				current = next
			}
			return err
		})
		host := fmt.Sprintf("edit-%d.example.com", n)
		s.Apply(t, site.Namespace, suite.RouteManifest(fmt.Sprintf("edit-%d", n), site.Gateway, host, "backend"))
		s.Answers(t, 20*time.Second, site.Address, host, "/", 200)
		time.Sleep(2 * time.Second)
	}
	// The kubelet looks at Secrets about once a minute.
	suite.Eventually(t, 3*time.Minute, "the proxy has the last certificate", func(context.Context) error {
		for _, pid := range processesOf(t, &pods[0], "envoy") {
			mounted, err := os.ReadFile(fmt.Sprintf("/proc/%d/root/certs/tls.crt", pid))
			if err != nil {
				return err
			}
			if !bytes.Equal(mounted, current) {
				return errors.New("it has another one")
			}
		}
		return nil
	})
	load.Stop(t)

	kill(t, &pods[0], "envoy")
	suite.Eventually(t, 20*time.Second, "the container is started again", restarted(site, 1))
	s.Apply(t, site.Namespace, suite.RouteManifest("after", site.Gateway, "after.example.com", "backend"))
	s.Answers(t, 30*time.Second, site.Address, "after.example.com", "/", 200)
}
