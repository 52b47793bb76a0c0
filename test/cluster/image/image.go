// Package image makes container images of files, without a container engine or a
// registry: one layer, in the tarball that "docker save" would write.
package image

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// NonRoot is the user and group that distroless images call nonroot.
const NonRoot = "65532:65532"

// Spec says what an image is.
type Spec struct {
	// Refs are the image's names, such as docker.io/envoyproxy/envoy:v1.40.0. One
	// at least, each with a tag.
	Refs []string
	// Files are the image's files, by their absolute path in it. The directories
	// above them come by themselves.
	Files map[string]File
	// Entrypoint and Cmd are as in a Dockerfile.
	Entrypoint, Cmd []string
	// User runs the entry point: a number, or two, of user and group. Empty is root.
	User string
	// Env are NAME=value pairs. PATH is set unless it is here.
	Env []string
	// Architecture is what Go calls it, this machine's by default. The operating
	// system is linux.
	Architecture string
	// Labels say what the image is; engines show them.
	Labels map[string]string
}

// A File is what an image has at a path.
type File struct {
	// From is a file of this machine; a link stands for what it points to. Without
	// it, Data is the content.
	From string
	Data []byte
	// Mode is the permissions and, for a directory without content, fs.ModeDir. 0
	// is that of From, or 0644.
	Mode fs.FileMode
	// Link makes it a symbolic link.
	Link string
}

// Build writes the image to the file tar, which then holds the whole image or, on
// an error, is not there.
func Build(ctx context.Context, s Spec, tar string) error {
	if len(s.Refs) == 0 {
		return fmt.Errorf("image %s: no name", tar)
	}
	if err := build(ctx, s, tar); err != nil {
		return fmt.Errorf("image %s: %w", s.Refs[0], err)
	}
	return nil
}

func build(ctx context.Context, s Spec, file string) error {
	content, err := layer(ctx, s.Files)
	if err != nil {
		return err
	}
	image, err := mutate.AppendLayers(empty.Image, static.NewLayer(content, types.DockerUncompressedLayer))
	if err != nil {
		return err
	}
	env := s.Env
	if !slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, "PATH=") }) {
		env = append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, env...)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return err
	}
	config.OS, config.Architecture = "linux", cmp.Or(s.Architecture, runtime.GOARCH)
	config.Config = v1.Config{
		Entrypoint: s.Entrypoint, Cmd: s.Cmd, User: s.User, Env: env, WorkingDir: "/", Labels: s.Labels,
	}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return err
	}
	names := map[name.Reference]v1.Image{}
	for _, r := range s.Refs {
		tag, err := name.NewTag(r, name.StrictValidation)
		if err != nil {
			return err
		}
		names[tag] = image
	}
	out, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	err = errors.Join(tarball.MultiRefWrite(names, out), out.Close())
	if err == nil {
		err = os.Rename(out.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(out.Name()))
	}
	return nil
}

// layer is the uncompressed tar of files and of the directories above them. All
// belong to root, and none has a date: same files, same image.
func layer(ctx context.Context, files map[string]File) ([]byte, error) {
	all := maps.Clone(files)
	for at := range files {
		if !path.IsAbs(at) || path.Clean(at) != at {
			return nil, fmt.Errorf("%s is not a clean absolute path", at)
		}
		for dir := path.Dir(at); dir != "/"; dir = path.Dir(dir) {
			if _, ok := all[dir]; !ok {
				all[dir] = File{Mode: fs.ModeDir | 0o755}
			}
		}
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, at := range slices.Sorted(maps.Keys(all)) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := add(w, at, all[at]); err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func add(w *tar.Writer, at string, f File) error {
	h := &tar.Header{Name: at[1:], Typeflag: tar.TypeReg, Mode: tarMode(f.Mode)}
	data := f.Data
	switch {
	case f.Link != "":
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, f.Link, 0o777
		return w.WriteHeader(h)
	case f.Mode.IsDir():
		h.Typeflag = tar.TypeDir
		h.Name += "/"
		return w.WriteHeader(h)
	case f.From != "":
		info, err := os.Stat(f.From)
		if err != nil {
			return err
		}
		if data, err = os.ReadFile(f.From); err != nil {
			return err
		}
		if f.Mode == 0 {
			h.Mode = tarMode(info.Mode())
		}
	case f.Mode == 0:
		h.Mode = 0o644
	}
	h.Size = int64(len(data))
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err := w.Write(data)
	return err
}

// tarMode writes permissions as tar does.
func tarMode(m fs.FileMode) int64 {
	mode := int64(m.Perm())
	for bit, is := range map[fs.FileMode]int64{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if m&bit != 0 {
			mode |= is
		}
	}
	return mode
}
