package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/egctl/egctl/test/cluster/image"
)

// The helms that are tested with.
const (
	Helm3 = "helm.sh/helm/v3@v3.22.0"
	Helm4 = "helm.sh/helm/v4@v4.3.1"
)

// OldVersion is one to upgrade from: the same program under an older name.
const OldVersion = "v0.0.0-e1"

// Images of the controller, built from this checkout.
const (
	Image    = "docker.io/egctl/egctl:" + Version
	OldImage = "docker.io/egctl/egctl:" + OldVersion
)

// ImageFile is the tarball of the image.
func (s *Suite) ImageFile() string { return filepath.Join(s.Dir, "egctl.tar") }

// Egctl is the program, static as in the image.
func (s *Suite) Egctl() string { return filepath.Join(s.Dir, "bin", "egctl") }

// build makes egctl and its image.
func (s *Suite) build(ctx context.Context) error {
	began := time.Now()
	err := s.goCommand(ctx, s.Root, "build", "-trimpath", "-ldflags", "-s -w -X main.version="+Version, "-o", s.Egctl(), "./cmd/egctl")
	if err != nil {
		return err
	}
	plugin := filepath.Join(s.Dir, "bin", "kubectl-eg")
	if err := os.Symlink("egctl", plugin); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	spec, err := image.Egctl(s.Egctl(), Image, OldImage)
	if err != nil {
		return err
	}
	if err := image.Build(ctx, spec, s.ImageFile()); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%6.1f s  build egctl and its image\n", time.Since(began).Seconds())
	return nil
}

// Charts packages the charts of this checkout as those of a version, and returns
// the file of gateway-helm.
func (s *Suite) Charts(t *testing.T, version string) string {
	t.Helper()
	dir := filepath.Join(s.Dir, "charts")
	if err := s.goCommand(t.Context(), s.Root, "run", "./hack/charts", "-version", version, "-o", dir); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "gateway-helm-"+version+".tgz")
}

// Helm builds a helm and returns its path.
func (s *Suite) Helm(t *testing.T, module string) string {
	t.Helper()
	path, version, _ := strings.Cut(module, "@")
	return s.program(t, "helm", path+"/cmd/helm", version, "")
}

// program builds a program of another module, once a version, and returns its path.
func (s *Suite) program(t *testing.T, name, from, version, ldflags string) string {
	t.Helper()
	cache, err := cacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, name+"-"+version)
	program := filepath.Join(dir, name)
	if _, err := os.Stat(program); err == nil {
		return program
	}
	lock := flock.New(dir + ".lock")
	defer func() { _ = lock.Close() }()
	if _, err := lock.TryLockContext(t.Context(), 200*time.Millisecond); err != nil {
		t.Fatalf("wait for another process to build %s: %v", name, err)
	}
	if _, err := os.Stat(program); err == nil {
		return program
	}
	t.Logf("building %s %s, which takes minutes the first time", name, version)
	// Outside of any module: its own requirements hold.
	cmd := exec.CommandContext(t.Context(), "go", "install", "-trimpath", "-ldflags", "-s -w "+ldflags, from+"@"+version)
	cmd.Dir = cache
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOBIN="+dir+".half")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err = cmd.Run()
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = os.Rename(filepath.Join(dir+".half", name), program)
	}
	if err != nil {
		t.Fatalf("build %s %s: %v\n%s", name, version, err, tail(said.String(), 20))
	}
	return program
}

func (s *Suite) goCommand(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, tail(said.String(), 20))
	}
	return nil
}

// environ gives a command the programs of this run, and keeps it from the settings
// that helm has of whoever runs the tests.
func (s *Suite) environ(cmd *exec.Cmd) {
	for i, e := range cmd.Env {
		if path, ok := strings.CutPrefix(e, "PATH="); ok {
			cmd.Env[i] = "PATH=" + filepath.Join(s.Dir, "bin") + ":" + path
		}
	}
	for _, kind := range []string{"CACHE", "CONFIG", "DATA"} {
		cmd.Env = append(cmd.Env, "HELM_"+kind+"_HOME="+filepath.Join(s.Dir, "helm", strings.ToLower(kind)))
	}
}
