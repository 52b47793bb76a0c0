package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// TestBuild reads back what was built: by another's code, as an engine would.
func TestBuild(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, []byte("#!"), 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "image.tar")
	err := Build(context.Background(), Spec{
		Refs: []string{"docker.io/example/first:v1", "registry.example.com/second:v2"},
		Files: map[string]File{
			"/usr/bin/program": {From: program},
			"/etc/config":      {Data: []byte("text")},
			"/usr/bin/link":    {Link: "program"},
			"/tmp":             {Mode: fs.ModeDir | fs.ModeSticky | 0o777},
		},
		Entrypoint: []string{"program"}, Cmd: []string{"--flag"}, User: NonRoot, Env: []string{"A=b"},
	}, file)
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"docker.io/example/first:v1", "registry.example.com/second:v2"} {
		tag, err := name.NewTag(ref)
		if err != nil {
			t.Fatal(err)
		}
		image, err := tarball.ImageFromPath(file, &tag)
		if err != nil {
			t.Fatalf("%s: %v", ref, err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(config.OS, config.Config.Entrypoint, config.Config.Cmd, config.Config.User, config.Config.Env)
		want := "linux[program] [--flag] 65532:65532[PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin A=b]"
		if strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
			t.Errorf("config is\n%s, want\n%s", got, want)
		}
		layers, err := image.Layers()
		if err != nil || len(layers) != 1 {
			t.Fatalf("%d layers, error %v", len(layers), err)
		}
		content, err := layers[0].Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := list(t, content), []string{
			"etc/ drwxr-xr-x", "etc/config -rw-r--r-- text", "tmp/ dtrwxrwxrwx", "usr/ drwxr-xr-x", "usr/bin/ drwxr-xr-x",
			"usr/bin/link Lrwxrwxrwx program", "usr/bin/program -rwxr-xr-x #!",
		}; !slices.Equal(got, want) {
			t.Errorf("the layer has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func list(t *testing.T, content io.Reader) []string {
	t.Helper()
	var files []string
	for r := tar.NewReader(content); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, strings.TrimSpace(fmt.Sprintf("%s %s %s%s", h.Name, h.FileInfo().Mode(), text, h.Linkname)))
	}
}

// TestBuildFails sees to it that a failed build leaves no tarball, and that the
// error names the image.
func TestBuildFails(t *testing.T) {
	for _, test := range []struct {
		name string
		spec Spec
		want string
	}{
		{"no name", Spec{}, "no name"},
		{"no tag", Spec{Refs: []string{"example.com/a"}}, "example.com/a"},
		{"no file", Spec{Refs: []string{"example.com/a:v1"}, Files: map[string]File{"/a": {From: "/no/such/file"}}}, "/no/such/file"},
		{"relative path", Spec{Refs: []string{"example.com/a:v1"}, Files: map[string]File{"a": {}}}, "clean absolute path"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			err := Build(context.Background(), test.spec, filepath.Join(dir, "image.tar"))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want one with %q", err, test.want)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}
