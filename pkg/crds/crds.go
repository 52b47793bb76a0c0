// Package crds carries the CustomResourceDefinitions that egctl installs,
// validates against, and takes default values from: those of the Gateway API,
// and those of the extension kinds in api/v1alpha1.
//
// The files of the Gateway API are those of the module sigs.k8s.io/gateway-api
// at the version in go.mod, under the Apache License 2.0 (see LICENSE beside
// them), compressed and otherwise unchanged. Next to each file lies what egctl
// reads when it runs: the schemas without their prose, which are a tenth of the
// size.
package crds

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
)

//go:generate go run github.com/egctl/egctl/hack/sync-crds -o .

//go:embed standard experimental extension
var files embed.FS

//go:embed defaults.json
var defaultsJSON []byte

// Version is the Gateway API release of the definitions.
const Version = "v1.7.0"

// Channel is a release channel of the Gateway API.
type Channel string

// The channels. Experimental holds every kind and field of Standard and more.
const (
	Standard     Channel = "standard"
	Experimental Channel = "experimental"
)

// ExtensionDir is the folder with the definitions of the extension kinds. They
// go with either channel.
const ExtensionDir = "extension"

const yamlSuffix = ".yaml.gz"

// Definition is the part of a CustomResourceDefinition that objects are checked by.
type Definition struct {
	Group      string `json:"group"`
	Kind       string `json:"kind"`
	Namespaced bool   `json:"namespaced"`
	// Schemas are the OpenAPI v3 schemas of the served versions without
	// descriptions and without status.
	Schemas map[string]json.RawMessage `json:"schemas"`
}

// Steps in the path of a [Default] that are not the name of a property.
const (
	EachItem  = "[]"
	EachValue = "{}"
)

// Default is a value that the API server fills in where a field is absent and
// the object around it is present.
type Default struct {
	Path  []string        `json:"path"`
	Value json.RawMessage `json:"value"`
}

// Names lists the files of a channel as the Gateway API names them, for example
// "gateway.networking.k8s.io_httproutes.yaml", in order.
func Names(c Channel) ([]string, error) {
	if c != Standard && c != Experimental {
		return nil, fmt.Errorf("the Gateway API has no channel %q, only %s and %s", c, Standard, Experimental)
	}
	return names(string(c))
}

func names(dir string) ([]string, error) {
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		return nil, fmt.Errorf("definitions: %w", err)
	}
	var names []string
	for _, e := range entries {
		if n, ok := strings.CutSuffix(e.Name(), yamlSuffix); ok {
			names = append(names, n+".yaml")
		}
	}
	return names, nil
}

// YAML returns one file of a channel, byte for byte as released.
func YAML(c Channel, name string) ([]byte, error) {
	return readYAML(string(c), name)
}

func readYAML(dir, name string) ([]byte, error) {
	return read(dir + "/" + strings.TrimSuffix(name, ".yaml") + yamlSuffix)
}

// Find returns the definition of a kind, or nil when neither the channel nor
// the extension has one.
func Find(c Channel, group, kind string) (*Definition, error) {
	b, err := read(string(c) + "/" + SchemaFile(group, kind))
	if errors.Is(err, fs.ErrNotExist) {
		b, err = read(ExtensionDir + "/" + SchemaFile(group, kind))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var d Definition
	if err := json.Unmarshal(b, &d); err != nil {
		return nil, fmt.Errorf("read the schemas of %s.%s: %w", kind, group, err)
	}
	return &d, nil
}

// SchemaFile is the name of the file that holds the [Definition] of a kind.
func SchemaFile(group, kind string) string { return group + "_" + kind + ".schema.json.gz" }

// Defaults returns the defaults of one version of a kind, parents before
// children, from the experimental channel: it has every default of the standard
// channel, and those of a field that is absent change nothing.
func Defaults(group, version, kind string) ([]Default, error) {
	m, err := allDefaults()
	if err != nil {
		return nil, fmt.Errorf("defaults of %s %s: %w", version, kind, err)
	}
	return m[DefaultsKey(group, version, kind)], nil
}

// DefaultsKey is the name under which defaults.json keeps a version of a kind.
func DefaultsKey(group, version, kind string) string { return group + "/" + version + "/" + kind }

var allDefaults = sync.OnceValues(func() (map[string][]Default, error) {
	m := map[string][]Default{}
	return m, json.Unmarshal(defaultsJSON, &m)
})

func read(name string) ([]byte, error) {
	b, err := files.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("definition: %w", err)
	}
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("decompress %s: %w", name, err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("decompress %s: %w", name, err)
	}
	return out, nil
}
