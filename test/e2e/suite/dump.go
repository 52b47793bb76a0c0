package suite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Dump keeps what tells why a test failed: all in the test's artifacts, the end of
// it in its log.
func (s *Suite) Dump(t *testing.T, namespace string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	dir := t.ArtifactDir()
	for _, d := range []struct {
		name  string
		lines int
		args  []string
	}{
		{"pods.txt", 30, []string{"get", "pods", "-A", "-o", "wide"}},
		{"gateways.yaml", 0, []string{"get", "gatewayclasses,gateways,envoyproxies", "-n", namespace, "-o", "yaml"}},
		{"status.txt", 30, []string{"eg", "status", "all", "-n", namespace, "-v"}},
		{"namespace.yaml", 0, []string{"get", "all,httproutes,endpointslices", "-n", namespace, "-o", "yaml"}},
		{"system.yaml", 0, []string{"get", "all,configmaps,leases", "-n", SystemNamespace, "-o", "yaml"}},
		{"events.txt", 20, []string{"get", "events", "-A", "--sort-by=.metadata.creationTimestamp"}},
		{"controller.log", 30, []string{"logs", "-n", SystemNamespace, "-l", "control-plane=envoy-gateway", "--prefix", "--tail=-1"}},
		{"controller-before.log", 20, []string{"logs", "-n", SystemNamespace, "-l", "control-plane=envoy-gateway", "--prefix", "--tail=-1", "--previous"}},
		{"proxies-here.log", 10, []string{"logs", "-n", namespace, "-l", "app.kubernetes.io/managed-by=envoy-gateway", "--all-containers", "--prefix", "--tail=500", "--max-log-requests=30"}},
		{"proxies.log", 30, []string{"logs", "-n", SystemNamespace, "-l", "app.kubernetes.io/managed-by=envoy-gateway", "--all-containers", "--prefix", "--tail=500", "--max-log-requests=30"}},
	} {
		out, err := s.Try(ctx, "kubectl", d.args...)
		if err != nil {
			out += fmt.Sprintf("\n%v\n", err)
		}
		if err := os.WriteFile(filepath.Join(dir, d.name), []byte(out), 0o644); err != nil {
			t.Log(err)
		}
		if d.lines > 0 {
			t.Logf("--- %s, the end:\n%s", d.name, tail(out, d.lines))
		}
	}
	t.Logf("more in %s (kept with go test -artifacts)", dir)
}
