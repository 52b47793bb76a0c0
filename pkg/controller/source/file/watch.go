package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/egctl/egctl/pkg/manifest"
)

// How long to wait for further events. Whoever replaces a file by a rename is
// done with it; who writes to it may not be, and what is half written can be
// valid and wrong.
const (
	quietRename = 300 * time.Microsecond
	quietWrite  = 5 * time.Millisecond
	// maxQuiet is the longest that events can put off what came before them.
	maxQuiet = 250 * time.Millisecond
)

// watch tells which manifests below some paths changed. Folders are watched
// rather than files, because editors replace a file by another of its name.
type watch struct {
	paths     []string
	recursive bool
	files     map[string]bool // named as such
	folders   map[string]bool
	seen      map[string]bool // manifests that were told of
	notify    *fsnotify.Watcher
}

func newWatch(paths []string, recursive bool) (*watch, error) {
	n, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch files: %w", err)
	}
	w := &watch{recursive: recursive, files: map[string]bool{}, folders: map[string]bool{}, seen: map[string]bool{}, notify: n}
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
	if parent := filepath.Dir(p); parent != p {
		// The folder itself may be replaced, or be a link that comes to point
		// elsewhere. Where its parent cannot be read that goes unnoticed.
		_ = w.watchFolder(parent)
	}
	return w.addFolder(p)
}

// addFolder watches a folder and, if that is wanted, those in it.
func (w *watch) addFolder(p string) error {
	if err := w.watchFolder(p); err != nil || !w.recursive {
		return err
	}
	return walk(p, func(sub string, d fs.DirEntry) error {
		if d.IsDir() {
			return w.watchFolder(sub)
		}
		return nil
	})
}

// walk visits what is in a folder, which may be a link to one. Hidden folders
// are not entered: beside .git, they are how Kubernetes mounts the files of a
// ConfigMap a second time. What vanishes meanwhile is passed over.
func walk(dir string, visit func(p string, d fs.DirEntry) error) error {
	root := dir + string(filepath.Separator)
	return filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case p == root:
			return nil
		case d.IsDir() && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		}
		return visit(p, d)
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
		err := walk(dir, func(p string, d fs.DirEntry) error {
			switch {
			case d.IsDir() && !w.recursive:
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
	for _, n := range names {
		w.seen[n] = true
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// poll is how often files that are not believed yet are looked at.
const poll = 5 * time.Millisecond

// next waits for changes and returns the manifests concerned. When some are
// still to be looked at it does not wait longer than poll.
func (w *watch) next(ctx context.Context, pending bool) ([]string, error) {
	if pending {
		return w.collect(ctx, time.After(poll))
	}
	return w.collect(ctx, nil)
}

// collect gathers changes until there was none for a while; timer is when to
// give up if none comes.
func (w *watch) collect(ctx context.Context, timer <-chan time.Time) ([]string, error) {
	names := map[string]bool{}
	var limit <-chan time.Time
	done := func() ([]string, error) {
		for n := range names {
			w.seen[n] = true
		}
		return slices.Sorted(maps.Keys(names)), nil
	}
	for {
		select {
		case <-ctx.Done():
			return nil, nil
		case err := <-w.notify.Errors:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				return nil, fmt.Errorf("watch files: %w", err)
			}
			for _, n := range w.everything() { // some events were lost
				names[n] = true
			}
			return done()
		case e := <-w.notify.Events:
			concerned := w.concerns(e)
			for _, n := range concerned {
				names[n] = true
			}
			if len(concerned) == 0 {
				continue
			}
			quiet := quietRename
			if e.Has(fsnotify.Write) {
				quiet = quietWrite
			}
			timer = time.After(quiet)
			if limit == nil {
				limit = time.After(maxQuiet)
			}
		case <-timer:
			return done()
		case <-limit:
			return done()
		}
	}
}

// everything lists the manifests that are there and those that were.
func (w *watch) everything() []string {
	if w.recursive {
		for dir := range w.folders {
			_ = w.addFolder(dir) // it may be gone, and with it what it held
		}
	}
	names := slices.Collect(maps.Keys(w.seen))
	found, err := w.list()
	if err != nil {
		return names // what cannot be listed is read by name
	}
	return append(names, found...)
}

// concerns returns the manifests that an event is about.
func (w *watch) concerns(e fsnotify.Event) []string {
	name := filepath.Clean(e.Name)
	switch {
	case e.Op == fsnotify.Chmod:
		return nil
	case w.files[name]:
		return []string{name}
	case w.folders[name]: // it was replaced
		_ = w.notify.Remove(name) // of the one that was
		if err := w.addFolder(name); err != nil {
			return w.inside(name)
		}
		return w.everything()
	case strings.HasPrefix(filepath.Base(name), ".."): // Kubernetes swaps a mounted volume by such a link
		return w.everything()
	}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		if !w.recursive || !w.below(name) || strings.HasPrefix(filepath.Base(name), ".") {
			return nil
		}
		if err := w.addFolder(name); err != nil {
			return w.inside(name) // it is gone again
		}
		return w.everything()
	}
	if manifest.IsManifest(name) && w.below(name) {
		return []string{name}
	}
	return w.inside(name)
}

// inside lists the manifests that were in a folder that is no more.
func (w *watch) inside(dir string) []string {
	var names []string
	for n := range w.seen {
		if strings.HasPrefix(n, dir+string(filepath.Separator)) {
			names = append(names, n)
		}
	}
	return names
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
