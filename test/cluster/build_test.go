package cluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestOnce: what exists is complete, whoever makes it and whatever becomes of them.
func TestOnce(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "cache", "part")

	// A builder that was killed left a half.
	if err := os.MkdirAll(filepath.Join(dir+".half", "rubbish"), 0o755); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if err := once(ctx, dir, func(string) error { return broken }); !errors.Is(err, broken) {
		t.Fatalf("error is %v, want %v", err, broken)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("a failed build counts: %v", err)
	}

	var builds atomic.Int32
	var builders sync.WaitGroup
	for range 8 {
		builders.Go(func() {
			err := once(ctx, dir, func(dir string) error {
				builds.Add(1)
				time.Sleep(50 * time.Millisecond)
				return os.WriteFile(filepath.Join(dir, "program"), nil, 0o755)
			})
			if err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(dir, "program")); err != nil {
				t.Error(err)
			}
		})
	}
	builders.Wait()
	if n := builds.Load(); n != 1 {
		t.Errorf("built %d times", n)
	}
	if _, err := os.Stat(filepath.Join(dir, "rubbish")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the half of a killed builder became part of it: %v", err)
	}
}

// TestParts sees to it that every part is a module that builds by itself: with a
// go.mod of its own that fits the toolchain, and without the tag that hides it here.
func TestParts(t *testing.T) {
	all, err := parts()
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	for _, p := range all {
		files, err := p.files()
		if err != nil {
			t.Errorf("%s: %v", p.name, err)
			continue
		}
		if want := "\ngo " + strings.TrimPrefix(toolchain, "go") + "\n"; !strings.Contains(string(files["go.mod"]), want) {
			t.Errorf("%s: go.mod lacks %q", p.name, want)
		}
		for name, text := range files {
			if strings.Contains(string(text), "//go:build ignore") || strings.HasSuffix(name, "_test.go") {
				t.Errorf("%s: %s would not be built", p.name, name)
			}
		}
		key, err := p.key()
		if err != nil {
			t.Error(err)
		}
		if !strings.HasPrefix(key, p.name+"-") || keys[key] {
			t.Errorf("%s: key %q does not tell it from others", p.name, key)
		}
		keys[key] = true
		p.tags += "other"
		if other, err := p.key(); err != nil || other == key {
			t.Errorf("%s: key %q stays the same with another tag; error %v", p.name, key, err)
		}
	}
	// Kubernetes and its staging modules have to be of one release.
	text, err := sources.ReadFile("parts/kubernetes/part.mod")
	if err != nil {
		t.Fatal(err)
	}
	version, err := requiredVersion("kubernetes", "k8s.io/kubernetes")
	if err != nil {
		t.Fatal(err)
	}
	staged := strings.Replace(version, "v1.", "v0.", 1)
	for _, m := range regexp.MustCompile(`=> \S+ (\S+)`).FindAllStringSubmatch(string(text), -1) {
		if m[1] != staged {
			t.Errorf("parts/kubernetes/part.mod: %s does not go with Kubernetes %s", m[0], version)
		}
	}
}
