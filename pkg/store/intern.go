package store

import (
	"runtime"
	"sync"
	"weak"
)

// interned holds every ID that some Key refers to. It does not keep them: what
// only it knows is collected.
var interned = internTable{ids: map[ID]weak.Pointer[ID]{}}

type internTable struct {
	mu  sync.RWMutex
	ids map[ID]weak.Pointer[ID]
}

func (t *internTable) key(id ID) Key {
	t.mu.RLock()
	p := t.ids[id].Value()
	t.mu.RUnlock()
	if p != nil {
		return Key{p}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.ids[id].Value(); p != nil {
		return Key{p}
	}
	p = new(ID)
	*p = id
	t.ids[id] = weak.Make(p)
	runtime.AddCleanup(p, t.forget, id)
	return Key{p}
}

// forget drops an ID that is no longer referred to, unless it is again.
func (t *internTable) forget(id ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ids[id].Value() == nil {
		delete(t.ids, id)
	}
}
