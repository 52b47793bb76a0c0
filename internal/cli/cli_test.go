package cli

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	admin "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"sigs.k8s.io/yaml"

	"github.com/egctl/egctl/internal/testcert"
	"github.com/egctl/egctl/pkg/envoy"
)

func run(t *testing.T, args ...string) result {
	t.Helper()
	s := Streams{In: strings.NewReader(""), Getenv: func(string) string { return "" }}
	return executeIn(context.Background(), s, append([]string{"egctl"}, args...))
}

const exampleRoute = "testdata/examples/route.yaml"

func TestVersion(t *testing.T) {
	r := run(t, "version", "-o", "json")
	var v map[string]string
	if err := json.Unmarshal([]byte(r.out), &v); err != nil {
		t.Fatal(err)
	}
	if v["egctl"] != "v1.2.3" || v["go"] != runtime.Version() || v["envoy"] != envoy.Version || v["gatewayAPI"] != "v1.7.0" {
		t.Errorf("%v", v)
	}
	var y map[string]string
	if err := yaml.Unmarshal([]byte(run(t, "version").out), &y); err != nil || y["egctl"] != "v1.2.3" {
		t.Errorf("%v, %v", y, err)
	}
}

// TestPlugin calls egctl by the name that kubectl calls plugins by.
func TestPlugin(t *testing.T) {
	s := Streams{Getenv: func(string) string { return "" }}
	for _, args := range []string{"translate --help", "explain --help", "--help"} {
		r := executeIn(context.Background(), s, append([]string{"/opt/bin/kubectl-eg"}, strings.Fields(args)...))
		if r.code != exitOK || !strings.Contains(r.out, "kubectl eg ") {
			t.Errorf("%s: exit code %d\n%s", args, r.code, r.out)
		}
		if regexp.MustCompile(`(?m)^  +(.*\| )?egctl `).MatchString(r.out) {
			t.Errorf("%s still says egctl:\n%s", args, r.out)
		}
	}
	if r := executeIn(context.Background(), s, []string{"kubectl-eg.exe", "translate"}); !strings.Contains(r.err, "See 'kubectl eg translate --help'") {
		t.Error(r.err)
	}
}

func TestCompletion(t *testing.T) {
	for args, want := range map[string]string{
		"explain ":                "EG1004\tunknown field",
		"translate --type ":       "listener",
		"translate -o ":           "diff",
		"validate --channel ":     "experimental",
		"validate --fail-on ":     "warning",
		"validate -o ":            "sarif",
		"translate --to ":         "status",
		"translate --filename ":   "yaml",
		"version --output ":       "json",
		"translate --against old": "yaml",
		"status ":                 "gateway",
		"status -o ":              "jsonpath=",
		"port-forward ":           "gateway/",
		"x status ":               "xpolicy",
		"help ":                   "status\tShow whether Gateways, routes and policies work, and why not",
		"help x ":                 "status\tPrint the conditions of Gateways, routes and policies",
	} {
		fields := strings.Fields(args)
		if strings.HasSuffix(args, " ") {
			fields = append(fields, "")
		}
		r := run(t, append([]string{"__complete"}, fields...)...)
		if r.code != exitOK || !strings.Contains("\n"+r.out, "\n"+want+"\n") {
			t.Errorf("%s: no %q in\n%s%s", args, want, r.out, r.err)
		}
	}
}

