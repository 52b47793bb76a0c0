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

// TestCertificatesReplaced takes the Secret of a Gateway's proxies away, again and
// again, and then all of them, the CA included, which is how certificates are revoked
// (docs/operations.md). There are others at once and no request is lost; edits arrive
// all along, or once the kubelet has brought the new CA, and Envoy starts with it.
func TestCertificatesReplaced(t *testing.T) {
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
	replaced := func(remove ...string) {
		t.Helper()
		s.Run(t, "kubectl", append([]string{"delete", "secret", "-n", site.Proxies}, remove...)...)
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
	}
	for n := range 5 {
		replaced(site.Resource)
		host := fmt.Sprintf("edit-%d.example.com", n)
		s.Apply(t, site.Namespace, suite.RouteManifest(fmt.Sprintf("edit-%d", n), site.Gateway, host, "backend"))
		s.Answers(t, 20*time.Second, site.Address, host, "/", 200)
		time.Sleep(2 * time.Second)
	}
	replaced("-l", "control-plane=envoy-gateway")
	// The kubelet looks at Secrets about once a minute.
	suite.Eventually(t, 3*time.Minute, "the proxy has the last certificate", func(ctx context.Context) error {
		last, err := certificate(ctx)
		if err != nil {
			return err
		}
		for _, pid := range processesOf(t, &pods[0], "envoy") {
			mounted, err := os.ReadFile(fmt.Sprintf("/proc/%d/root/certs/tls.crt", pid))
			if err != nil {
				return err
			}
			if !bytes.Equal(mounted, last) {
				return errors.New("it has another one")
			}
		}
		return nil
	})
	s.Apply(t, site.Namespace, suite.RouteManifest("revoked", site.Gateway, "revoked.example.com", "backend"))
	s.Answers(t, 30*time.Second, site.Address, "revoked.example.com", "/", 200)
	load.Stop(t)

	kill(t, &pods[0], "envoy")
	suite.Eventually(t, 20*time.Second, "the container is started again", restarted(site, 1))
	s.Apply(t, site.Namespace, suite.RouteManifest("after", site.Gateway, "after.example.com", "backend"))
	s.Answers(t, 30*time.Second, site.Address, "after.example.com", "/", 200)
}
