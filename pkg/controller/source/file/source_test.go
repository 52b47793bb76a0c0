package file_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/egctl/egctl/pkg/controller/source/file"
	"github.com/egctl/egctl/pkg/store"
)

// world is what a running source has emitted, put together.
type world struct {
	t   *testing.T
	dir string

	mu      sync.Mutex
	objects map[string]string // name to the annotation "v"
	gone    []string
}

// follow runs a source over a folder.
func follow(t *testing.T, path string, recursive bool) *world {
	t.Helper()
	w := &world{t: t, dir: path, objects: map[string]string{}}
	ctx, cancel := context.WithCancel(context.Background())
	first, done := make(chan struct{}), make(chan error, 1)
	var once sync.Once
	go func() {
		done <- file.New(file.Options{Paths: []string{path}, Recursive: recursive}).Run(ctx, func(changes []store.Change) {
			w.mu.Lock()
			for _, c := range changes {
				if c.Object == nil {
					delete(w.objects, c.Key.Name)
					w.gone = append(w.gone, c.Key.Name)
				} else {
					w.objects[c.Key.Name] = c.Object.GetAnnotations()["v"]
				}
			}
			w.mu.Unlock()
			once.Do(func() { close(first) })
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the source ended with %v", err)
		}
	})
	<-first
	return w
}

// becomes waits until the objects are these: "name=v name=v".
func (w *world) becomes(want string) {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		w.mu.Lock()
		var have []string
		for _, name := range slices.Sorted(maps.Keys(w.objects)) {
			have = append(have, name+"="+w.objects[name])
		}
		gone := slices.Clone(w.gone)
		w.mu.Unlock()
		if strings.Join(have, " ") == want {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("the objects are %q, want %q; gone were %q", strings.Join(have, " "), want, gone)
		}
	}
}

func object(name, v string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s, annotations: {v: %q}}\nspec: {ports: [{port: 80}]}\n", name, v)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestFollows does to a folder what people and tools do to folders.
func TestFollows(t *testing.T) {
	for name, tc := range map[string]struct {
		recursive bool
		steps     func(t *testing.T, dir string, w *world)
	}{
		"rename and delete": {false, func(t *testing.T, dir string, w *world) {
			must(t, os.Rename(filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yml")))
			write(t, filepath.Join(dir, "c.yaml"), object("c", "1"))
			w.becomes("a=1 c=1")
			must(t, os.Remove(filepath.Join(dir, "b.yml")))
			w.becomes("c=1")
			must(t, os.Rename(filepath.Join(dir, "c.yaml"), filepath.Join(dir, "c.off")))
			w.becomes("")
		}},
		"folders that are not asked for": {false, func(t *testing.T, dir string, w *world) {
			write(t, filepath.Join(dir, "sub", "b.yaml"), object("b", "1"))
			write(t, filepath.Join(dir, "c.yaml"), object("c", "1"))
			w.becomes("a=1 c=1")
		}},
		"folders": {true, func(t *testing.T, dir string, w *world) {
			write(t, filepath.Join(dir, "sub", "deep", "b.yaml"), object("b", "1"))
			w.becomes("a=1 b=1")
			write(t, filepath.Join(dir, "sub", "deep", "b.yaml"), object("b", "2"))
			w.becomes("a=1 b=2")
			write(t, filepath.Join(dir, ".git", "c.yaml"), object("c", "1"))
			must(t, os.Rename(filepath.Join(dir, "sub"), filepath.Join(dir, "sup")))
			write(t, filepath.Join(dir, "sup", "deep", "b.yaml"), object("b", "3"))
			w.becomes("a=1 b=3")
			elsewhere := filepath.Join(t.TempDir(), "sup")
			must(t, os.Rename(filepath.Join(dir, "sup"), elsewhere))
			w.becomes("a=1")
			must(t, os.Rename(elsewhere, filepath.Join(dir, "back")))
			w.becomes("a=1 b=3")
			must(t, os.RemoveAll(filepath.Join(dir, "back")))
			w.becomes("a=1")
		}},
		"the folder itself": {false, func(t *testing.T, dir string, w *world) {
			must(t, os.Rename(dir, dir+".old"))
			w.becomes("")
			write(t, filepath.Join(dir, "b.yaml"), object("b", "1"))
			w.becomes("b=1")
			write(t, filepath.Join(dir, "b.yaml"), object("b", "2"))
			w.becomes("b=2")
		}},
		"a thousand files at once": {false, func(t *testing.T, dir string, w *world) {
			want := []string{"a=1"}
			for i := range 1000 {
				write(t, filepath.Join(dir, fmt.Sprintf("f%d.yaml", i)), object(fmt.Sprintf("f%03d", i), "1"))
				want = append(want, fmt.Sprintf("f%03d=1", i))
			}
			w.becomes(strings.Join(want, " "))
			for i := range 1000 {
				must(t, os.Remove(filepath.Join(dir, fmt.Sprintf("f%d.yaml", i))))
			}
			w.becomes("a=1")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "manifests")
			write(t, filepath.Join(dir, "a.yaml"), object("a", "1"))
			w := follow(t, dir, tc.recursive)
			w.becomes("a=1")
			tc.steps(t, dir, w)
		})
	}
}

// TestLinkedFolder swaps the link by which a folder is named, as deployments do.
func TestLinkedFolder(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "v1", "a.yaml"), object("a", "1")+"---\n"+object("b", "1"))
	write(t, filepath.Join(root, "v2", "a.yaml"), object("a", "2"))
	write(t, filepath.Join(root, "v2", "c.yaml"), object("c", "2"))
	link := filepath.Join(root, "current")
	must(t, os.Symlink("v1", link))
	w := follow(t, link, false)
	w.becomes("a=1 b=1")
	must(t, os.Symlink("v2", link+".new"))
	must(t, os.Rename(link+".new", link))
	w.becomes("a=2 c=2")
	write(t, filepath.Join(root, "v2", "c.yaml"), object("c", "3"))
	w.becomes("a=2 c=3")
}

