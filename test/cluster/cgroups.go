package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// hierarchies returns where the cgroup hierarchies are mounted: the one of version
// 2 that has all controllers, or else those of version 1, and with them that of
// version 2 that has none.
func hierarchies() (dirs []string, unified bool, err error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, false, err
	}
	for line := range strings.Lines(string(text)) {
		before, after, ok := strings.Cut(line, " - ")
		at, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(at) < 5 || len(kind) < 1 {
			continue
		}
		switch {
		case kind[0] == "cgroup2" && at[4] == "/sys/fs/cgroup":
			return []string{at[4]}, true, nil
		case kind[0] == "cgroup" || kind[0] == "cgroup2":
			dirs = append(dirs, at[4])
		}
	}
	if len(dirs) == 0 {
		return nil, false, errors.New("no cgroups are mounted on this machine")
	}
	return dirs, false, nil
}

// makeCgroups makes the cgroup below which a cluster's pods have theirs, in all
// hierarchies.
func makeCgroups(name string) error {
	dirs, unified, err := hierarchies()
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return err
		}
	}
	if !unified {
		return nil
	}
	// Version 2 has a controller in a cgroup only where its parent passes it on.
	available, err := os.ReadFile(filepath.Join(dirs[0], "cgroup.controllers"))
	if err != nil {
		return err
	}
	for _, controller := range strings.Fields(string(available)) {
		for _, dir := range []string{dirs[0], filepath.Join(dirs[0], name)} {
			if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0o644); err != nil {
				return fmt.Errorf("pass on cgroup controller %s: %w", controller, err)
			}
		}
	}
	return nil
}

// removeCgroups removes the cgroup of that name and all below. The processes in
// them have ended, but the kernel may take a moment to forget them.
func removeCgroups(ctx context.Context, name string) error {
	dirs, _, err := hierarchies()
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		root := filepath.Join(dir, name)
		for {
			err := removeCgroup(root)
			if err == nil {
				break
			}
			if !errors.Is(err, syscall.EBUSY) {
				return err
			}
			if sleep(ctx, 20*time.Millisecond) != nil {
				return err
			}
		}
	}
	return nil
}

func removeCgroup(root string) error {
	var all []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			all = append(all, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// Those below come first; the files in a cgroup go with it.
	for _, dir := range slices.Backward(all) {
		if err := syscall.Rmdir(dir); err != nil && !errors.Is(err, syscall.ENOENT) {
			return &fs.PathError{Op: "rmdir", Path: dir, Err: err}
		}
	}
	return nil
}
