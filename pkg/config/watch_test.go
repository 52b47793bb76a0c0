package config_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/config"
)

type event struct {
	name string
	err  error
}

// follow watches a file and returns what comes of its changes.
func follow(t *testing.T, f *config.File) <-chan event {
	t.Helper()
	events := make(chan event, 10)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- f.Watch(ctx, func(c *v1alpha1.EnvoyGateway, _ []string, err error) {
			if err != nil {
				events <- event{err: err}
				return
			}
			events <- event{name: c.Gateway.ControllerName}
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return events
}

func next(t *testing.T, events <-chan event) event {
	t.Helper()
	select {
	case e := <-events:
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came of the change")
		return event{}
	}
}

func named(name string) string { return head + "gateway: {controllerName: " + name + "}\n" }

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, path, want string) *config.File {
	t.Helper()
	f := config.NewFile(path)
	c, _, err := f.Load()
	if err != nil || c.Gateway.ControllerName != want {
		t.Fatalf("loaded %v, %v, want %s", c, err, want)
	}
	return f
}

func TestWatchEdits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "envoy-gateway.yaml")
	write(t, path, named("a"))
	f := load(t, path, "a")
	write(t, path, named("b")) // before anyone watches
	events := follow(t, f)
	if e := next(t, events); e.name != "b" {
		t.Errorf("after the change before the watch: %v", e)
	}
	write(t, path, named("c"))
	if e := next(t, events); e.name != "c" {
		t.Errorf("after an edit in place: %v", e)
	}
	write(t, path+".new", named("d"))
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	if e := next(t, events); e.name != "d" {
		t.Errorf("after a rename: %v", e)
	}
	write(t, path, head+"admin: {address: {port: x}}\n")
	if e := next(t, events); e.err == nil || !strings.Contains(e.err.Error(), "admin.address.port") {
		t.Errorf("after a wrong edit: %v", e)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if e := next(t, events); e.err == nil {
		t.Errorf("after the file went: %v", e)
	}
	write(t, path, named("d"))
	if e := next(t, events); e.name != "d" {
		t.Errorf("after the file came back: %v", e)
	}
	write(t, path, named("d")) // nothing new
	write(t, filepath.Join(filepath.Dir(path), "other"), "x")
	select {
	case e := <-events:
		t.Errorf("without a change: %v", e)
	case <-time.After(500 * time.Millisecond):
	}
}

// Kubernetes mounts a ConfigMap as links to a link to a folder, and swaps that.
func TestWatchConfigMap(t *testing.T) {
	dir := t.TempDir()
	swap := func(version, text string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, version), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, version, "envoy-gateway.yaml"), text)
		if err := os.Symlink(version, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	swap("..1", named("a"))
	path := filepath.Join(dir, "envoy-gateway.yaml")
	if err := os.Symlink("..data/envoy-gateway.yaml", path); err != nil {
		t.Fatal(err)
	}
	events := follow(t, load(t, path, "a"))
	swap("..2", named("b"))
	if e := next(t, events); e.name != "b" {
		t.Errorf("after the first swap: %v", e)
	}
	if err := os.RemoveAll(filepath.Join(dir, "..1")); err != nil {
		t.Fatal(err)
	}
	swap("..3", named("c"))
	if e := next(t, events); e.name != "c" {
		t.Errorf("after the second swap: %v", e)
	}
}

// A file that is a link into another folder changes there.
func TestWatchLink(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(t.TempDir(), "real.yaml")
	write(t, target, named("a"))
	path := filepath.Join(dir, "envoy-gateway.yaml")
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	events := follow(t, load(t, path, "a"))
	// Watching starts in its own time; what is written before counts as well.
	write(t, target, named("b"))
	if e := next(t, events); e.name != "b" {
		t.Errorf("after the first edit of the target: %v", e)
	}
	write(t, target, named("c"))
	if e := next(t, events); e.name != "c" {
		t.Errorf("after the second edit of the target: %v", e)
	}
}

func TestWatchNowhere(t *testing.T) {
	err := config.Watch(context.Background(), filepath.Join(t.TempDir(), "no", "file"), nil)
	if err == nil || !strings.Contains(err.Error(), "follow the configuration") {
		t.Errorf("error %v", err)
	}
}
