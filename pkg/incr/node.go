package incr

// state says how much of a node's remembered value can be trusted.
type state uint8

const (
	clean  state = iota
	check        // something it read may have changed
	dirty        // an input it read has changed, or it never ran
	failed       // its function panicked; what it read until then is recorded
)

// node is a vertex of the dependency graph: an input cell or one memoised call.
type node struct {
	state state
	// changed is the revision at which the value last became different;
	// verified is the one at which it was last known to be right.
	changed, verified uint64
	// deps are what the last run read, in order of first read.
	deps []edge
	// readers are the nodes whose last run read this one.
	readers []backref
	// marked are those of deps that are not clean, while state is check.
	marked []*node
	// readBy is the run that last recorded a read of this node: it keeps a
	// function that reads a thing many times from recording it many times.
	readBy uint64
	// running guards against circles.
	running bool
	// listed says that the node waits in DB.unread.
	listed bool
	impl   impl
}

// edge and backref are two ends of one recorded read. Each holds the index of
// the other, so that a read is forgotten in constant time.
type edge struct {
	to *node
	at int32 // index in to.readers
}

type backref struct {
	from *node
	at   int32 // index in from.deps
}

// impl is the typed half of a node.
type impl interface {
	// run computes the value anew and says whether it differs.
	run(db *DB, n *node) (changed bool)
	// forget drops the value from its table.
	forget(db *DB)
	// watched says whether a tracker holds the node.
	watched() bool
	// notify tells the tracker that the node is no longer clean.
	notify()
	// label names the node for people.
	label() string
}

func connect(from, to *node) edge {
	to.readers = append(to.readers, backref{from, int32(len(from.deps))})
	return edge{to, int32(len(to.readers) - 1)}
}

// disconnect removes e from its target's readers.
func (db *DB) disconnect(e edge) {
	to := e.to
	last := len(to.readers) - 1
	moved := to.readers[last]
	to.readers[e.at] = moved
	to.readers[last] = backref{}
	to.readers = to.readers[:last]
	if int(e.at) != last {
		moved.from.deps[moved.at].at = e.at
	}
	if last == 0 {
		db.listUnread(to)
	}
}

// mark lowers n to at least s and spreads "check" to its readers.
func (n *node) mark(s state) {
	was := n.state
	if was == check || was == dirty {
		n.state = max(was, s)
		return // readers and watchers know already
	}
	if n.state = s; was == failed {
		n.state = dirty // there is no value that could still hold
	}
	n.impl.notify()
	for _, r := range n.readers {
		if r.from.state != dirty {
			r.from.marked = append(r.from.marked, n)
		}
		r.from.mark(check)
	}
}
