package image

import (
	"debug/elf"
	"fmt"
	"io/fs"
)

// Egctl is the image of the static program egctl: the controller's, which is also
// the proxies' shutdown manager and the quickstart's backend. It is for the
// architecture that the program was built for, and needs nothing writable.
func Egctl(program string, refs ...string) (Spec, error) {
	architecture, err := staticFor(program)
	if err != nil {
		return Spec{}, err
	}
	authorities, err := CACertificates()
	if err != nil {
		return Spec{}, err
	}
	return Spec{
		Refs:         refs,
		Architecture: architecture,
		Files: map[string]File{
			"/usr/local/bin/egctl": {From: program, Mode: 0o755},
			// What Envoy Gateway's program is called; manifests and scripts name it.
			"/usr/local/bin/envoy-gateway":       {Link: "egctl"},
			"/etc/ssl/certs/ca-certificates.crt": {From: authorities, Mode: 0o644},
			"/etc/passwd":                        {Data: []byte("nonroot:x:65532:65532:nonroot:/:/sbin/nologin\n")},
			"/tmp":                               {Mode: fs.ModeDir | fs.ModeSticky | 0o777},
		},
		Entrypoint: []string{"/usr/local/bin/egctl"},
		User:       NonRoot,
		Labels: map[string]string{
			"org.opencontainers.image.title":    "egctl",
			"org.opencontainers.image.source":   "https://github.com/egctl/egctl",
			"org.opencontainers.image.licenses": "Apache-2.0",
		},
	}, nil
}

// staticFor returns the architecture that a program is for, if it can run where
// there is no other file.
func staticFor(program string) (string, error) {
	interpreter, _, err := dynamic(program)
	if err != nil {
		return "", err
	}
	if interpreter != "" {
		return "", fmt.Errorf("%s needs %s: build it with CGO_ENABLED=0", program, interpreter)
	}
	f, err := elf.Open(program)
	if err != nil {
		return "", fmt.Errorf("%s: %w", program, err)
	}
	defer func() { _ = f.Close() }()
	switch f.Machine {
	case elf.EM_X86_64:
		return "amd64", nil
	case elf.EM_AARCH64:
		return "arm64", nil
	default:
		return "", fmt.Errorf("%s is for %s, which no image is made for", program, f.Machine)
	}
}
