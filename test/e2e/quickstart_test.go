package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/egctl/egctl/test/e2e/suite"
)

// TestQuickstart is egctl's own, from a cluster without anything to the answer and
// back, under both of the program's names.
func TestQuickstart(t *testing.T) {
	s := shared.Get(t)
	for _, command := range []string{"egctl", "kubectl eg"} {
		t.Run(command, func(t *testing.T) {
			s.Uninstalled(t)
			words := strings.Fields(command)
			run := func(args ...string) string {
				t.Helper()
				return s.Run(t, words[0], append(words[1:], args...)...)
			}
			namespace := s.Namespace(t)
			out := run("quickstart", "--once", "-n", namespace)
			var echo suite.Echo
			if err := json.Unmarshal([]byte(out), &echo); err != nil || echo.Namespace != namespace || echo.Host != "www.example.com" {
				t.Errorf("the answer was (%v)\n%s", err, out)
			}

			// What a user looks at next.
			if out := run("status", "gateway", "eg", "-n", namespace, "--wait"); !strings.Contains(out, "eg") {
				t.Errorf("status says\n%s", out)
			}
			if out := run("status", "tree", "gateway/eg", "-n", namespace); !strings.Contains(out, "httproute/"+namespace+"/backend") {
				t.Errorf("the tree is\n%s", out)
			}
			if out := run("x", "precheck"); !strings.Contains(out, "this one is installed") || strings.Contains(out, "WARNING") {
				t.Errorf("precheck says\n%s", out)
			}
			if out := run("x", "status", "all", "-n", namespace); !strings.Contains(out, "httproute/backend") {
				t.Errorf("x status says\n%s", out)
			}

			run("quickstart", "--cleanup", "-n", namespace)
			if out := s.Run(t, "kubectl", "get", "deployments,services,serviceaccounts", "-n", namespace, "-o", "name"); strings.TrimSpace(out) != "serviceaccount/default" {
				t.Errorf("the clean-up left\n%s", out)
			}
			leavesOnlyCRDs(t, s)
			run("quickstart", "--cleanup", "-n", namespace) // of nothing

			// What is somebody else's is not used, and nothing is installed in vain.
			s.Run(t, "kubectl", "create", "service", "clusterip", "backend", "--tcp=80", "-n", namespace)
			said, err := s.TryIn(t.Context(), "", words[0], append(words[1:], "quickstart", "--once", "-n", namespace)...)
			if err == nil || !strings.Contains(err.Error()+said, namespace+"/Service backend") {
				t.Errorf("a foreign Service: %v\n%s", err, said)
			}
			leavesOnlyCRDs(t, s)
		})
	}
}
