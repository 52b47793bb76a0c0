package store

import (
	"fmt"
	"slices"

	"github.com/egctl/egctl/pkg/incr"
)

// Index finds objects by a value computed from them. A look-up by a running
// function depends on which keys are in the entry, not on what the objects say.
type Index[V comparable] struct {
	name   string
	kinds  []Kind // empty: every kind
	values func(Key, Object) []V
}

// NewIndex declares an index over some kinds. values must be pure and may
// return the same value more than once.
func NewIndex[V comparable](name string, values func(Key, Object) []V, kinds ...Kind) *Index[V] {
	return &Index[V]{name: name, kinds: kinds, values: values}
}

// KindNamespace is an entry of [ByNamespace].
type KindNamespace struct {
	Kind
	Namespace string
}

// The indexes that every store has.
var (
	// ByKind finds all objects of a kind.
	ByKind = NewIndex("by kind", func(k Key, _ Object) []Kind { return []Kind{k.Kind} })
	// ByNamespace finds all objects of a kind in a namespace.
	ByNamespace = NewIndex("by namespace", func(k Key, _ Object) []KindNamespace {
		return []KindNamespace{{k.Kind, k.Namespace}}
	})
)

// Lookup returns the keys in an entry, sorted. The slice is shared and must not
// be modified.
func (ix *Index[V]) Lookup(c *incr.Context, value V) []Key {
	st := c.World().(*Store).states[ix].(*indexOf[V])
	e := st.entry(value)
	e.cell.Read(c)
	return e.list()
}

type anyIndex interface {
	covers(Kind) bool
	newState() indexState
}

type indexState interface {
	// update moves key between entries and appends the cells of those changed.
	update(k Key, old, now Object, touched []*incr.Cell) []*incr.Cell
}

func (ix *Index[V]) covers(k Kind) bool {
	return len(ix.kinds) == 0 || slices.Contains(ix.kinds, k)
}

func (ix *Index[V]) newState() indexState {
	return &indexOf[V]{index: ix, entries: map[V]*entry[V]{}}
}

type indexOf[V comparable] struct {
	index   *Index[V]
	entries map[V]*entry[V]
}

// entry lists keys. The list is copied when it changes after it was handed out,
// and sorted when it is handed out after it changed.
type entry[V comparable] struct {
	in     *indexOf[V]
	value  V
	keys   []Key
	sorted bool
	shared bool
	cell   incr.Cell
}

// CellName implements incr.CellOwner.
func (e *entry[V]) CellName() string { return fmt.Sprintf("%s: %v", e.in.index.name, e.value) }

// CellUnread implements incr.CellOwner.
func (e *entry[V]) CellUnread() {
	if len(e.keys) == 0 && e.in.entries[e.value] == e {
		delete(e.in.entries, e.value)
	}
}

func (st *indexOf[V]) entry(v V) *entry[V] {
	e := st.entries[v]
	if e == nil {
		e = &entry[V]{in: st, value: v, sorted: true}
		e.cell.Owner = e
		st.entries[v] = e
	}
	return e
}

func (st *indexOf[V]) update(k Key, old, now Object, touched []*incr.Cell) []*incr.Cell {
	var was, is []V
	if old != nil {
		was = st.index.values(k, old)
	}
	if now != nil {
		is = st.index.values(k, now)
	}
	for i, v := range was {
		if !slices.Contains(is, v) && !slices.Contains(was[:i], v) {
			e := st.entry(v)
			e.remove(k)
			touched = append(touched, &e.cell)
			if len(e.keys) == 0 && !e.cell.HasReaders() {
				delete(st.entries, v)
			}
		}
	}
	for i, v := range is {
		if !slices.Contains(was, v) && !slices.Contains(is[:i], v) {
			e := st.entry(v)
			e.add(k)
			touched = append(touched, &e.cell)
		}
	}
	return touched
}

func (e *entry[V]) list() []Key {
	if !e.sorted {
		slices.SortFunc(e.keys, Key.Compare)
		e.sorted = true
	}
	e.shared = true
	return e.keys
}

func (e *entry[V]) own() {
	if e.shared {
		e.keys = slices.Clone(e.keys)
		e.shared = false
	}
}

func (e *entry[V]) add(k Key) {
	e.own()
	e.keys = append(e.keys, k)
	e.sorted = false
}

func (e *entry[V]) remove(k Key) {
	e.own()
	if i := slices.Index(e.keys, k); i >= 0 {
		e.keys = slices.Delete(e.keys, i, i+1)
	}
}
