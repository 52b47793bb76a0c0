package image

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// program writes an ELF file of a static program for a machine, with nothing in
// it to run.
func program(t *testing.T, machine elf.Machine) string {
	t.Helper()
	header := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT), Ehsize: 64, Shentsize: 64}
	copy(header.Ident[:], elf.ELFMAG)
	header.Ident[elf.EI_CLASS], header.Ident[elf.EI_DATA] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB)
	header.Ident[elf.EI_VERSION] = byte(elf.EV_CURRENT)
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, header); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "egctl")
	if err := os.WriteFile(file, b.Bytes(), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestPush makes egctl's image for two architectures, pushes them as one, and
// pulls what each machine would get.
func TestPush(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(t.Output(), "", 0))))
	defer server.Close()
	repository := strings.TrimPrefix(server.URL, "http://") + "/egctl"
	refs := []string{repository + ":v1.2.3", repository + ":latest"}
	var tarballs []string
	for _, machine := range []elf.Machine{elf.EM_X86_64, elf.EM_AARCH64} {
		spec, err := Egctl(program(t, machine), refs[0])
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "image.tar")
		if err := Build(context.Background(), spec, file); err != nil {
			t.Fatal(err)
		}
		tarballs = append(tarballs, file)
	}
	digest, err := Push(context.Background(), tarballs, refs)
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range refs {
		tag, err := name.NewTag(ref)
		if err != nil {
			t.Fatal(err)
		}
		index, err := remote.Index(tag)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := index.Digest(); err != nil || got != digest {
			t.Errorf("%s is %s (error %v), want %s", ref, got, err, digest)
		}
		manifest, err := index.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		var platforms []string
		for _, m := range manifest.Manifests {
			platforms = append(platforms, m.Platform.String())
			image, err := index.Image(m.Digest)
			if err != nil {
				t.Fatal(err)
			}
			config, err := image.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(config.Architecture, config.Config.User, config.Config.Entrypoint); got != m.Platform.Architecture+NonRoot+"[/usr/local/bin/egctl]" {
				t.Errorf("image for %s is %s", m.Platform, got)
			}
			layers, err := image.Layers()
			if err != nil {
				t.Fatal(err)
			}
			content, err := layers[0].Uncompressed()
			if err != nil {
				t.Fatal(err)
			}
			if files := list(t, content); !slices.Contains(files, "usr/local/bin/envoy-gateway Lrwxrwxrwx egctl") {
				t.Errorf("files are %q", files)
			}
		}
		if want := []string{"linux/amd64", "linux/arm64"}; !slices.Equal(platforms, want) {
			t.Errorf("platforms of %s are %v, want %v", ref, platforms, want)
		}
	}

	if _, err := Push(context.Background(), []string{tarballs[0], tarballs[0]}, refs); err == nil || !strings.Contains(err.Error(), "both for linux/amd64") {
		t.Errorf("the same twice: error is %v", err)
	}
}

// TestEgctlWants a program that runs without anything else.
func TestEgctlWants(t *testing.T) {
	if _, err := Egctl(program(t, elf.EM_S390)); err == nil || !strings.Contains(err.Error(), "EM_S390") {
		t.Errorf("error for a machine without images is %v", err)
	}
	const shell = "/bin/sh"
	if interpreter, _, err := dynamic(shell); err != nil || interpreter == "" {
		t.Skipf("%s of this machine is no dynamically linked ELF file", shell)
	}
	if _, err := Egctl(shell); err == nil || !strings.Contains(err.Error(), "CGO_ENABLED=0") {
		t.Errorf("error for a dynamically linked program is %v", err)
	}
}
