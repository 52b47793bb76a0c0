package incr

import (
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
)

// Query is a memoised pure function. Declare queries once, at package level;
// the memory is in the [DB], so that a query serves any number of them.
type Query[K comparable, V any] struct {
	id      int
	name    string
	fn      func(*Context, K) V
	equal   func(a, b V) bool
	recover func(key K, reason any) V
}

var queries atomic.Int64

// Option changes how a query treats its values.
type Option[K comparable, V any] func(*Query[K, V])

// Equal gives the equality that decides whether a new result is a change. It
// may say false for equal values (costs work), never true for different ones
// (loses a change).
func Equal[K comparable, V any](eq func(a, b V) bool) Option[K, V] {
	return func(q *Query[K, V]) { q.equal = eq }
}

// Recover makes a panic in the function, or in a function it calls that has no
// Recover of its own, this query's result instead of the program's end. It is
// for the borders between objects, where one must not take down the next.
func Recover[K comparable, V any](f func(key K, reason any) V) Option[K, V] {
	return func(q *Query[K, V]) { q.recover = f }
}

// NewQuery wraps fn. The name appears in statistics and dumps.
func NewQuery[K comparable, V any](name string, fn func(*Context, K) V, options ...Option[K, V]) *Query[K, V] {
	q := &Query[K, V]{id: int(queries.Add(1)), name: name, fn: fn}
	q.equal = func(a, b V) bool { return reflect.DeepEqual(a, b) }
	for _, o := range options {
		o(q)
	}
	return q
}

// memo is one remembered call.
type memo[K comparable, V any] struct {
	node
	q       *Query[K, V]
	key     K
	value   V
	ran     bool
	tracker interface{ marked(K) }
}

// Get returns the value for key, from memory if it holds, and records that the
// running function depends on it.
func (q *Query[K, V]) Get(c *Context, key K) V {
	m := q.memo(c.db, key)
	c.db.read(&m.node)
	c.db.settle(&m.node)
	return m.value
}

// Explain prints what the value for key was computed from.
func (q *Query[K, V]) Explain(db *DB, key K) string {
	m := q.memo(db, key)
	db.settle(&m.node)
	var b strings.Builder
	db.dump(&b, &m.node, 0, map[*node]bool{})
	return b.String()
}

func (q *Query[K, V]) memo(db *DB, key K) *memo[K, V] {
	table, ok := db.tables[q.id].(map[K]*memo[K, V])
	if !ok {
		table = map[K]*memo[K, V]{}
		db.tables[q.id] = table
	}
	m := table[key]
	if m == nil {
		m = &memo[K, V]{q: q, key: key}
		m.state = dirty
		m.impl = m
		table[key] = m
		db.stats.Nodes++
		db.listUnread(&m.node)
	}
	return m
}

func (m *memo[K, V]) run(db *DB, _ *node) bool {
	db.stats.Runs[m.q.name]++
	ran := m.ran
	m.ran = false // should the function panic, there is no value to compare the next one with
	v := m.call(db)
	m.ran = true
	if ran && m.q.equal(m.value, v) {
		return false // keep the old value: those above may compare by identity
	}
	m.value = v
	return true
}

func (m *memo[K, V]) call(db *DB) (v V) {
	if m.q.recover != nil {
		defer func() {
			if r := recover(); r != nil {
				v = m.q.recover(m.key, r)
			}
		}()
	}
	return m.q.fn(&Context{db}, m.key)
}

func (m *memo[K, V]) forget(db *DB) {
	delete(db.tables[m.q.id].(map[K]*memo[K, V]), m.key)
}

func (m *memo[K, V]) watched() bool { return m.tracker != nil }

func (m *memo[K, V]) notify() {
	if m.tracker != nil {
		m.tracker.marked(m.key)
	}
}

func (m *memo[K, V]) label() string { return fmt.Sprintf("%s(%v)", m.q.name, m.key) }
