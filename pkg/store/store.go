package store

import (
	"reflect"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/egctl/egctl/pkg/incr"
)

// Store holds objects and their indexes, and tells an [incr.DB] what changed.
// It belongs to the goroutine that owns the DB.
type Store struct {
	db      *incr.DB
	slots   map[Key]*slot
	indexes []anyIndex
	byKind  map[Kind][]indexState
	states  map[anyIndex]indexState
}

// slot is a place for one object. It exists without an object while a function
// remembers that it looked and found nothing.
type slot struct {
	store  *Store
	key    Key
	object Object
	cell   incr.Cell
}

// CellName implements incr.CellOwner.
func (sl *slot) CellName() string { return sl.key.String() }

// CellUnread implements incr.CellOwner.
func (sl *slot) CellUnread() {
	if sl.object == nil && sl.store.slots[sl.key] == sl {
		delete(sl.store.slots, sl.key)
	}
}

// New makes an empty store that feeds db. Every index that will be read must be
// named here.
func New(db *incr.DB, indexes ...anyIndex) *Store {
	s := &Store{db: db, slots: map[Key]*slot{}, byKind: map[Kind][]indexState{}, states: map[anyIndex]indexState{}}
	for _, ix := range append([]anyIndex{ByKind, ByNamespace}, indexes...) {
		state := ix.newState()
		s.states[ix] = state
		s.indexes = append(s.indexes, ix)
	}
	db.Bind(s)
	return s
}

// Change puts an object, or deletes the one under Key when Object is nil.
type Change struct {
	Key    Key
	Object Object
}

// Put returns the change that stores o under its own key.
func Put(o Object) Change { return Change{Key: KeyOf(o), Object: o} }

// Delete returns the change that removes the object under k.
func Delete(k Key) Change { return Change{Key: k} }

// Apply makes all changes at once: no function sees some of them only. It
// returns the kind of each that changed anything but status and bookkeeping.
func (s *Store) Apply(changes ...Change) []Kind {
	var touched []*incr.Cell
	var changed []Kind
	for _, ch := range changes {
		sl := s.slots[ch.Key]
		if sl == nil {
			if ch.Object == nil {
				continue
			}
			sl = s.newSlot(ch.Key)
		}
		old := sl.object
		sl.object = ch.Object
		if old == nil && ch.Object == nil || old != nil && ch.Object != nil && sameInput(old, ch.Object) {
			continue
		}
		changed = append(changed, ch.Key.Kind)
		touched = append(touched, &sl.cell)
		for _, ix := range s.indexesOf(ch.Key.Kind) {
			touched = ix.update(ch.Key, old, ch.Object, touched)
		}
		if ch.Object == nil {
			delete(s.slots, ch.Key)
			if sl.cell.HasReaders() { // the miss is worth remembering
				s.slots[ch.Key] = sl
			}
		}
	}
	if len(touched) > 0 {
		s.db.Touch(touched...)
	}
	return changed
}

func (s *Store) newSlot(k Key) *slot {
	sl := &slot{store: s, key: k}
	sl.cell.Owner = sl
	s.slots[k] = sl
	return sl
}

func (s *Store) indexesOf(k Kind) []indexState {
	states, ok := s.byKind[k]
	if !ok {
		for _, ix := range s.indexes {
			if ix.covers(k) {
				states = append(states, s.states[ix])
			}
		}
		s.byKind[k] = states
	}
	return states
}

// Peek returns the live object without recording the read; nil if there is none.
// It is for those who act on results, such as status writers.
func (s *Store) Peek(k Key) Object {
	if sl := s.slots[k]; sl != nil {
		return sl.object
	}
	return nil
}

// Get reads the object under k for the running function. T must be the Go type
// of the kind.
func Get[T Object](c *incr.Context, k Key) (T, bool) {
	s := c.World().(*Store)
	sl := s.slots[k]
	if sl == nil {
		sl = s.newSlot(k)
	}
	sl.cell.Read(c)
	o, ok := sl.object.(T)
	return o, ok
}

// sameInput says whether two versions of an object mean the same to the
// translator. The API server bumps metadata.generation with every change of a
// spec, so for objects that came from it nothing else needs to be compared.
func sameInput(a, b Object) bool {
	if a == b {
		return true
	}
	if a.GetUID() != b.GetUID() || !a.GetCreationTimestamp().Time.Equal(b.GetCreationTimestamp().Time) ||
		(a.GetDeletionTimestamp() == nil) != (b.GetDeletionTimestamp() == nil) ||
		!reflect.DeepEqual(a.GetLabels(), b.GetLabels()) || !reflect.DeepEqual(a.GetAnnotations(), b.GetAnnotations()) {
		return false
	}
	if a.GetUID() != "" && a.GetGeneration() != 0 {
		return a.GetGeneration() == b.GetGeneration()
	}
	if a.GetResourceVersion() != b.GetResourceVersion() {
		b = b.DeepCopyObject().(Object)
		b.SetResourceVersion(a.GetResourceVersion())
		b.SetManagedFields(a.GetManagedFields())
	}
	return equality.Semantic.DeepEqual(a, b)
}