// TestMountedConfigMap changes files the way the kubelet does: files are links
// through ..data, which is swapped.
func TestMountedConfigMap(t *testing.T) {
	for _, recursive := range []bool{false, true} {
		t.Run(fmt.Sprintf("recursive=%v", recursive), func(t *testing.T) {
			dir := t.TempDir()
			swap := func(version string, objects ...string) {
				for _, o := range objects {
					write(t, filepath.Join(dir, "..v"+version, o+".yaml"), object(o, version))
				}
				must(t, os.Symlink("..v"+version, filepath.Join(dir, "..data_tmp")))
				must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
			}
			swap("1", "a", "b")
			for _, o := range []string{"a", "b"} {
				must(t, os.Symlink(filepath.Join("..data", o+".yaml"), filepath.Join(dir, o+".yaml")))
			}
			w := follow(t, dir, recursive)
			w.becomes("a=1 b=1")
			swap("2", "a", "b")
			must(t, os.RemoveAll(filepath.Join(dir, "..v1")))
			w.becomes("a=2 b=2")
			w.mu.Lock()
			defer w.mu.Unlock()
			if len(w.gone) > 0 {
				t.Errorf("%v were gone for a while", w.gone)
			}
		})
	}
}

// TestSlowWriters fill a file that they have truncated, in pieces: no object is
// ever gone.
func TestSlowWriters(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.yaml")
	write(t, path, object("a", "1")+"---\n"+object("b", "1"))
	w := follow(t, dir, false)
	for round := 2; round < 8; round++ {
		f, err := os.Create(path)
		must(t, err)
		v := fmt.Sprint(round)
		time.Sleep(time.Duration(round) * 15 * time.Millisecond)
		for _, piece := range []string{object("a", v), "---\n", object("b", v)} {
			_, err := f.WriteString(piece)
			must(t, err)
			time.Sleep(10 * time.Millisecond)
		}
		must(t, f.Close())
		w.becomes("a=" + v + " b=" + v)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.gone) > 0 {
		t.Errorf("%v were gone for a while", w.gone)
	}
}

// TestMendsBrokenFile writes a file that was broken anew, in two steps: what was in force
// all the time is never gone.
func TestMendsBrokenFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.yaml")
	write(t, path, object("a", "1"))
	w := follow(t, dir, false)
	for _, v := range []string{"2", "3"} {
		write(t, path, object("a", "broken")+"a: [b\n")
		time.Sleep(200 * time.Millisecond) // it is read meanwhile
		write(t, path, "")
		time.Sleep(30 * time.Millisecond)
		write(t, path, object("a", v))
		w.becomes("a=" + v)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.gone) > 0 {
		t.Errorf("%v were gone for a while", w.gone)
	}
}
