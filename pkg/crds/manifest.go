package crds

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Annotations by which the Gateway API marks its definitions in a cluster.
const (
	BundleVersionAnnotation = "gateway.networking.k8s.io/bundle-version"
	ChannelAnnotation       = "gateway.networking.k8s.io/channel"
)

// Manifest is an object to install: a CustomResourceDefinition, or one of the
// two of the admission policy that guards them.
type Manifest struct {
	// APIVersion, Kind and Name are those of the object.
	APIVersion, Kind, Name string
	// BundleVersion and Channel are the release and the channel of the Gateway
	// API; empty for extension kinds.
	BundleVersion string
	Channel       Channel
	// JSON is the object.
	JSON json.RawMessage
}

// GatewayAPI returns what is to be installed for the Gateway API, in the order
// of installation: definitions first, so that what guards them lets them in.
func GatewayAPI(c Channel) ([]Manifest, error) {
	files, err := Names(c)
	if err != nil {
		return nil, err
	}
	var definitions, guards []Manifest
	for _, f := range files {
		list, err := manifests(string(c), f)
		if err != nil {
			return nil, err
		}
		for _, m := range list {
			if m.Kind == "CustomResourceDefinition" {
				definitions = append(definitions, m)
			} else {
				guards = append(guards, m)
			}
		}
	}
	return append(definitions, guards...), nil
}

// Extension returns what is to be installed for the extension kinds.
func Extension() ([]Manifest, error) {
	files, err := names(ExtensionDir)
	if err != nil {
		return nil, err
	}
	var out []Manifest
	for _, f := range files {
		list, err := manifests(ExtensionDir, f)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

// ExtensionNames lists the files of the extension kinds.
func ExtensionNames() ([]string, error) { return names(ExtensionDir) }

// ExtensionYAML returns one file of the extension kinds.
func ExtensionYAML(name string) ([]byte, error) { return readYAML(ExtensionDir, name) }

func manifests(dir, file string) ([]Manifest, error) {
	text, err := readYAML(dir, file)
	if err != nil {
		return nil, err
	}
	var out []Manifest
	for r := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text))); ; {
		doc, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		m, err := manifest(doc)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if m != nil {
			out = append(out, *m)
		}
	}
}

// manifest reads one document; nil for one without an object.
func manifest(doc []byte) (*Manifest, error) {
	b, err := yaml.YAMLToJSON(doc)
	if err != nil {
		return nil, err
	}
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name        string            `json:"name"`
			Annotations map[string]string `json:"annotations"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, err
	}
	if head.Kind == "" {
		return nil, nil
	}
	m := &Manifest{APIVersion: head.APIVersion, Kind: head.Kind, Name: head.Metadata.Name, JSON: b}
	m.BundleVersion, m.Channel = Bundle(head.Metadata.Annotations)
	return m, nil
}

// Bundle reads the release and channel of the Gateway API from the annotations
// of an object, empty where it has none.
func Bundle(annotations map[string]string) (version string, c Channel) {
	return annotations[BundleVersionAnnotation], Channel(annotations[ChannelAnnotation])
}
