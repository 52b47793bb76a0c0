package manifest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/store"
)

// Document is one document of a file, or one item of a List in it.
type Document struct {
	File string
	// Line is the 1-based line in File of the first text that is no comment.
	Line int
	// Raw is the document's text. Items of a List share the List's.
	Raw []byte
	// APIVersion is as written. It and Key are empty when unreadable.
	APIVersion string
	Key        store.Key
	// Object is the decoded object with defaults filled in; nil when its kind is
	// not one that the store holds, or when it cannot be decoded.
	Object store.Object

	findings []finding.Finding
	src      *source
	items    []int // the way from the root of Raw through lists to this item
}

// source is the text that one or, for a List, many documents come from.
type source struct {
	chunk
	// root is kept for a List only, which every item's fields are looked up in.
	root *yaml.Node
	err  error
}

// Version is the version in APIVersion without its group.
func (d *Document) Version() string {
	_, v, ok := strings.Cut(d.APIVersion, "/")
	if !ok {
		return d.APIVersion
	}
	return v
}

// Findings is what reading this document had to say.
func (d *Document) Findings() []finding.Finding { return slices.Clone(d.findings) }

// ID names the document in findings: its object, or when it does not say which
// object that is, its file and line.
func (d *Document) ID() finding.Object {
	if d.Key.Kind.Kind != "" && d.Key.Name != "" {
		return d.Key.Object()
	}
	return finding.Object{Kind: "Document", Name: d.File + ":" + strconv.Itoa(d.Line)}
}

// Value returns the document as an API server would be sent it: maps with
// string keys, []any, string, bool, int64, float64 and nil. It parses the text
// anew; the caller owns the result. It fails when the document is not a mapping.
func (d *Document) Value() (map[string]any, error) {
	n, err := d.node()
	if err != nil {
		return nil, err
	}
	v, err := newWalker(len(d.Raw)).value(n, 0)
	if err != nil {
		return nil, fmt.Errorf("%s:%d: %w", d.File, d.Line, err)
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s:%d: document is not a mapping", d.File, d.Line)
	}
	return m, nil
}

var errEmpty = errors.New("document is empty")

// node returns the tree of this document: parsed anew for a document of its
// own, kept for the items of a List.
func (d *Document) node() (*yaml.Node, error) {
	if d.src == nil {
		return nil, errEmpty
	}
	if d.src.err != nil {
		return nil, d.src.err
	}
	n := d.src.root
	if n == nil {
		var err error
		if n, err = d.src.parse(); err != nil {
			return nil, err
		}
	}
	for _, i := range d.items {
		items := child(n, "items")
		if items == nil || i >= len(items.Content) {
			return nil, errEmpty
		}
		n = items.Content[i]
	}
	if n == nil {
		return nil, errEmpty
	}
	return n, nil
}

// child returns the last value of a key of a mapping, or nil.
func child(n *yaml.Node, name string) *yaml.Node {
	_, v := lookup(n, name)
	return v
}

func lookup(n *yaml.Node, name string) (k, v *yaml.Node) {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n == nil || n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if s, ok := key(n.Content[i]); ok && s == name {
			k, v = n.Content[i], n.Content[i+1]
		}
	}
	for v != nil && v.Kind == yaml.AliasNode {
		v = v.Alias
	}
	return k, v
}

func text(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	s, _ := scalar(n).(string)
	return s
}
