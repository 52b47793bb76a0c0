package manifest

import (
	"errors"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// errTooBig stops documents whose aliases multiply without end.
var errTooBig = errors.New("aliases expand to too many values")

// walker follows aliases and counts what they unfold to, so that a few lines
// of nested anchors cannot fill the memory.
type walker struct{ left int }

// newWalker allows as many values as a document of this size could need, and
// a few repetitions by alias.
func newWalker(size int) *walker { return &walker{left: 100_000 + 4*size} }

func (w *walker) enter(n *yaml.Node, depth int) (*yaml.Node, error) {
	w.left--
	if w.left < 0 || depth > maxDepth {
		return nil, errTooBig
	}
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	return n, nil
}

// pairs calls f for each key and value of a mapping, those that come in by
// merge keys ("<<") first, so that later and hence explicit ones win.
func (w *walker) pairs(n *yaml.Node, depth int, f func(k, v *yaml.Node, merged bool) error) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if !isMerge(n.Content[i]) {
			continue
		}
		from, err := w.enter(n.Content[i+1], depth+1)
		if err != nil {
			return err
		}
		sources := []*yaml.Node{from}
		if from.Kind == yaml.SequenceNode {
			sources = from.Content
		}
		for j := len(sources) - 1; j >= 0; j-- { // the first of several wins
			m, err := w.enter(sources[j], depth+1)
			if err != nil {
				return err
			}
			if m.Kind != yaml.MappingNode {
				continue
			}
			merged := func(k, v *yaml.Node, _ bool) error { return f(k, v, true) }
			if err := w.pairs(m, depth+1, merged); err != nil {
				return err
			}
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if isMerge(n.Content[i]) {
			continue
		}
		if err := f(n.Content[i], n.Content[i+1], false); err != nil {
			return err
		}
	}
	return nil
}

func isMerge(k *yaml.Node) bool {
	return k.Kind == yaml.ScalarNode && k.Value == "<<" && (k.Tag == "" || k.Tag == "!" || k.ShortTag() == "!!merge")
}

// value converts a tree to the values that an API server would see: maps with
// string keys, []any, string, bool, int64, float64 and nil.
func (w *walker) value(n *yaml.Node, depth int) (any, error) {
	n, err := w.enter(n, depth)
	if err != nil {
		return nil, err
	}
	switch n.Kind {
	case yaml.DocumentNode:
		if len(n.Content) == 0 {
			return nil, nil
		}
		return w.value(n.Content[0], depth+1)
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		err := w.pairs(n, depth, func(k, v *yaml.Node, _ bool) error {
			name, ok := key(k)
			if !ok {
				return nil // reported by the decoder
			}
			x, err := w.value(v, depth+1)
			m[name] = x
			return err
		})
		return m, err
	case yaml.SequenceNode:
		s := make([]any, len(n.Content))
		for i, c := range n.Content {
			if s[i], err = w.value(c, depth+1); err != nil {
				return nil, err
			}
		}
		return s, nil
	case yaml.ScalarNode:
		return scalar(n), nil
	default:
		return nil, nil
	}
}

// path is a place in an object, kept as a chain so that the many fields that
// nothing is said about cost nothing.
type path struct {
	parent *path
	name   string
	index  int
}

func (p *path) field(name string) path { return path{parent: p, name: name, index: -1} }
func (p *path) item(i int) path        { return path{parent: p, index: i} }

// String is the Kubernetes notation: spec.rules[0].matches, metadata.labels[app].
func (p *path) String() string { return string(p.append(nil)) }

func (p *path) append(b []byte) []byte {
	if p == nil {
		return b
	}
	b = p.parent.append(b)
	switch {
	case p.index >= 0:
		b = append(b, '[')
		b = strconv.AppendInt(b, int64(p.index), 10)
		return append(b, ']')
	case p.name == "":
		return b
	case !isName(p.name):
		b = append(b, '[')
		b = append(b, p.name...)
		return append(b, ']')
	}
	if len(b) > 0 {
		b = append(b, '.')
	}
	return append(b, p.name...)
}

// isName says whether s can stand after a dot; keys of labels and annotations
// with dots and slashes are written in brackets.
func isName(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-', c == '$':
		default:
			return false
		}
	}
	return s != ""
}
