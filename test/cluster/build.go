package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/gofrs/flock"
)

// Build puts all programs and images that a cluster needs into the cache, as far
// as they are not there yet, and installs the Debian packages it needs. From
// nothing that takes ten minutes on two cores, and Go's module proxy has to be in
// reach. Builders at work at the same time share one build.
func Build(ctx context.Context, o Options) error {
	o, err := o.complete()
	if err != nil {
		return err
	}
	_, err = build(ctx, o)
	return err
}

// programs tells where the programs of a node are.
type programs struct {
	// dirs has a folder for each part, by the part's name.
	dirs map[string]string
	// images are the tarballs to load into every node.
	images []string
}

func (p programs) program(part, name string) string {
	return filepath.Join(p.dirs[part], name)
}

func build(ctx context.Context, o Options) (programs, error) {
	if err := ensurePackages(ctx, o); err != nil {
		return programs{}, err
	}
	all, err := parts()
	if err != nil {
		return programs{}, err
	}
	built := programs{dirs: map[string]string{}}
	for _, p := range all {
		key, err := p.key()
		if err != nil {
			return programs{}, err
		}
		dir := filepath.Join(o.CacheDir, key)
		err = once(ctx, dir, func(dir string) error {
			return o.step("build "+p.name, func() error { return p.build(ctx, o, dir) })
		})
		if err != nil {
			return programs{}, fmt.Errorf("build %s: %w", p.name, err)
		}
		built.dirs[p.name] = dir
	}
	built.images, err = buildImages(ctx, o, built)
	return built, err
}

// once makes the folder dir by calling make with the path of an empty folder
// that then takes dir's place. Where dir exists, or another process makes it
// meanwhile, it does nothing: a folder that exists is complete.
func once(ctx context.Context, dir string, makeIt func(dir string) error) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	lock := flock.New(dir + ".lock")
	defer func() { _ = lock.Close() }()
	if _, err := lock.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		return fmt.Errorf("wait for another process to build it: %w", err)
	}
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	// The lock is held: whatever lies there is of a builder that was killed.
	half := dir + ".half"
	if err := os.RemoveAll(half); err != nil {
		return err
	}
	if err := os.Mkdir(half, 0o755); err != nil {
		return err
	}
	if err := makeIt(half); err != nil {
		return errors.Join(err, os.RemoveAll(half))
	}
	return os.Rename(half, dir)
}

// build writes the part's module to a folder below dir, builds it, and leaves
// the programs in dir.
func (p part) build(ctx context.Context, o Options, dir string) error {
	files, err := p.files()
	if err != nil {
		return err
	}
	source := filepath.Join(dir, "source")
	for name, text := range files {
		file := filepath.Join(source, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			return err
		}
	}
	args := []string{"build", "-trimpath", "-mod=readonly", "-buildvcs=false", "-tags", p.tags, "-ldflags", "-s -w" + p.ldflags}
	if o.Jobs > 0 {
		args = append(args, "-p", strconv.Itoa(o.Jobs))
	}
	output := dir + string(filepath.Separator)
	if slices.Equal(p.packages, []string{"."}) {
		output = filepath.Join(dir, p.name)
	}
	args = append(append(args, "-o", output), p.packages...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOTOOLCHAIN="+toolchain, "GOFLAGS=", "GOWORK=off",
		"GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, lastLines(said.String(), 20))
	}
	for _, link := range p.links {
		if err := os.Symlink(p.name, filepath.Join(dir, link)); err != nil {
			return err
		}
	}
	return os.RemoveAll(source)
}
