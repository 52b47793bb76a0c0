package crdgen

import (
	"bytes"
	"fmt"
	"io"

	"sigs.k8s.io/controller-tools/pkg/crd"
	"sigs.k8s.io/controller-tools/pkg/genall"
	"sigs.k8s.io/controller-tools/pkg/loader"
)

// Extensions makes the CustomResourceDefinitions of the kinds in Go packages,
// by file name. The packages are named as on the command line of go build.
func Extensions(packages ...string) (map[string][]byte, error) {
	// The version of the generator says nothing to who installs the result.
	omit := true
	var generator genall.Generator = crd.Generator{OmitToolVersion: &omit}
	rt, err := genall.Generators{&generator}.ForRoots(packages...)
	if err != nil {
		return nil, fmt.Errorf("load %v: %w", packages, err)
	}
	files := memory{}
	var problems bytes.Buffer
	rt.OutputRules = genall.OutputRules{Default: files}
	rt.ErrorWriter = &problems
	if failed := rt.Run(); failed {
		return nil, fmt.Errorf("make definitions of %v: %s", packages, bytes.TrimSpace(problems.Bytes()))
	}
	out := make(map[string][]byte, len(files))
	for name, b := range files {
		out[name] = b.Bytes()
	}
	return out, nil
}

// memory keeps what a generator writes.
type memory map[string]*bytes.Buffer

func (m memory) Open(_ *loader.Package, path string) (io.WriteCloser, error) {
	m[path] = &bytes.Buffer{}
	return nopCloser{m[path]}, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
