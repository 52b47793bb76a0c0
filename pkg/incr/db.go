package incr

import (
	"fmt"
	"slices"
	"strings"
)

// DB remembers results. It must be used by one goroutine at a time.
type DB struct {
	revision uint64
	runs     uint64
	stack    []*frame
	tables   map[int]any
	unread   []*node
	stats    Stats
	free     []*frame
	world    any
}

// Stats counts work since the DB was made.
type Stats struct {
	// Runs counts function executions, by query name.
	Runs map[string]uint64
	// Nodes is the number of remembered results and inputs with readers.
	Nodes int
}

// New returns an empty DB.
func New() *DB {
	return &DB{revision: 1, tables: map[int]any{}, stats: Stats{Runs: map[string]uint64{}}}
}

// Bind gives the functions of this DB something to read from, usually a store.
// It is for the package that owns the cells; functions use that package's API.
func (db *DB) Bind(world any) { db.world = world }

// World returns what was given to [DB.Bind].
func (c *Context) World() any { return c.db.world }

// Context is handed to a function and records what it reads.
type Context struct{ db *DB }

// frame is one execution in progress.
type frame struct {
	node *node
	run  uint64
	// deps is the list being recorded. The first `same` entries are those of
	// the previous run, kept in place.
	same int
	more []*node
}

// Root returns a context outside any function, for one-off questions. What is
// read through it is not recorded.
func (db *DB) Root() *Context { return &Context{db} }

// Stats returns counters; the map is a copy.
func (db *DB) Stats() Stats {
	s := Stats{Runs: make(map[string]uint64, len(db.stats.Runs)), Nodes: db.stats.Nodes}
	for k, v := range db.stats.Runs {
		s.Runs[k] = v
	}
	return s
}

// read records that the running function reads n.
func (db *DB) read(n *node) {
	if len(db.stack) == 0 {
		return
	}
	f := db.stack[len(db.stack)-1]
	if n.readBy == f.run {
		return
	}
	n.readBy = f.run
	// Functions mostly read the same things in the same order each time; while
	// they do, the old edges serve and nothing is allocated.
	if len(f.more) == 0 && f.same < len(f.node.deps) && f.node.deps[f.same].to == n {
		f.same++
		return
	}
	f.more = append(f.more, n)
}

// settle makes n clean, running its function if it must.
func (db *DB) settle(n *node) {
	switch n.state {
	case clean:
		return
	case check:
		marked := n.marked
		n.marked = nil
		for _, d := range marked {
			if n.state == dirty {
				break
			}
			db.trySettle(d)
			if d.changed > n.verified {
				n.state = dirty
			}
		}
		if n.state == check {
			n.state = clean
			n.verified = db.revision
			return
		}
	}
	db.execute(n)
}

// trySettle settles a dependency ahead of its reader. If it panics it counts as
// changed: the reader runs and meets the panic where it can recover from it.
func (db *DB) trySettle(n *node) {
	if n.state == clean {
		return
	}
	defer func() { _ = recover() }()
	db.settle(n)
}

// execute runs the function of n and replaces the recorded reads.
func (db *DB) execute(n *node) {
	if n.running {
		panic("incr: functions call each other in a circle: " + db.circle(n))
	}
	db.runs++
	var f *frame
	if k := len(db.free); k > 0 {
		f, db.free = db.free[k-1], db.free[:k-1]
	} else {
		f = new(frame)
	}
	f.node, f.run, f.same, f.more = n, db.runs, 0, f.more[:0]
	n.running = true
	db.stack = append(db.stack, f)
	// What a pure function read decides what it does, a panic included. So the
	// reads of one that panicked are kept too: when they change, whoever
	// recovered from the panic asks again.
	outcome, changed := failed, true
	defer func() {
		db.stack = db.stack[:len(db.stack)-1]
		db.rewire(n, f)
		db.free = append(db.free, f)
		n.running, n.marked = false, nil
		n.state, n.verified = outcome, db.revision
		if changed {
			n.changed = db.revision
		}
	}()
	changed = n.impl.run(db, n)
	outcome = clean
}

// rewire makes the recorded reads of f the dependencies of n.
func (db *DB) rewire(n *node, f *frame) {
	for i := f.same; i < len(n.deps); i++ {
		db.disconnect(n.deps[i])
		n.deps[i] = edge{}
	}
	n.deps = n.deps[:f.same]
	if need := f.same + len(f.more); cap(n.deps) < need {
		n.deps = slices.Grow(n.deps, need-len(n.deps))
	}
	for _, d := range f.more {
		n.deps = append(n.deps, connect(n, d))
	}
	clear(f.more)
}

func (db *DB) circle(n *node) string {
	var names []string
	for _, f := range db.stack {
		if f.node == n || len(names) > 0 {
			names = append(names, f.node.impl.label())
		}
	}
	return strings.Join(append(names, n.impl.label()), " -> ")
}

func (db *DB) listUnread(n *node) {
	if !n.listed {
		n.listed = true
		db.unread = append(db.unread, n)
	}
}

// sweep forgets results that nobody reads any more. It runs after an update,
// not during one, so that a result that moves from one reader to another is
// kept.
func (db *DB) sweep() {
	for len(db.unread) > 0 {
		n := db.unread[len(db.unread)-1]
		db.unread = db.unread[:len(db.unread)-1]
		n.listed = false
		if len(n.readers) > 0 || n.impl.watched() {
			continue
		}
		for _, d := range n.deps {
			db.disconnect(d)
		}
		n.deps, n.marked = nil, nil
		n.impl.forget(db)
		db.stats.Nodes--
	}
}

// Dump writes the graph below a query's result for people who wonder why
// something was recomputed: one line a node, indented by depth.
func (db *DB) dump(b *strings.Builder, n *node, depth int, seen map[*node]bool) {
	fmt.Fprintf(b, "%s%s changed@%d verified@%d\n", strings.Repeat("  ", depth), n.impl.label(), n.changed, n.verified)
	if seen[n] {
		return
	}
	seen[n] = true
	for _, d := range n.deps {
		db.dump(b, d.to, depth+1, seen)
	}
}
