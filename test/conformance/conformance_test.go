package conformance

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/test/e2e/suite"
)

// TestConformance runs the suite for each way that egctl can be installed: with the
// Gateway API's CRDs of either channel, and with proxies in either namespace. Each
// writes its report, unless EGCTL_CONFORMANCE_RUN chooses tests.
func TestConformance(t *testing.T) {
	for _, mode := range []struct{ name, values string }{
		{"default", ""},
		{"gateway-namespace", "config: {envoyGateway: {provider: {kubernetes: {deploy: {type: GatewayNamespace}}}}}\n"},
	} {
		for _, channel := range []string{"experimental", "standard"} {
			t.Run(channel+"-"+mode.name, func(t *testing.T) {
				s := shared.Get(t)
				s.Uninstalled(t)
				tidy(t, s)
				withoutDefinitions(t, s)
				s.Installed(t, mode.values, "--channel", channel)
				s.Apply(t, suite.SystemNamespace, suite.EnvoyProxyManifest(class, small)+suite.ClassManifest(class,
					"  parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: "+class+", namespace: "+suite.SystemNamespace+"}"))
				accepted(t, s)
				run(t, s, channel, mode.name)
				untested(t, s, channel, os.Getenv("EGCTL_CONFORMANCE_RUN"))
			})
		}
	}
}

// small makes proxies ask for little. The suite has thirty Gateways and more at a
// time: by default a node of two cores has no room for their proxies, and they would
// wait for each other. They need not drain for long either: the suite waits 30 s for
// a namespace to go, and Kubernetes looks whether its pods are gone only after half
// of what they may take.
const small = `provider:
  type: Kubernetes
  kubernetes: {envoyDeployment: {container: {resources: {requests: {cpu: 10m, memory: 64Mi}}}}}
shutdown: {drainTimeout: 2s, minDrainDuration: 1s}
`

// run runs the suite inside the cluster's network.
func run(t *testing.T, s *suite.Suite, channel, mode string) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	chosen := os.Getenv("EGCTL_CONFORMANCE_RUN")
	pattern, report := "^TestInside$", ""
	if chosen == "" {
		report = filepath.Join(s.Root, "conformance", channel+"-"+mode+"-report.yaml")
		if err := os.MkdirAll(filepath.Dir(report), 0o755); err != nil {
			t.Fatal(err)
		}
	} else {
		pattern += "/(" + chosen + ")" // or the test program would take each part for a whole pattern
	}
	deadline, ok := t.Deadline()
	if !ok {
		deadline = time.Now().Add(time.Hour)
	}
	ctx, cancel := context.WithDeadline(t.Context(), deadline.Add(-time.Minute))
	defer cancel()
	cmd := s.Cluster.Command(ctx, program, "-test.run="+pattern, "-test.parallel="+flag.Lookup("test.parallel").Value.String(),
		"-test.v", "-test.timeout=0")
	said, err := newTranscript(filepath.Join(s.Dir, channel+"-"+mode+".log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = said.Close() }()
	// The end of its standard error says why it ended if nothing else does.
	cmd.Stdout, cmd.Stderr = said, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = append(cmd.Env, insideVariable+"=1", modeVariable+"="+mode, reportVariable+"="+report, versionVariable+"="+version(t, s))

	watched := watchGateways(t, s)
	cpu, began := controllerCPU(t, s), time.Now()
	err = cmd.Run()
	fmt.Printf("%s-%s: %.0f s, of which the controller was busy %.1f s; %s\nall of it: %s\n", channel, mode, time.Since(began).Seconds(),
		controllerCPU(t, s)-cpu, watched(), said.file.Name())
	if err != nil {
		s.Dump(t, "gateway-conformance-infra")
		t.Error(err)
	}
}

// withoutDefinitions removes the Gateway API's CRDs. One channel cannot take the
// place of the other, and the suite accepts no mixture.
func withoutDefinitions(t *testing.T, s *suite.Suite) {
	t.Helper()
	args := []string{"delete", "--wait", "--timeout=60s"}
	for _, name := range strings.Fields(s.Run(t, "kubectl", "get", "customresourcedefinitions", "-o", "name")) {
		if strings.HasSuffix(name, ".gateway.networking.k8s.io") || strings.HasSuffix(name, ".gateway.networking.x-k8s.io") {
			args = append(args, name)
		}
	}
	if len(args) > 3 {
		s.Run(t, "kubectl", args...)
	}
}

// accepted waits until the GatewayClass has the status that the suite reads.
func accepted(t *testing.T, s *suite.Suite) {
	t.Helper()
	suite.Eventually(t, time.Minute, "GatewayClass "+class+" is accepted", func(ctx context.Context) error {
		c, err := s.Gateways.GatewayV1().GatewayClasses().Get(ctx, class, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(c.Status.Conditions, string(gatewayv1.GatewayClassConditionStatusAccepted)) {
			return fmt.Errorf("conditions %s", suite.Conditions(c.Status.Conditions))
		}
		return nil
	})
}

// tidy removes what a run that was killed has left.
func tidy(t *testing.T, s *suite.Suite) {
	t.Helper()
	suite.Eventually(t, 2*time.Minute, "nothing is left of an earlier run", func(ctx context.Context) error {
		list, err := s.Kube.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		var left []string
		for _, ns := range list.Items {
			if !strings.HasPrefix(ns.Name, "gateway-conformance-") {
				continue
			}
			left = append(left, ns.Name)
			if err := s.Kube.CoreV1().Namespaces().Delete(ctx, ns.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
				return err
			}
		}
		if len(left) > 0 {
			return fmt.Errorf("namespaces %s", strings.Join(left, ", "))
		}
		return nil
	})
}

// version is what the report says was tested.
func version(t *testing.T, s *suite.Suite) string {
	t.Helper()
	if v := os.Getenv("VERSION"); v != "" {
		return v
	}
	out, err := s.Try(t.Context(), "git", "-C", s.Root, "describe", "--tags", "--always", "--dirty")
	if err != nil {
		t.Logf("this checkout has no version: %v", err)
	}
	return cmp.Or(strings.TrimSpace(out), "unknown")
}
