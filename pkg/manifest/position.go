package manifest

import (
	"errors"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/egctl/egctl/pkg/finding"
)

// Position is a place in a file. Line and Column are 1-based; Column counts
// characters.
type Position struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// Position returns where a field stands: its key, or the item of a list. When
// there is no such field it returns its nearest parent that exists, and false.
func (d *Document) Position(path string) (Position, bool) {
	pos := Position{File: d.File, Line: d.Line, Column: 1}
	n, err := d.node()
	if err != nil {
		if s := (*SyntaxError)(nil); errors.As(err, &s) {
			pos.Line = s.Line
		}
		return pos, path == ""
	}
	at, exact := find(n, path)
	if at == n && len(d.items) == 0 && !d.src.json {
		return pos, exact
	}
	pos.Line, pos.Column = at.Line+d.src.line-1, at.Column
	if at.Line == 1 {
		pos.Column += d.src.column
	}
	return pos, exact
}

// find follows path from n as far as it goes.
func find(n *yaml.Node, path string) (at *yaml.Node, exact bool) {
	at = n
	for path != "" {
		for n != nil && n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		if n == nil {
			return at, false
		}
		var k *yaml.Node
		switch n.Kind {
		case yaml.MappingNode:
			k, n, path = findKey(n, path)
		case yaml.SequenceNode:
			k, n, path = findItem(n, path)
		}
		if k == nil {
			return at, false
		}
		at = k
	}
	return at, true
}

// findKey takes one key off the path. A key may itself have dots in it
// ("data.tls.crt"), so the shortest that exists is tried first.
func findKey(n *yaml.Node, path string) (k, v *yaml.Node, rest string) {
	path = strings.TrimPrefix(path, ".")
	if inner, ok := strings.CutPrefix(path, "["); ok {
		name, rest, ok := strings.Cut(inner, "]")
		if !ok {
			return nil, nil, path
		}
		k, v = lookup(n, strings.Trim(name, `"'`))
		return k, v, rest
	}
	for end := 1; end <= len(path); end++ {
		if end < len(path) && path[end] != '.' && path[end] != '[' {
			continue
		}
		if k, v := lookup(n, path[:end]); k != nil {
			return k, v, path[end:]
		}
	}
	return nil, nil, path
}

func findItem(n *yaml.Node, path string) (k, v *yaml.Node, rest string) {
	inner, ok := strings.CutPrefix(path, "[")
	index, rest, closed := strings.Cut(inner, "]")
	i, err := strconv.Atoi(index)
	if !ok || !closed || err != nil || i < 0 || i >= len(n.Content) {
		return nil, nil, path
	}
	return n.Content[i], n.Content[i], rest
}

// Position returns where the field of an object stands in the files. Without
// such a field it is the nearest parent that exists, or the first line of the
// object's document; it is false only for objects that are not in the set.
// Where two documents describe the object, the later one counts, unless only
// the earlier one has the field.
func (s *Set) Position(o finding.Object, path string) (Position, bool) {
	docs := s.byID[o]
	for i := len(docs) - 1; i >= 0; i-- {
		if pos, exact := docs[i].Position(path); exact {
			return pos, true
		}
	}
	if len(docs) == 0 {
		return Position{}, false
	}
	pos, _ := docs[len(docs)-1].Position(path)
	return pos, true
}
