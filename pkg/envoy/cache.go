package envoy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// DefaultCacheDir returns egctl's cache folder: $XDG_CACHE_HOME/egctl, or
// ~/.cache/egctl on every system, so that one documented path holds. A relative
// XDG_CACHE_HOME is ignored, as the XDG Base Directory Specification demands.
func DefaultCacheDir(getenv func(string) string) (string, error) {
	if dir := getenv("XDG_CACHE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "egctl"), nil
	}
	if home := getenv("HOME"); home != "" {
		return filepath.Join(home, ".cache", "egctl"), nil
	}
	return "", errNoCache
}

// DigestError says that a file is not what it should be.
type DigestError struct {
	File       string // the file or address whose content was digested
	Want, Got  string // SHA-256 in hex
	Suggestion string // what to do about it
}

func (e *DigestError) Error() string {
	return fmt.Sprintf("%s does not have the expected content: expected sha256 %s, got %s; %s", e.File, e.Want, e.Got, e.Suggestion)
}

// cache is the folder that holds the Envoy of one version and platform.
type cache struct {
	dir string
	// digests that the binary may have; empty when the user's own digest is in
	// force, in which case the binary's is in recorded.
	digests  []string
	artifact string // the user's own digest
}

// recorded names the file that keeps the digest of a binary whose own digest is
// not compiled in: it was taken from a file that had the user's digest.
const recorded = "envoy.sha256"

func (l *Locator) newCache() (*cache, error) {
	if l.CacheDir == "" {
		return nil, nil
	}
	c := &cache{dir: filepath.Join(l.CacheDir, "envoy", Version, l.platformName())}
	if l.SHA256 == "" {
		for _, a := range forPlatform(l.artifactTable(), l.platformName()) {
			if a.Binary != "" {
				c.digests = append(c.digests, a.Binary)
			}
		}
		return c, nil
	}
	if b, err := hex.DecodeString(l.SHA256); err != nil || len(b) != sha256.Size {
		return nil, fmt.Errorf("%q is not a SHA-256 digest: give 64 hexadecimal digits", l.SHA256)
	}
	c.artifact = strings.ToLower(l.SHA256)
	c.dir += "-" + c.artifact[:16]
	return c, nil
}

func (c *cache) binary() string { return filepath.Join(c.dir, "envoy") }

// lookup returns the cached binary if it is there and unharmed. The whole file
// is digested each time, which takes about 0.1 s: nothing that changed on disk
// is ever run. A harmed one is removed, and said so.
func (c *cache) lookup(ctx context.Context) (b Binary, ok bool, notes []string, err error) {
	if c == nil {
		return Binary{}, false, nil, nil
	}
	got, err := fileDigest(ctx, c.binary())
	if errors.Is(err, fs.ErrNotExist) {
		return Binary{}, false, nil, nil
	}
	if err != nil {
		return Binary{}, false, nil, fmt.Errorf("cached envoy: %w", err)
	}
	want := c.digests
	if c.artifact != "" {
		text, err := os.ReadFile(filepath.Join(c.dir, recorded))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Binary{}, false, nil, fmt.Errorf("cached envoy: %w", err)
		}
		want = strings.Fields(string(text))
	}
	if !slices.Contains(want, got) {
		if err := os.Remove(c.binary()); err != nil {
			return Binary{}, false, nil, fmt.Errorf("cached envoy %s was changed (sha256 %s) and cannot be removed: %w", c.binary(), got, err)
		}
		note := fmt.Sprintf("the cached %s was changed since it was verified (sha256 %s, expected %s): removed it", c.binary(), got, strings.Join(want, " or "))
		return Binary{}, false, []string{note}, nil
	}
	version := Version
	if c.artifact != "" { // the user's own file may be any version
		if version, err = BinaryVersion(ctx, c.binary()); err != nil {
			return Binary{}, false, nil, fmt.Errorf("cached envoy: %w", err)
		}
	}
	return Binary{Path: c.binary(), Version: version, Source: SourceCache}, true, nil, nil
}

// lock makes this process the only one that fills the folder. It waits as long
// as ctx lets it, and tells that it waits.
func (c *cache) lock(ctx context.Context, waiting func() (done func())) (unlock func() error, err error) {
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return nil, fmt.Errorf("cache folder for envoy: %w", err)
	}
	l := flock.New(filepath.Join(c.dir, ".lock"))
	got, err := l.TryLock()
	if err == nil && !got {
		done := waiting()
		_, err = l.TryLockContext(ctx, 100*time.Millisecond)
		done()
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", l.Path(), err)
	}
	return l.Unlock, nil
}

// put makes the file at path, which was verified and lies in the folder, the
// cached binary. Only here does a file become executable, and it appears under
// its final name whole or not at all.
func (c *cache) put(path string) error {
	if err := os.Chmod(path, 0o755); err != nil {
		return fmt.Errorf("install envoy: %w", err)
	}
	if c.artifact != "" {
		digest, err := fileDigest(context.Background(), path)
		if err != nil {
			return fmt.Errorf("install envoy: %w", err)
		}
		if err := os.WriteFile(filepath.Join(c.dir, recorded), []byte(digest+"\n"), 0o644); err != nil {
			return fmt.Errorf("install envoy: %w", err)
		}
	}
	if err := os.Rename(path, c.binary()); err != nil {
		return fmt.Errorf("install envoy: %w", err)
	}
	return nil
}

// fileDigest returns the SHA-256 of a file in hex.
func fileDigest(ctx context.Context, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // opened for reading only
	h := sha256.New()
	if _, err := io.Copy(h, contextReader{ctx, f}); err != nil {
		return "", fmt.Errorf("digest %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// contextReader ends a long copy when ctx does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
