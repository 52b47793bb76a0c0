package output_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/finding/output"
	"github.com/egctl/egctl/pkg/manifest"
	"github.com/egctl/egctl/pkg/validate"
)

var update = flag.Bool("update", false, "write the goldens anew")

const input = `# routes
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: web
spec:
  hostname: a.example
  rules:
  - matches:
    - path:
        value: foo
---
a: [
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: b, namespace: "x\e[31m"}
`

func findings(t *testing.T) (*manifest.Set, []finding.Finding) {
	t.Helper()
	set := manifest.NewSet(manifest.Parse("my routes/r.yaml", []byte(input), "default"))
	v, err := validate.New()
	if err != nil {
		t.Fatal(err)
	}
	return set, append(set.Findings(), v.ValidateAll(set.Documents)...)
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := "testdata/" + name
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update writes it anew):\n%s", path, got)
	}
}

func TestText(t *testing.T) {
	set, found := findings(t)
	var b bytes.Buffer
	if err := output.Text(&b, found, set, false); err != nil {
		t.Fatal(err)
	}
	golden(t, "findings.txt", b.Bytes())
	if strings.Contains(b.String(), "\x1b") {
		t.Error("a name from a file reaches the terminal with its control characters")
	}
	b.Reset()
	if err := output.Text(&b, found[:1], output.Nowhere{}, true); err != nil {
		t.Fatal(err)
	}
	if want := "\x1b[33mwarning\x1b[0m EG1004: HTTPRoute default/web: spec.hostname"; !strings.HasPrefix(b.String(), want) {
		t.Errorf("in colour: %q, want %q", b.String(), want)
	}
}

func TestJSON(t *testing.T) {
	set, found := findings(t)
	var b bytes.Buffer
	if err := output.JSON(&b, found, set); err != nil {
		t.Fatal(err)
	}
	golden(t, "findings.json", b.Bytes())
	b.Reset()
	if err := output.JSON(&b, nil, set); err != nil || b.String() != "[]\n" {
		t.Errorf("no findings: %q, %v", b.String(), err)
	}
}

func TestSARIF(t *testing.T) {
	set, found := findings(t)
	var b bytes.Buffer
	if err := output.SARIF(&b, found, set, "1.2.3"); err != nil {
		t.Fatal(err)
	}
	var log struct {
		Runs []struct {
			Tool struct {
				Driver struct{ Rules []struct{ ID string } }
			}
			Results []struct {
				RuleID    string
				RuleIndex int
			}
		}
	}
	if err := json.Unmarshal(b.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	if len(run.Results) != len(found) || len(run.Tool.Driver.Rules) != len(finding.Docs()) {
		t.Errorf("%d results, %d rules", len(run.Results), len(run.Tool.Driver.Rules))
	}
	for _, r := range run.Results {
		if run.Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID {
			t.Errorf("%s points to rule %d", r.RuleID, r.RuleIndex)
		}
	}
	// The rules' prose is not part of the golden: it grows with every package.
	var generic map[string]any
	if err := json.Unmarshal(b.Bytes(), &generic); err != nil {
		t.Fatal(err)
	}
	driver := generic["runs"].([]any)[0].(map[string]any)["tool"].(map[string]any)["driver"].(map[string]any)
	driver["rules"] = driver["rules"].([]any)[:1]
	short, err := json.MarshalIndent(generic, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "findings.sarif", append(short, '\n'))
}
