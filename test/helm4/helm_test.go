// Package helm4 tries the charts with Helm 4; the project itself is built with
// Helm 3, and the two are better not linked together.
package helm4

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/cli"
	"helm.sh/helm/v4/pkg/kube"
	helmregistry "helm.sh/helm/v4/pkg/registry"
	"k8s.io/cli-runtime/pkg/genericclioptions"
)

// TestHelm4 pushes the charts to a registry, as a release does, and installs from
// there without naming a version: for real where EGCTL_TEST_KUBECONFIG names a
// cluster, and otherwise as far as rendering.
func TestHelm4(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	address := "oci://" + strings.TrimPrefix(server.URL, "http://") + "/egctl"
	push := exec.CommandContext(t.Context(), "go", "run", "./hack/charts", "-version", "v0.9.0", "-o", t.TempDir(), "-push", address, "-plain-http")
	push.Dir = "../.."
	if out, err := push.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	client, err := helmregistry.NewClient(helmregistry.ClientOptPlainHTTP(), helmregistry.ClientOptWriter(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	const namespace = "egctl-helm4-test"
	config := action.NewConfiguration()
	config.RegistryClient = client
	kubeconfig := os.Getenv("EGCTL_TEST_KUBECONFIG")
	if kubeconfig != "" {
		flags := genericclioptions.NewConfigFlags(true)
		name := namespace
		flags.KubeConfig, flags.Namespace = &kubeconfig, &name
		if err := config.Init(flags, namespace, ""); err != nil {
			t.Fatal(err)
		}
	}
	a := action.NewInstall(config)
	a.SetRegistryClient(client)
	a.ReleaseName, a.Namespace, a.CreateNamespace, a.PlainHTTP = "eg", namespace, true, true
	a.WaitStrategy, a.Timeout = kube.StatusWatcherStrategy, time.Minute
	if kubeconfig == "" {
		a.DryRunStrategy = action.DryRunClient
	}
	settings := cli.New()
	settings.RepositoryCache, settings.ContentCache = t.TempDir(), t.TempDir()
	path, err := a.LocateChart(address+"/gateway-helm", settings)
	if err != nil {
		t.Fatal(err)
	}
	c, err := loader.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if c.Metadata.Version != "v0.9.0" || len(c.CRDObjects()) < 14 {
		t.Errorf("version %s with %d CRDs", c.Metadata.Version, len(c.CRDObjects()))
	}
	// A stand-in for the controller that test clusters have.
	probe := map[string]any{"httpGet": map[string]any{"path": "/", "port": 3000}}
	values := map[string]any{
		"global": map[string]any{"images": map[string]any{"envoyGateway": map[string]any{"image": "registry.k8s.io/gateway-api/conformance/echo-basic:v0.2.0"}}},
		"deployment": map[string]any{"envoyGateway": map[string]any{
			"startupProbe": probe, "livenessProbe": probe, "readinessProbe": probe,
			"extraEnv": []any{map[string]any{"name": "POD_NAME", "value": "x"}, map[string]any{"name": "NAMESPACE", "value": "x"}},
		}},
	}
	if _, err := a.RunWithContext(t.Context(), c, values); err != nil {
		t.Fatal(err)
	}
	if kubeconfig == "" {
		t.Log("EGCTL_TEST_KUBECONFIG names no cluster: the chart was rendered and not installed")
		return
	}
	un := action.NewUninstall(config)
	un.WaitStrategy, un.Timeout = kube.StatusWatcherStrategy, time.Minute
	if _, err := un.Run("eg"); err != nil {
		t.Fatal(err)
	}
}
