package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/egctl/egctl/pkg/manifest"
)

// quiet is how long to wait for further events of a change that makes several,
// such as a rename after a write.
const quiet = 2 * time.Millisecond

// watch tells which manifests below some paths changed. Folders are watched
// rather than files, because editors replace a file by another of its name.
type watch struct {
	paths     []string
	recursive bool
	files     map[string]bool // named as such
	folders   map[string]bool
	notify    *fsnotify.Watcher
}

func newWatch(paths []string, recursive bool) (*watch, error) {
	n, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch files: %w", err)
	}
	w := &watch{recursive: recursive, files: map[string]bool{}, folders: map[string]bool{}, notify: n}
	for _, p := range paths {
		w.paths = append(w.paths, filepath.Clean(p))
	}
	for _, p := range w.paths {
		if err := w.add(p); err != nil {
			return nil, errors.Join(err, n.Close())
		}
	}
	return w, nil
}

func (w *watch) close() { _ = w.notify.Close() }

// add watches a path that the user named.
func (w *watch) add(p string) error {
	info, err := os.Stat(p)
	if err != nil {
		return fmt.Errorf("watch %s: %w", p, err)
	}
	if !info.IsDir() {
		w.files[p] = true
		return w.watchFolder(filepath.Dir(p))
	}
	w.folders[p] = true
	return w.addFolder(p)
}

func (w *watch) addFolder(p string) error {
	if err := w.watchFolder(p); err != nil || !w.recursive {
		return err
	}
	return filepath.WalkDir(p, func(sub string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() || sub == p {
			return err
		}
		return w.watchFolder(sub)
	})
}

func (w *watch) watchFolder(p string) error {
	if err := w.notify.Add(p); err != nil {
		return fmt.Errorf("watch %s: %w", p, err)
	}
	return nil
}

// list returns all manifests.
func (w *watch) list() ([]string, error) {
	var names []string
	for f := range w.files {
		names = append(names, f)
	}
	for dir := range w.folders {
		err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && p != dir && !w.recursive:
				return filepath.SkipDir
			case !d.IsDir() && manifest.IsManifest(p):
				names = append(names, p)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", dir, err)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// next waits for changes and returns the manifests concerned.
func (w *watch) next(ctx context.Context) ([]string, error) {
	var names []string
	var timer <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil, nil
		case err := <-w.notify.Errors:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				return nil, fmt.Errorf("watch files: %w", err)
			}
			return w.list() // some events were lost: look at everything
		case e := <-w.notify.Events:
			for _, n := range w.concerns(e) {
				if !slices.Contains(names, n) {
					names = append(names, n)
				}
			}
			if len(names) > 0 {
				timer = time.After(quiet)
			}
		case <-timer:
			return names, nil
		}
	}
}

// concerns returns the manifests that an event is about.
func (w *watch) concerns(e fsnotify.Event) []string {
	name := filepath.Clean(e.Name)
	if e.Op == fsnotify.Chmod {
		return nil
	}
	if w.files[name] {
		return []string{name}
	}
	if strings.HasPrefix(filepath.Base(name), "..") { // Kubernetes swaps a mounted volume by such a link
		names, err := w.list()
		if err != nil {
			return nil
		}
		return names
	}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		if !w.recursive || !w.below(name) {
			return nil
		}
		if err := w.addFolder(name); err != nil {
			return nil // it is gone again, and with it what it held
		}
		names, err := w.list()
		if err != nil {
			return nil
		}
		return names
	}
	if manifest.IsManifest(name) && w.below(name) {
		return []string{name}
	}
	return nil
}

// below says whether a name lies in a folder that the user named.
func (w *watch) below(name string) bool {
	for dir := range w.folders {
		rel, err := filepath.Rel(dir, name)
		if err == nil && filepath.IsLocal(rel) && (w.recursive || filepath.Dir(rel) == ".") {
			return true
		}
	}
	return false
}

// load parses a file; false if there is none.
func load(name, namespace string) ([]*manifest.Document, bool, error) {
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	return manifest.Parse(name, data, namespace), true, nil
}
