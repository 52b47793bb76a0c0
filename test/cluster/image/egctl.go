package image

import "io/fs"

// Egctl is the image of the static program egctl: the controller's, which is also
// the proxies' shutdown manager and the quickstart's backend.
func Egctl(program string, refs ...string) (Spec, error) {
	authorities, err := CACertificates()
	if err != nil {
		return Spec{}, err
	}
	return Spec{
		Refs: refs,
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
	}, nil
}
