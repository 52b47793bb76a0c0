package translate_test

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/egctl/egctl/internal/testenvoy"
	"github.com/egctl/egctl/pkg/translate"
)

// TestGoldensAcceptedByEnvoy shows the configuration of every golden to the real
// Envoy: all of them in one bootstrap, and only if Envoy refuses that each alone,
// to find the one.
func TestGoldensAcceptedByEnvoy(t *testing.T) {
	envoy := testenvoy.Path(t)
	files, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	port := uint32(20000)
	next := func() uint32 { port++; return port }
	all, each := newStatic(t), map[string]translate.Changes{}
	for _, file := range files {
		_, each[file] = translateGolden(t, file)
		all.add(file+" ", each[file], next)
	}
	if len(all.StaticResources.Listeners) < len(files)/2 {
		t.Fatalf("%d goldens have only %d listeners", len(files), len(all.StaticResources.Listeners))
	}
	said := validate(t, envoy, all)
	if said == "" {
		return
	}
	for _, file := range files {
		one := newStatic(t)
		one.add("", each[file], nil)
		if said := validate(t, envoy, one); said != "" {
			t.Errorf("Envoy refuses %s:\n%s", file, said)
		}
	}
	if !t.Failed() {
		t.Errorf("Envoy accepts each golden alone but not all together:\n%s", said)
	}
}

// validate returns what Envoy has against a bootstrap; empty if nothing.
func validate(t *testing.T, envoy string, s *static) string {
	t.Helper()
	cmd := exec.Command(envoy, "--mode", "validate", "-c", s.write(), "-l", "error")
	out, err := cmd.CombinedOutput()
	if err == nil {
		return ""
	}
	return err.Error() + "\n" + string(bytes.TrimSpace(out))
}
