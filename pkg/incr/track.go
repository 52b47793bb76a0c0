package incr

// Tracker watches one query over a changing set of keys, which is itself the
// result of a query, and reports what became different.
type Tracker[K comparable, V any] struct {
	db     *DB
	keys   *memo[struct{}, []K]
	values *Query[K, V]
	// member holds the watched keys and the change each was last reported at.
	member map[K]uint64
	todo   []K
	stale  bool // the key set has to be looked at
}

// Change is one difference reported by [Tracker.Update].
type Change[K comparable, V any] struct {
	Key   K
	Value V
	// Gone means that the key left the set; Value is zero.
	Gone bool
}

// Track starts to watch. The first Update reports every key.
func Track[K comparable, V any](db *DB, keys *Query[struct{}, []K], values *Query[K, V]) *Tracker[K, V] {
	t := &Tracker[K, V]{db: db, values: values, member: map[K]uint64{}, stale: true}
	t.keys = keys.memo(db, struct{}{})
	if t.keys.tracker != nil {
		// Two trackers over one key set would need a list here; nobody has one.
		panic("incr: query " + keys.name + " is tracked twice")
	}
	t.keys.tracker = keySet[K, V]{t}
	return t
}

type keySet[K comparable, V any] struct{ t *Tracker[K, V] }

func (s keySet[K, V]) marked(struct{}) { s.t.stale = true }

func (t *Tracker[K, V]) marked(k K) { t.todo = append(t.todo, k) }

// Update settles everything that may have changed and returns what did, keys
// that left first. Equal inputs give equal changes, but their order is that of
// the marking and means nothing.
func (t *Tracker[K, V]) Update() []Change[K, V] {
	var changes []Change[K, V]
	if t.stale {
		t.stale = false
		before := t.keys.changed
		t.db.settle(&t.keys.node)
		if t.keys.changed != before {
			changes = t.resize(t.keys.value)
		}
	}
	todo := t.todo
	t.todo = nil
	for _, k := range todo {
		reported, ok := t.member[k]
		if !ok {
			continue
		}
		m := t.values.memo(t.db, k)
		t.db.settle(&m.node)
		if m.changed != reported {
			t.member[k] = m.changed
			changes = append(changes, Change[K, V]{Key: k, Value: m.value})
		}
	}
	t.db.sweep()
	return changes
}

// resize makes the watched set equal to keys.
func (t *Tracker[K, V]) resize(keys []K) []Change[K, V] {
	var gone []Change[K, V]
	now := make(map[K]struct{}, len(keys))
	for _, k := range keys {
		now[k] = struct{}{}
		if _, ok := t.member[k]; !ok {
			t.member[k] = 0
			m := t.values.memo(t.db, k)
			m.tracker = t
			t.todo = append(t.todo, k)
		}
	}
	for k := range t.member {
		if _, ok := now[k]; ok {
			continue
		}
		delete(t.member, k)
		m := t.values.memo(t.db, k)
		m.tracker = nil
		t.db.listUnread(&m.node)
		gone = append(gone, Change[K, V]{Key: k, Gone: true})
	}
	return gone
}
