package incr

// Cell is an input: something outside the functions that they can read. The
// owner keeps the value; the cell only carries the dependency. A Cell is ready
// for use once it has an Owner, and must not be copied.
type Cell struct {
	n      node
	Owner  CellOwner
	linked bool
}

// CellOwner keeps what a cell stands for.
type CellOwner interface {
	// CellName is for people, when a graph is printed.
	CellName() string
	// CellUnread is called when the last reader is gone, so that the owner can
	// drop a cell that only recorded a miss.
	CellUnread()
}

// Read records that the running function depends on the cell.
func (c *Cell) Read(ctx *Context) {
	if ctx == nil || len(ctx.db.stack) == 0 {
		return
	}
	if !c.linked {
		c.linked = true
		c.n.impl = (*cellImpl)(c)
		ctx.db.stats.Nodes++
	}
	ctx.db.read(&c.n)
}

// Touch tells the engine that the input changed. Functions that read it run
// again when they are next asked for.
func (db *DB) Touch(cells ...*Cell) {
	if len(db.stack) > 0 {
		panic("incr: an input was touched while a function ran")
	}
	db.revision++
	for _, c := range cells {
		c.n.changed = db.revision
		for _, r := range c.n.readers {
			r.from.mark(dirty)
		}
	}
}

type cellImpl Cell

func (c *cellImpl) run(*DB, *node) bool { return false }
func (c *cellImpl) watched() bool       { return false }
func (c *cellImpl) notify()             {}
func (c *cellImpl) forget(*DB) {
	c.linked = false
	c.Owner.CellUnread()
}

func (c *cellImpl) label() string { return c.Owner.CellName() }

// HasReaders says whether any remembered function read the cell.
func (c *Cell) HasReaders() bool { return len(c.n.readers) > 0 }
