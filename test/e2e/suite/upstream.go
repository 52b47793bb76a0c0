package suite

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/egctl/egctl/test/cluster"
	"github.com/egctl/egctl/test/cluster/image"
)

// The Envoy Gateway that users come from.
const (
	upstreamModule  = "github.com/envoyproxy/gateway"
	UpstreamVersion = "v1.9.1"
	UpstreamImage   = "docker.io/envoyproxy/gateway:" + UpstreamVersion
)

// Upstream is Envoy Gateway itself, from its module.
type Upstream struct {
	// Chart is the folder of its chart gateway-helm, as its releases have it.
	Chart string
	// Quickstart is its quickstart.yaml. Only the backend's image is another.
	Quickstart string
}

// Upstream builds Envoy Gateway and gives the cluster its image.
func (s *Suite) Upstream(t *testing.T) *Upstream {
	t.Helper()
	program := s.program(t, "envoy-gateway", upstreamModule+"/cmd/envoy-gateway", UpstreamVersion,
		"-X "+upstreamModule+"/internal/cmd/version.envoyGatewayVersion="+UpstreamVersion)
	authorities, err := image.CACertificates()
	if err != nil {
		t.Fatal(err)
	}
	tar := filepath.Join(s.Dir, "envoy-gateway.tar")
	err = image.Build(t.Context(), image.Spec{
		Refs: []string{UpstreamImage},
		Files: map[string]image.File{
			"/usr/local/bin/envoy-gateway":       {From: program, Mode: 0o755},
			"/etc/ssl/certs/ca-certificates.crt": {From: authorities, Mode: 0o644},
			"/etc/passwd":                        {Data: []byte("nonroot:x:65532:65532:nonroot:/:/sbin/nologin\n")},
			"/tmp":                               {Mode: fs.ModeDir | fs.ModeSticky | 0o777},
			"/var/lib/eg":                        {Mode: fs.ModeDir | 0o777},
		},
		Entrypoint: []string{"/usr/local/bin/envoy-gateway"},
		User:       image.NonRoot,
	}, tar)
	if err == nil {
		err = s.Cluster.LoadImage(t.Context(), tar)
	}
	if err != nil {
		t.Fatal(err)
	}
	module := s.module(t, upstreamModule+"@"+UpstreamVersion)
	u := &Upstream{Chart: filepath.Join(t.TempDir(), "gateway-helm")}
	if err := os.CopyFS(u.Chart, os.DirFS(filepath.Join(module, "charts", "gateway-helm"))); err != nil {
		t.Fatal(err)
	}
	// A release has these filled in.
	edit(t, u.Chart, "values.tmpl.yaml", "values.yaml", "${GatewayImage}", UpstreamImage, "${GatewayImagePullPolicy}", "IfNotPresent")
	edit(t, u.Chart, "Chart.yaml", "Chart.yaml", "v0.0.0-latest", UpstreamVersion, `"latest"`, UpstreamVersion)
	text, err := os.ReadFile(filepath.Join(module, "examples", "kubernetes", "quickstart.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	const backend = "registry.k8s.io/gateway-api/echo-basic:v1.5.1"
	if !strings.Contains(string(text), backend) {
		t.Fatalf("the backend of the quickstart is not %s", backend)
	}
	u.Quickstart = strings.ReplaceAll(string(text), backend, cluster.EchoImage)
	return u
}

// module returns the folder of a module's sources.
func (s *Suite) module(t *testing.T, module string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module)
	cmd.Dir = s.Dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	var got struct{ Dir string }
	if err := json.Unmarshal(out, &got); err != nil || got.Dir == "" {
		t.Fatalf("%v says %s (error %v)", cmd.Args, out, err)
	}
	return got.Dir
}

// edit replaces words of a file, each of which must be there.
func edit(t *testing.T, dir, from, to string, words ...string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, from))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(words); i += 2 {
		if !strings.Contains(string(text), words[i]) {
			t.Fatalf("%s does not have %s", from, words[i])
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(dir, to)
	if err := os.RemoveAll(target); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(target, []byte(strings.NewReplacer(words...).Replace(string(text))), 0o644); err != nil {
		t.Fatal(err)
	}
}
