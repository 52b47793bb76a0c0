// Package file feeds objects from manifests on disk, and keeps feeding them as
// the files change. A bad edit costs nothing that worked: an object whose
// document does not parse or validate stays as it last did, and a document that
// does not even say which object it is keeps everything its file had.
package file

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/egctl/egctl/pkg/controller"
	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/manifest"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/validate"
)

// Options say what to read and what to make of it.
type Options struct {
	// Paths are files and folders.
	Paths     []string
	Recursive bool
	// Namespace is that of objects that name none.
	Namespace string
	// Validator refuses objects that an API server would refuse.
	Validator *validate.Validator
	// Complete adds what the files leave out, such as a Gateway that routes name.
	// It returns the objects to add and says in words what it added.
	Complete func([]store.Object) (added []store.Object, notes []string)
	// Loaded is told of everything that was read, after each change of a file.
	Loaded func(Load)
	Logger *slog.Logger
}

// Load is what the files say at one moment.
type Load struct {
	// Set knows where the fields of objects stand. It is put together when first
	// asked for: an edit of one file among thousands should not have to.
	Set func() *manifest.Set
	// Findings are those of reading and validating.
	Findings []finding.Finding
	// Notes are those of Complete.
	Notes []string
}

// Source is a controller.Source.
type Source struct {
	o     Options
	files map[string]*content
	// served are the objects in force, by key, with the file they are from.
	served map[store.Key]entry
}

var _ controller.Source = (*Source)(nil)

// content is a file as last read.
type content struct {
	docs     []*manifest.Document
	verdicts map[*manifest.Document]verdict
}

// verdict is what reading and validating a document had to say. The object of a
// bad one is not put in force.
type verdict struct {
	bad      bool
	findings []finding.Finding
}

type entry struct {
	// object is in force: what was read, or a copy of that with its generation.
	object store.Object
	read   store.Object
	file   string // empty for completions
}

// New returns a source that has read nothing yet.
func New(o Options) *Source {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Namespace == "" {
		o.Namespace = "default"
	}
	return &Source{o: o, files: map[string]*content{}, served: map[store.Key]entry{}}
}

// Run reads everything, and then whatever changes, until ctx ends.
func (s *Source) Run(ctx context.Context, emit func([]store.Change)) error {
	w, err := newWatch(s.o.Paths, s.o.Recursive)
	if err != nil {
		return err
	}
	defer w.close()
	names, err := w.list()
	if err != nil {
		return err
	}
	pending := sightings{}
	pending.add(names)
	s.take(s.read(pending, true))
	emit(s.reconcile())
	for {
		changed, err := w.next(ctx, len(pending) > 0)
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		pending.add(changed)
		ready := s.read(pending, false)
		if len(ready) == 0 {
			continue
		}
		s.take(ready)
		if changes := s.reconcile(); len(changes) > 0 {
			emit(changes)
		}
	}
}

// take makes what was read what the files say. One that is gone is forgotten.
func (s *Source) take(ready map[string]*content) {
	for name, c := range ready {
		if c == nil {
			delete(s.files, name)
		} else {
			s.files[name] = c
		}
	}
}

// judge validates the documents of a file. One whose text is as it was before
// has the verdict that it had, so that an edit of a big file costs what it edits.
func (s *Source) judge(docs []*manifest.Document, before *content) *content {
	c := &content{docs: docs, verdicts: make(map[*manifest.Document]verdict, len(docs))}
	old := map[store.Key]*manifest.Document{}
	if before != nil {
		for _, d := range before.docs {
			old[d.Key] = d
		}
	}
	for _, d := range docs {
		if o := old[d.Key]; o != nil && d.Key.Name != "" && bytes.Equal(o.Raw, d.Raw) {
			d.Object = o.Object
			c.verdicts[d] = before.verdicts[o]
			continue
		}
		found := d.Findings()
		if s.o.Validator != nil && d.Object != nil && finding.Worst(found) < finding.Error {
			found = append(found, s.o.Validator.Validate(d)...)
		}
		c.verdicts[d] = verdict{bad: refused(found), findings: found}
	}
	return c
}

// refused says whether findings keep an object out of force: what an API server
// would refuse, and fields that it does not know, which kubectl would. A
// misspelled field that is dropped is a bad edit like any other.
func refused(found []finding.Finding) bool {
	return slices.ContainsFunc(found, func(f finding.Finding) bool {
		return f.Severity >= finding.Error || f.Code == manifest.CodeUnknownField || f.Code == manifest.CodeDuplicateField
	})
}

// reconcile makes the served objects what the files say and returns the
// differences.
func (s *Source) reconcile() []store.Change {
	next := make(map[store.Key]entry, len(s.served))
	order := make([][]*manifest.Document, 0, len(s.files))
	var findings []finding.Finding
	repeated := false // some object is in two documents
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		c := s.files[name]
		order = append(order, c.docs)
		nameless := false
		for _, d := range c.docs {
			v := c.verdicts[d]
			findings = append(findings, v.findings...)
			switch {
			case v.bad && d.Key.Name == "":
				nameless = true
			case v.bad:
				if old, ok := s.served[d.Key]; ok {
					next[d.Key] = old
				}
			case d.Object != nil:
				_, again := next[d.Key]
				repeated = repeated || again
				next[d.Key] = entry{object: d.Object, read: d.Object, file: name}
			}
		}
		if nameless {
			for k, old := range s.served {
				if _, ok := next[k]; !ok && old.file == name {
					next[k] = old
				}
			}
		}
	}
	var notes []string
	if s.o.Complete != nil {
		var objects []store.Object
		for _, k := range slices.SortedFunc(maps.Keys(next), store.Key.Compare) {
			objects = append(objects, next[k].object)
		}
		var added []store.Object
		added, notes = s.o.Complete(objects)
		for _, o := range added {
			next[store.KeyOf(o)] = entry{object: o, read: o}
		}
	}
	changes := s.differences(next)
	s.served = next
	if s.o.Loaded != nil {
		set := sync.OnceValue(func() *manifest.Set { return manifest.NewSet(order...) })
		if repeated {
			findings = append(findings, set().Findings()...)
		}
		s.o.Loaded(Load{Set: set, Findings: findings, Notes: notes})
	}
	return changes
}

// differences also gives each changed object the generation after the one that
// it replaces, as an API server would.
func (s *Source) differences(next map[store.Key]entry) []store.Change {
	var changes []store.Change
	for k, e := range next {
		old, ok := s.served[k]
		switch {
		case !ok:
			changes = append(changes, store.Change{Key: k, Object: e.object})
		case old.object == e.object:
		case old.read == e.read:
			next[k] = old
		default:
			generation := old.object.GetGeneration()
			e.object = e.read.DeepCopyObject().(store.Object) // readers may have what was read
			e.object.SetGeneration(generation)
			if equality.Semantic.DeepEqual(old.object, e.object) {
				e.object = old.object
			} else {
				e.object.SetGeneration(generation + 1)
				changes = append(changes, store.Change{Key: k, Object: e.object})
			}
			next[k] = e
		}
	}
	for k := range s.served {
		if _, ok := next[k]; !ok {
			changes = append(changes, store.Delete(k))
		}
	}
	return changes
}

// String names the source in errors.
func (s *Source) String() string { return fmt.Sprintf("files %v", s.o.Paths) }
