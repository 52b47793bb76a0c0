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

// Key is the identity of an object. Namespace is empty for cluster-scoped kinds.
type Key struct {
	Kind
	Namespace, Name string
}

// Object returns the key in the vocabulary of findings.
func (k Key) Object() finding.Object {
	return finding.Object{Group: k.Group, Kind: k.Kind.Kind, Namespace: k.Namespace, Name: k.Name}
}

// String is "HTTPRoute default/web".
func (k Key) String() string { return k.Object().String() }

// Compare orders keys by kind, namespace and name.
func (k Key) Compare(o Key) int {
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
