package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// jsonNode reads one JSON value into the same tree that YAML is read into, so
// that what follows knows a single form.
func jsonNode(raw []byte) (*yaml.Node, error) {
	r := jsonReader{d: json.NewDecoder(bytes.NewReader(raw)), raw: raw, line: 1}
	r.d.UseNumber()
	return r.value()
}

type jsonReader struct {
	d            *json.Decoder
	raw          []byte
	at           int // raw[:at] has been counted
	line, column int
}

// place returns the 1-based position of the token that comes next.
func (r *jsonReader) place() (line, column int) {
	to := int(r.d.InputOffset())
	for to < len(r.raw) && bytes.IndexByte([]byte(" \t\r\n,:"), r.raw[to]) >= 0 {
		to++
	}
	r.line, r.column = advance(r.raw[r.at:to], r.line, r.column)
	r.at = to
	return r.line, r.column + 1
}

func (r *jsonReader) value() (*yaml.Node, error) {
	line, column := r.place()
	t, err := r.d.Token()
	if err != nil {
		return nil, fmt.Errorf("json: %w", err)
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: line, Column: column}
	switch t := t.(type) {
	case nil:
		n.Tag, n.Value = "!!null", "null"
	case bool:
		n.Tag, n.Value = "!!bool", fmt.Sprint(t)
	case json.Number:
		n.Tag, n.Value = "!!float", t.String()
	case string:
		n.Tag, n.Value, n.Style = "!!str", t, yaml.DoubleQuotedStyle
	case json.Delim:
		n.Kind, n.Tag, n.Style = yaml.MappingNode, "!!map", yaml.FlowStyle
		if t == '[' {
			n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		}
		for r.d.More() {
			c, err := r.value() // in a mapping, keys come as values of their own
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, c)
		}
		if _, err := r.d.Token(); err != nil {
			return nil, fmt.Errorf("json: %w", err)
		}
	}
	return n, nil
}
