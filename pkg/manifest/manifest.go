// Package manifest reads Kubernetes manifests: YAML and JSON from files,
// folders, standard input and the web. It decodes them as strictly as kubectl
// does, fills in the defaults that an API server would, and remembers where
// every field stands, so that a finding can name file, line and column.
//
// Documents are independent of each other. Whatever is wrong with one is a
// finding about that one, and all others are read.
package manifest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/store"
)

// Options say what to read.
type Options struct {
	// Paths are files, folders, "-" for Stdin, or http(s) URLs.
	Paths []string
	// Recursive descends into the folders of folders. Of a folder, only files
	// named *.yaml, *.yml and *.json are read.
	Recursive bool
	Stdin     io.Reader
	// Client fetches URLs; nil is a client that gives up after 30 seconds.
	Client *http.Client
	// DefaultNamespace is that of namespaced objects that name none; empty means "default".
	DefaultNamespace string
}

// Read reads everything that o names. It returns an error when something named
// could not be read at all, such as a file that does not exist. Documents that
// can be read but not understood are findings of the set.
func Read(ctx context.Context, o Options) (*Set, error) {
	inputs, err := gather(ctx, o)
	if err != nil {
		return nil, err
	}
	namespace := o.DefaultNamespace
	if namespace == "" {
		namespace = "default"
	}
	return NewSet(parseAll(inputs, namespace, nil)), nil
}

// Set is a sequence of documents. Where two describe the same object the later one counts.
type Set struct {
	// Documents in the order in which they were given.
	Documents []*Document

	byID     map[finding.Object][]*Document
	findings []finding.Finding
}

// NewSet puts together the documents of one or more files, in order.
func NewSet(files ...[]*Document) *Set {
	s := &Set{Documents: slices.Concat(files...)}
	s.byID = make(map[finding.Object][]*Document, len(s.Documents))
	for _, d := range s.Documents {
		id := d.ID()
		earlier := s.byID[id]
		s.byID[id] = append(earlier, d)
		s.findings = append(s.findings, d.findings...)
		if _, held := store.Info(d.Key.Kind); held && len(earlier) > 0 {
			first := earlier[len(earlier)-1]
			s.findings = append(s.findings, finding.New(CodeDuplicateObject, id, "",
				fmt.Sprintf("is given at %s:%d and again at %s:%d; the later one counts", first.File, first.Line, d.File, d.Line),
				"remove one, or give it another name or namespace"))
		}
	}
	return s
}

// Objects returns the objects of the kinds that the store holds, in order.
func (s *Set) Objects() []store.Object {
	last := make(map[store.Key]*Document, len(s.Documents))
	for _, d := range s.Documents {
		if d.Object != nil {
			last[d.Key] = d
		}
	}
	objects := make([]store.Object, 0, len(last))
	for _, d := range s.Documents {
		if d.Object != nil && last[d.Key] == d {
			objects = append(objects, d.Object)
		}
	}
	return objects
}

// Findings returns what reading had to say, document by document.
func (s *Set) Findings() []finding.Finding { return slices.Clone(s.findings) }

// Skipped counts, by kind, the documents of kinds that egctl does not read.
func (s *Set) Skipped() map[store.Kind]int {
	n := map[store.Kind]int{}
	for _, d := range s.Documents {
		if _, held := store.Info(d.Key.Kind); d.Key.Kind.Kind != "" && !held {
			n[d.Key.Kind]++
		}
	}
	return n
}
