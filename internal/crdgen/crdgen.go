// Package crdgen derives, from the text of a CustomResourceDefinition, the two
// small forms of it that egctl reads at run time: its schemas without prose,
// and the list of its defaults. It runs when the definitions are synchronised
// and in the test that holds them equal to the module's; never in egctl.
package crdgen

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	extensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/egctl/egctl/pkg/crds"
)

// Definition is what is derived from one CustomResourceDefinition.
type Definition struct {
	crds.Definition
	Defaults map[string][]crds.Default
}

// Derive reads a CustomResourceDefinition. It returns nil for any other kind,
// such as the admission policy that is shipped beside them.
func Derive(text []byte) (*Definition, error) {
	var crd extensions.CustomResourceDefinition
	if err := yaml.Unmarshal(text, &crd); err != nil {
		return nil, fmt.Errorf("read definition: %w", err)
	}
	if crd.Kind != "CustomResourceDefinition" {
		return nil, nil
	}
	d := &Definition{
		Definition: crds.Definition{
			Group:      crd.Spec.Group,
			Kind:       crd.Spec.Names.Kind,
			Namespaced: crd.Spec.Scope == extensions.NamespaceScoped,
			Schemas:    map[string]json.RawMessage{},
		},
		Defaults: map[string][]crds.Default{},
	}
	for _, v := range crd.Spec.Versions {
		if !v.Served {
			continue
		}
		schema := v.Schema.OpenAPIV3Schema
		// The API server drops the status of an object that is created, so
		// nothing of it is ever checked or defaulted.
		delete(schema.Properties, "status")
		withoutProse(schema)
		b, err := json.Marshal(schema)
		if err != nil {
			return nil, fmt.Errorf("encode the schema of %s %s: %w", v.Name, d.Kind, err)
		}
		d.Schemas[v.Name] = b
		d.Defaults[v.Name] = defaults(nil, nil, schema)
	}
	return d, nil
}

// children calls f for each sub-schema of s that is part of the structure of
// values (not of a mere condition on them), with its step in a path.
func children(s *extensions.JSONSchemaProps, f func(step string, s *extensions.JSONSchemaProps)) {
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		f(name, &p)
		s.Properties[name] = p
	}
	if s.Items != nil && s.Items.Schema != nil {
		f(crds.EachItem, s.Items.Schema)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		f(crds.EachValue, s.AdditionalProperties.Schema)
	}
}

func withoutProse(s *extensions.JSONSchemaProps) {
	s.Description = ""
	children(s, func(_ string, c *extensions.JSONSchemaProps) { withoutProse(c) })
}

func defaults(to []crds.Default, path []string, s *extensions.JSONSchemaProps) []crds.Default {
	if s.Default != nil {
		to = append(to, crds.Default{Path: slices.Clone(path), Value: json.RawMessage(s.Default.Raw)})
	}
	children(s, func(step string, c *extensions.JSONSchemaProps) {
		to = defaults(to, append(path, step), c)
	})
	return to
}

// Compress is gzip without a time stamp, so that equal input gives equal output.
func Compress(b []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// EncodeDefaults writes the defaults of all definitions of a channel as one file.
func EncodeDefaults(all map[string][]crds.Default) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("{")
	for i, k := range slices.Sorted(maps.Keys(all)) {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, "\n%q: [", k)
		for j, d := range all[k] {
			if j > 0 {
				b.WriteString(",")
			}
			line, err := json.Marshal(d)
			if err != nil {
				return nil, fmt.Errorf("encode the defaults of %s: %w", k, err)
			}
			b.WriteString("\n  ")
			b.Write(line)
		}
		b.WriteString("]")
	}
	b.WriteString("\n}\n")
	return b.Bytes(), nil
}
