// Package store holds the Kubernetes objects that a gateway is made from:
// typed, indexed, in memory. Reads made by the translator go through a [View],
// which records them, so that a later change recomputes what read it and
// nothing else.
package store

import (
	"cmp"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/egctl/egctl/pkg/finding"
)

// Kind is a group and a kind. Versions of a kind are the same object to the
// store: sources convert to the version named in [Kinds].
type Kind struct{ Group, Kind string }

// String is kind.group, as kubectl prints it.
func (k Kind) String() string {
	if k.Group == "" {
		return k.Kind
	}
	return k.Kind + "." + k.Group
}

// ID says which object is meant. Namespace is empty for cluster-scoped kinds.
type ID struct {
	Kind
	Namespace, Name string
}

// Key is an interned [ID]: equal IDs have the same Key, so that keys are as
// cheap to keep, compare and look up as a pointer. The translator remembers each
// of them many times. Its fields are those of the ID and must not be set; those
// of the zero Key must not be read.
type Key struct{ *ID }

// Key returns the key of an ID.
func (id ID) Key() Key { return interned.key(id) }

// Object returns the key in the vocabulary of findings.
func (k Key) Object() finding.Object {
	if k.ID == nil {
		return finding.Object{}
	}
	return finding.Object{Group: k.Group, Kind: k.Kind.Kind, Namespace: k.Namespace, Name: k.Name}
}

// String is "HTTPRoute default/web".
func (k Key) String() string { return k.Object().String() }

// Compare orders keys by kind, namespace and name; the zero Key comes first.
func (k Key) Compare(o Key) int {
	switch {
	case k == o:
		return 0
	case k.ID == nil:
		return -1
	case o.ID == nil:
		return 1
	}
	return cmp.Or(
		cmp.Compare(k.Group, o.Group), cmp.Compare(k.Kind.Kind, o.Kind.Kind),
		cmp.Compare(k.Namespace, o.Namespace), cmp.Compare(k.Name, o.Name),
	)
}

// Object is what the store holds: any typed Kubernetes object. Objects are
// immutable once stored; an edit is a new object under the same key.
type Object interface {
	metav1.Object
	runtime.Object
}
