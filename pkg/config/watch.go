package config

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/egctl/egctl/api/v1alpha1"
)

// quiet is how long a file has to be left alone before it is read: whoever
// writes in place may not be done.
const quiet = 100 * time.Millisecond

// File is a configuration file that can be followed.
type File struct {
	path string
	// data and err are what the last reading gave.
	data []byte
	err  error
}

// NewFile returns a file without reading it.
func NewFile(path string) *File { return &File{path: path} }

// Load is [Load]. Watch then tells what changes from there on.
func (f *File) Load() (*v1alpha1.EnvoyGateway, []string, error) {
	f.data, f.err = os.ReadFile(f.path)
	return f.parse()
}

func (f *File) parse() (*v1alpha1.EnvoyGateway, []string, error) {
	if f.err != nil {
		return nil, nil, fmt.Errorf("configuration: %w", f.err)
	}
	return Parse(f.path, f.data)
}

// Watch follows the file until the context ends and calls changed after each
// change of its content: with the new configuration and its warnings, or with
// the error, when the one before stays in force. It notices edits in place,
// files renamed over it, and the links that Kubernetes swaps when a mounted
// ConfigMap changes. It returns an error only if the file cannot be followed.
func (f *File) Watch(ctx context.Context, changed func(*v1alpha1.EnvoyGateway, []string, error)) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("follow the configuration: %w", err)
	}
	defer func() { _ = w.Close() }()
	// The folder and not the file: that is replaced by another of its name.
	if err := w.Add(filepath.Dir(f.path)); err != nil {
		return fmt.Errorf("follow the configuration: %w", err)
	}
	f.followTarget(w)
	// What changed since it was loaded came without an event.
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-w.Errors:
			if !ok {
				return nil
			}
			timer.Reset(quiet) // events were lost
		case _, ok := <-w.Events:
			if !ok {
				return nil
			}
			timer.Reset(quiet)
		case <-timer.C:
			f.followTarget(w)
			if f.reread() {
				changed(f.parse())
			}
		}
	}
}

// followTarget also watches where the file really lies, if its name is a link.
// A link that leads nowhere is noticed when the file is read.
func (f *File) followTarget(w *fsnotify.Watcher) {
	if target, err := filepath.EvalSymlinks(f.path); err == nil {
		_ = w.Add(filepath.Dir(target))
	}
}

// reread says whether the file differs from the last reading.
func (f *File) reread() bool {
	data, err := os.ReadFile(f.path)
	same := bytes.Equal(data, f.data) && (err == nil) == (f.err == nil)
	f.data, f.err = data, err
	return !same
}

// Watch follows a file from its present content on; see [File.Watch]. Use a
// [File] to miss nothing between loading and following.
func Watch(ctx context.Context, path string, changed func(*v1alpha1.EnvoyGateway, []string, error)) error {
	f := NewFile(path)
	f.reread()
	return f.Watch(ctx, changed)
}