// TestCompletionOfKubeconfig completes what is in the file that --kubeconfig names,
// and keeps quiet about a cluster that does not answer.
func TestCompletionOfKubeconfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	err := os.WriteFile(file, []byte(`
apiVersion: v1
kind: Config
current-context: work
contexts: [{name: work, context: {cluster: far, user: me}}, {name: home, context: {cluster: near, user: me}}]
clusters: [{name: far, cluster: {server: "http://127.0.0.1:1"}}, {name: near, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: me, user: {}}]
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"status --context ":       "home\nwork\n",
		"port-forward --cluster ": "far\nnear\n",
		"version --user ":         "me\n",
		"status -n ":              "",
		"status gateway ":         "",
		"port-forward gateway/":   "",
		"port-forward svc/x ":     "",
	} {
		fields := strings.Split(args, " ")
		line := append([]string{"__complete", fields[0], "--kubeconfig", file}, fields[1:]...)
		r := run(t, line...)
		if r.code != exitOK || r.out != want+":4\n" {
			t.Errorf("%s: exit code %d, %q\n%s", args, r.code, r.out, r.err)
		}
	}
	for _, args := range []string{"status", "version --remote", "port-forward gateway/eg 80", "x status all"} {
		r := run(t, append(strings.Fields(args), "--kubeconfig", file)...)
		if r.code != exitFailed || !strings.Contains(r.err, "connection refused") {
			t.Errorf("%s: exit code %d\n%s", args, r.code, r.err)
		}
	}
}

// TestNames calls egctl by its other names.
func TestNames(t *testing.T) {
	s := Streams{Getenv: func(string) string { return "" }}
	r := executeIn(context.Background(), s, []string{"/usr/local/bin/envoy-gateway", "version"})
	if r.code != exitOK || !strings.HasPrefix(r.out, "ENVOY_GATEWAY_VERSION: v1.2.3\nENVOY_PROXY_VERSION: "+envoy.Version+"\n") {
		t.Errorf("the controller's version: %d\n%s%s", r.code, r.out, r.err)
	}
	var v map[string]string
	r = executeIn(context.Background(), s, []string{"envoy-gateway", "version", "-ojson"})
	if err := json.Unmarshal([]byte(r.out), &v); err != nil || v["envoyGatewayVersion"] != "v1.2.3" || v["golangVersion"] != runtime.Version() {
		t.Errorf("%v, %v", v, err)
	}
	r = executeIn(context.Background(), s, []string{"kubectl-eg", "completion"})
	if r.code != exitOK || !strings.HasPrefix(r.out, "#!/bin/sh\n") || !strings.Contains(r.out, `kubectl-eg __complete "$@"`) {
		t.Errorf("the plugin's completion: %d\n%s%s", r.code, r.out, r.err)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if r := run(t, "completion", shell); r.code != exitOK || !strings.Contains(r.out, "__complete") {
			t.Errorf("completion %s: exit code %d\n%s", shell, r.code, r.err)
		}
	}
}

// TestRootHelp finds every command under a title.
func TestRootHelp(t *testing.T) {
	out := run(t, "--help").out
	for _, want := range []string{
		"Gateways on this machine:\n  echo ", "Gateways in Kubernetes:\n", "Understand configuration:\n  explain ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}

func TestExplainHasEveryCodeOfAFinding(t *testing.T) {
	list := run(t, "explain").out
	for _, code := range []string{"EG1001", "EG1021", "EG2001", "EG3011", "EG4001"} {
		if !strings.Contains(list, "\n"+code+" ") {
			t.Errorf("%s is not listed", code)
		}
	}
	for line := range strings.Lines(run(t, "explain", "EG1001", "EG1021").out) {
		if len([]rune(strings.TrimSpace(line))) > 80 {
			t.Errorf("too long: %s", line)
		}
	}
}

// TestConfigDump reads the JSON with Envoy's own messages, as tools would.
func TestConfigDump(t *testing.T) {
	for _, format := range []string{"json", "yaml"} {
		r := run(t, "translate", "-f", exampleRoute, "-o", format)
		js, err := yaml.YAMLToJSON([]byte(r.out))
		if err != nil {
			t.Fatal(err)
		}
		var dump admin.ConfigDump
		if err := protojson.Unmarshal(js, &dump); err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		seen := map[string]bool{}
		for _, c := range dump.Configs {
			m, err := c.UnmarshalNew()
			if err != nil {
				t.Fatal(err)
			}
			switch m := m.(type) {
			case *admin.BootstrapConfigDump:
				seen["bootstrap"] = m.Bootstrap.GetNode().GetId() != ""
			case *admin.ListenersConfigDump:
				seen["listener"] = m.DynamicListeners[0].ActiveState.Listener != nil && m.DynamicListeners[0].Name == "tcp-80"
			case *admin.RoutesConfigDump:
				seen["route"] = m.DynamicRouteConfigs[0].RouteConfig != nil
			case *admin.ClustersConfigDump:
				seen["cluster"] = m.DynamicActiveClusters[0].Cluster != nil && m.DynamicActiveClusters[0].VersionInfo != ""
			case *admin.EndpointsConfigDump:
				seen["endpoint"] = m.DynamicEndpointConfigs[0].EndpointConfig != nil
			}
		}
		for _, part := range []string{"bootstrap", "listener", "route", "cluster", "endpoint"} {
			if !seen[part] {
				t.Errorf("%s: %s is missing", format, part)
			}
		}
	}
}

func TestStatusJSON(t *testing.T) {
	var list struct {
		Kind  string
		Items []struct {
			Kind     string
			Metadata struct{ Name, Namespace string }
			Status   struct {
				Parents []struct {
					Conditions []struct{ Type, Status string }
				}
			}
		}
	}
	r := run(t, "translate", "-f", exampleRoute, "--to", "status", "-o", "json")
	if err := json.Unmarshal([]byte(r.out), &list); err != nil {
		t.Fatal(err)
	}
	if list.Kind != "List" || len(list.Items) != 3 {
		t.Fatalf("%s of %d", list.Kind, len(list.Items))
	}
	route := list.Items[2]
	if route.Kind != "HTTPRoute" || route.Metadata.Name != "web" || route.Metadata.Namespace != "default" ||
		len(route.Status.Parents) != 1 || route.Status.Parents[0].Conditions[0].Status != "True" {
		t.Errorf("%+v", route)
	}
}

func TestSARIF(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "route.yaml", []byte("kind: [\n"))
	r := run(t, "validate", "-f", "route.yaml", "-o", "sarif")
	var log struct {
		Runs []struct {
			Results []struct{ RuleID string }
		}
	}
	if err := json.Unmarshal([]byte(r.out), &log); err != nil {
		t.Fatal(err)
	}
	if r.code != exitFindings || len(log.Runs) != 1 || len(log.Runs[0].Results) != 1 || log.Runs[0].Results[0].RuleID != "EG1001" {
		t.Errorf("exit code %d, %+v", r.code, log)
	}
}

func TestURL(t *testing.T) {
	server := httptest.NewServer(http.FileServer(http.Dir("testdata/examples")))
	defer server.Close()
	if r := run(t, "translate", "-f", server.URL+"/route.yaml", "-o", "table"); r.code != exitOK || !strings.Contains(r.out, "www.example.com") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	if r := run(t, "translate", "-f", server.URL+"/none.yaml"); r.code != exitFailed || !strings.Contains(r.err, "404") {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
}

// TestPrivateKeysNeverAppear looks for a key in everything that can be printed
// of a Gateway that uses it, as PEM and in base64.
func TestPrivateKeysNeverAppear(t *testing.T) {
	t.Chdir(t.TempDir())
	first, key := secureGateway(t)
	second, otherKey := secureGateway(t)
	write(t, "gateway.yaml", first)
	write(t, "old.yaml", second)
	var forbidden []string
	for _, k := range [][]byte{key, otherKey} {
		block, _ := pem.Decode(k)
		middle := strings.Split(string(k), "\n")[1]
		forbidden = append(forbidden, middle, base64.StdEncoding.EncodeToString(k)[40:80], base64.StdEncoding.EncodeToString(block.Bytes)[4:44], "PRIVATE KEY")
	}
	for _, args := range []string{
		"-o json", "-o yaml", "-o table", "-o json --type secret", "-o diff --against old.yaml",
		"--to ir", "--to ir -o json", "--to status", "--to status -o table",
	} {
		r := run(t, append([]string{"translate", "-f", "gateway.yaml"}, strings.Fields(args)...)...)
		if r.code != exitOK || r.out == "" {
			t.Fatalf("%s: exit code %d\n%s", args, r.code, r.err)
		}
		for _, secret := range forbidden {
			if strings.Contains(r.out+r.err, secret) {
				t.Errorf("%s shows %q", args, secret)
			}
		}
	}
	dump := run(t, "translate", "-f", "gateway.yaml", "--type", "secret").out
	if !strings.Contains(dump, base64.StdEncoding.EncodeToString([]byte("[redacted]"))) || !strings.Contains(dump, "certificate_chain") {
		t.Errorf("no redacted certificate in\n%s", dump)
	}
	if diff := run(t, "translate", "-f", "gateway.yaml", "--against", "old.yaml", "-o", "diff").out; !strings.Contains(diff, "~ secret") {
		t.Errorf("a new key is no difference:\n%s", diff)
	}
}

// secureGateway returns manifests of a Gateway with a certificate of its own,
// and the private key in them.
func secureGateway(t *testing.T) (manifests, key []byte) {
	t.Helper()
	p := testcert.SelfSigned("www.example.com")
	return fmt.Appendf(nil, `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: eg
spec:
  gatewayClassName: eg
  listeners:
  - name: https
    protocol: HTTPS
    port: 443
    tls:
      certificateRefs:
      - name: certificate
---
apiVersion: v1
kind: Secret
type: kubernetes.io/tls
metadata:
  name: certificate
data:
  tls.crt: %s
  tls.key: %s
`, base64.StdEncoding.EncodeToString(p.Certificate), base64.StdEncoding.EncodeToString(p.Key)), p.Key
}

// TestColour is for terminals only.
func TestColour(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "route.yaml", []byte("kind: [\n"))
	for _, terminal := range []bool{false, true} {
		s := Streams{In: strings.NewReader(""), Getenv: func(string) string { return "" }, Terminal: terminal}
		r := executeIn(context.Background(), s, []string{"egctl", "translate", "-f", "route.yaml"})
		if regexp.MustCompile(`\x1b\[`).MatchString(r.err) != terminal {
			t.Errorf("terminal %v: %q", terminal, r.err)
		}
	}
}
