package image

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Program returns the files that the dynamically linked program needs to run in
// an image: itself at the path at, its loader, and the libraries of this machine,
// under the paths where the loader looks for them. A static program needs only
// itself.
func Program(program, at string) (map[string]File, error) {
	files := map[string]File{at: {From: program, Mode: 0o755}}
	interpreter, needed, err := dynamic(program)
	if err != nil {
		return nil, err
	}
	if interpreter == "" {
		return files, nil
	}
	files[interpreter] = File{From: interpreter, Mode: 0o755}
	for len(needed) > 0 {
		library := needed[0]
		needed = needed[1:]
		// The loader is one of the C library's names.
		if library == filepath.Base(interpreter) {
			continue
		}
		file, err := findLibrary(program, library)
		if err != nil {
			return nil, err
		}
		if _, ok := files[file]; ok {
			continue
		}
		files[file] = File{From: file, Mode: 0o755}
		_, more, err := dynamic(file)
		if err != nil {
			return nil, err
		}
		needed = append(needed, more...)
	}
	return files, nil
}

// dynamic returns the loader that an ELF file names, and its libraries.
func dynamic(file string) (interpreter string, libraries []string, err error) {
	f, err := elf.Open(file)
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", file, err)
	}
	defer func() { _ = f.Close() }()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			b, err := io.ReadAll(p.Open())
			if err != nil {
				return "", nil, fmt.Errorf("%s: %w", file, err)
			}
			interpreter = strings.TrimRight(string(b), "\x00")
		}
	}
	libraries, err = f.ImportedLibraries()
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", file, err)
	}
	return interpreter, libraries, nil
}

// libraryDirs are where loaders look without a cache file, on Debian's systems
// and on others.
var libraryDirs = []string{"/lib/*-linux-gnu", "/usr/lib/*-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"}

// findLibrary finds a library for the machine that program is for.
func findLibrary(program, library string) (string, error) {
	p, err := elf.Open(program)
	if err != nil {
		return "", err
	}
	defer func() { _ = p.Close() }()
	for _, pattern := range libraryDirs {
		found, err := filepath.Glob(filepath.Join(pattern, library))
		if err != nil {
			return "", err
		}
		for _, file := range found {
			f, err := elf.Open(file)
			if err != nil {
				continue
			}
			fits := f.Machine == p.Machine && f.Class == p.Class
			if err := f.Close(); err != nil {
				return "", err
			}
			if fits {
				return file, nil
			}
		}
	}
	return "", fmt.Errorf("%s needs the library %s, which is not on this machine", program, library)
}

// CACertificates returns the file of this machine's certificate authorities,
// which differs between distributions.
func CACertificates() (string, error) {
	for _, file := range []string{
		"/etc/ssl/certs/ca-certificates.crt", // Debian, Arch, Alpine
		"/etc/pki/tls/certs/ca-bundle.crt",   // Fedora
		"/etc/ssl/ca-bundle.pem",             // SUSE
	} {
		if _, err := os.Stat(file); err == nil {
			return file, nil
		}
	}
	return "", errors.New("no bundle of certificate authorities; install ca-certificates")
}
