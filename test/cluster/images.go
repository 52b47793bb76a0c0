package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"github.com/egctl/egctl/test/cluster/image"
)

// What pods of a cluster can run. Other images come by LoadImage.
const (
	PauseImage   = "registry.k8s.io/pause:3.10.1"
	CoreDNSImage = "registry.k8s.io/coredns/coredns:v1.14.6"
	EchoImage    = "registry.k8s.io/gateway-api/conformance/echo-basic:v0.1.0"
	EnvoyImage   = "docker.io/envoyproxy/envoy:distroless-v" + EnvoyVersion
)

// EnvoyVersion is that of the Envoy in EnvoyImage.
const EnvoyVersion = "1.40.0"

// echoNext is the name under which the conformance suite's UDP test asks for the
// same program.
const echoNext = "registry.k8s.io/gateway-api/conformance/echo-basic:v0.2.0"

// buildImages returns the tarballs of the images, which it makes where they are
// not in the cache.
func buildImages(ctx context.Context, o Options, p programs) ([]string, error) {
	// A static program as the only file: it is the image.
	static := []struct {
		part, program, user string
		refs                []string
	}{
		{"init", "init", image.NonRoot, []string{PauseImage}},
		// Port 53 is privileged.
		{"coredns", "coredns", "", []string{CoreDNSImage}},
		{"echo", "echo-basic", image.NonRoot, []string{EchoImage, echoNext}},
	}
	var tars []string
	for _, s := range static {
		tar, err := cachedImage(ctx, o, s.program, image.Spec{
			Refs:       s.refs,
			Files:      map[string]image.File{"/" + s.program: {From: p.program(s.part, s.program), Mode: 0o755}},
			Entrypoint: []string{"/" + s.program},
			User:       s.user,
		})
		if err != nil {
			return nil, err
		}
		tars = append(tars, tar)
	}
	envoy, err := envoyImage(ctx, o)
	if err != nil {
		return nil, err
	}
	if envoy != "" {
		tars = append(tars, envoy)
	}
	return tars, nil
}

// envoyImage makes the image that Envoy Gateway's users have: Envoy and next to
// nothing else. It returns no tarball if there is no Envoy, which is no error: a
// cluster is good for much without.
func envoyImage(ctx context.Context, o Options) (string, error) {
	if _, err := os.Stat(o.Envoy); err != nil {
		o.say("no image %s: %v (make envoy fetches it)", EnvoyImage, err)
		return "", nil
	}
	files, err := image.Program(o.Envoy, "/usr/local/bin/envoy")
	if err != nil {
		return "", err
	}
	authorities, err := image.CACertificates()
	if err != nil {
		return "", err
	}
	maps.Copy(files, map[string]image.File{
		"/etc/ssl/certs/ca-certificates.crt": {From: authorities, Mode: 0o644},
		"/etc/passwd":                        {Data: []byte("root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n")},
		"/etc/group":                         {Data: []byte("root:x:0:\nnonroot:x:65532:\n")},
		"/etc/nsswitch.conf":                 {Data: []byte("hosts: files dns\n")},
		"/tmp":                               {Mode: fs.ModeDir | fs.ModeSticky | 0o777},
	})
	return cachedImage(ctx, o, "envoy", image.Spec{
		Refs:       []string{EnvoyImage},
		Files:      files,
		Entrypoint: []string{"/usr/local/bin/envoy"},
		User:       image.NonRoot,
	})
}

// cachedImage returns the tarball of the image, which it makes if there is none of
// the same files. It takes a file that has the same size and date as before for
// the same: reading 100 MB for a digest at every start is not worth it.
func cachedImage(ctx context.Context, o Options, name string, s image.Spec) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %q\n", s.Refs, s.Entrypoint, s.User, s.Env)
	for _, at := range sortedKeys(s.Files) {
		f := s.Files[at]
		fmt.Fprintf(h, "%q %q %q %q %s\n", at, f.From, f.Data, f.Link, f.Mode)
		if f.From == "" {
			continue
		}
		info, err := os.Stat(f.From)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(h, info.Size(), info.ModTime().UnixNano())
	}
	dir := filepath.Join(o.CacheDir, "image-"+name+"-"+hex.EncodeToString(h.Sum(nil))[:12])
	tar := filepath.Join(dir, "image.tar")
	return tar, once(ctx, dir, func(dir string) error {
		return o.step("make image "+s.Refs[0], func() error { return image.Build(ctx, s, filepath.Join(dir, "image.tar")) })
	})
}
