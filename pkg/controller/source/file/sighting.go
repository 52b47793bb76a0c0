package file

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/egctl/egctl/pkg/manifest"
	"github.com/egctl/egctl/pkg/store"
)

// When a changed file is believed. Writers truncate a file and then fill it, and
// half of a file may be a valid and wrong one.
const (
	// settle is how long a file must stay as it is before objects that vanished
	// from it are believed to be gone; an empty one must stay for emptied.
	settle  = 50 * time.Millisecond
	emptied = 500 * time.Millisecond
	// patience is how long a file may be open for writing before it is read all
	// the same.
	patience = 5 * time.Second
)

// sighting is what was last seen of a file that changed and is not believed yet.
type sighting struct {
	changed time.Time // when it was first noticed
	text    []byte    // nil: the file is gone
	since   time.Time // when the text was first seen
}

// sightings are the files that changed, by name.
type sightings map[string]*sighting

func (s sightings) add(names []string) {
	for _, n := range names {
		if s[n] == nil {
			s[n] = &sighting{changed: time.Now()}
		}
	}
}

// read looks at the pending files, several at a time, and returns those that can
// be believed, parsed and validated: nil for one that is gone. The others stay
// pending. At the start nothing is in force that could be lost, and all are
// believed.
func (s *Source) read(pending sightings, start bool) map[string]*content {
	type result struct {
		name    string
		content *content
	}
	inForce := map[string][]store.Key{} // what each file brought
	for key, e := range s.served {
		inForce[e.file] = append(inForce[e.file], key)
	}
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	results := make(chan result, len(pending))
	for name, seen := range pending {
		group.Go(func() error {
			if c, ready := s.look(name, seen, inForce[name], start); ready {
				results <- result{name, c}
			}
			return nil
		})
	}
	_ = group.Wait() // none fails
	close(results)
	ready := map[string]*content{}
	for r := range results {
		ready[r.name] = r.content
		delete(pending, r.name)
	}
	return ready
}

// look reads a file, of which some objects may be in force, and says whether it can be
// believed.
func (s *Source) look(name string, seen *sighting, inForce []store.Key, start bool) (*content, bool) {
	before := s.files[name]
	text, whole, err := readWhole(name)
	if err != nil {
		s.o.Logger.Warn("file cannot be read; what it said stays in force", "file", name, "error", err)
		return before, true
	}
	if !whole && !start && time.Since(seen.changed) < patience {
		return nil, false
	}
	if seen.since.IsZero() || !bytes.Equal(text, seen.text) || (text == nil) != (seen.text == nil) {
		seen.text, seen.since = text, time.Now()
	}
	var docs []*manifest.Document
	if text != nil {
		var known []*manifest.Document
		if before != nil {
			known = before.docs
		}
		docs = manifest.Reparse(name, text, s.o.Namespace, known)
	}
	wait := settle
	if text != nil && len(text) == 0 {
		wait = emptied
	}
	if loses(inForce, docs) && time.Since(seen.since) < wait {
		return nil, false
	}
	if text == nil {
		return nil, true
	}
	return s.judge(docs, before), true
}

// loses says whether the documents lack an object that is in force, perhaps from before the
// file was broken.
func loses(inForce []store.Key, docs []*manifest.Document) bool {
	have := make(map[store.Key]bool, len(docs))
	for _, d := range docs {
		have[d.Key] = true
	}
	return slices.ContainsFunc(inForce, func(k store.Key) bool { return !have[k] })
}

// readWhole returns the text of a file, nil if there is none, and whether nobody
// wrote to it meanwhile.
func readWhole(name string) (text []byte, whole bool, err error) {
	was, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	whole = !beingWritten(name)
	text, err = os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	is, err := os.Stat(name)
	whole = whole && err == nil && os.SameFile(was, is) && was.Size() == is.Size() && was.ModTime().Equal(is.ModTime()) && !beingWritten(name)
	if text == nil {
		text = []byte{}
	}
	return text, whole, nil
}
