package xds

import (
	"cmp"
	"slices"
	"strings"

	encoded "github.com/egctl/egctl/pkg/translate/xds"
)

// kind indexes the types in the order in which they are made.
type kind int

const (
	clusters kind = iota
	assignments
	secrets
	listeners
	routes
	kinds
)

func (k kind) url() encoded.Type {
	return [kinds]encoded.Type{
		encoded.ClusterType, encoded.EndpointType, encoded.SecretType,
		encoded.ListenerType, encoded.RouteType,
	}[k]
}

func kindOf(url string) (kind, bool) {
	for k := range kinds {
		if string(k.url()) == url {
			return k, true
		}
	}
	return 0, false
}

// names lists, for each kind, resources that were added, changed or removed.
type names [kinds][]string

func (n *names) empty() bool {
	for _, l := range n {
		if len(l) > 0 {
			return false
		}
	}
	return true
}

// diff lists what differs between two snapshots, either of which may be nil.
// Assignments are those that came or went; their content is no part of a
// snapshot.
func diff(before, after *encoded.Snapshot) *names {
	d := &names{}
	for k := range kinds {
		if k == assignments {
			continue
		}
		mergeWalk(before.Of(k.url()), after.Of(k.url()), resourceName, func(a, b *encoded.Resource) {
			if !encoded.Equal(a, b) {
				d[k] = append(d[k], resourceName(cmp.Or(a, b)))
			}
		})
	}
	mergeWalk(assignmentsOf(before), assignmentsOf(after), func(s string) string { return s }, func(a, b string) {
		if a != b {
			d[assignments] = append(d[assignments], cmp.Or(a, b))
		}
	})
	return d
}

// mergeWalk calls visit for each name in either of two sorted lists, with the
// zero value for the side that lacks it. Lists that share their memory are
// equal and are not walked.
func mergeWalk[E any](before, after []E, name func(E) string, visit func(a, b E)) {
	if len(before) == len(after) && (len(before) == 0 || &before[0] == &after[0]) {
		return
	}
	var none E
	for len(before) > 0 || len(after) > 0 {
		switch order := compareHeads(before, after, name); {
		case order < 0:
			visit(before[0], none)
			before = before[1:]
		case order > 0:
			visit(none, after[0])
			after = after[1:]
		default:
			visit(before[0], after[0])
			before, after = before[1:], after[1:]
		}
	}
}

func compareHeads[E any](before, after []E, name func(E) string) int {
	switch {
	case len(before) == 0:
		return 1
	case len(after) == 0:
		return -1
	default:
		return strings.Compare(name(before[0]), name(after[0]))
	}
}

func resourceName(r *encoded.Resource) string { return r.Name }

func assignmentsOf(s *encoded.Snapshot) []string {
	if s == nil {
		return nil
	}
	return s.Assignments
}

// find returns the resource of that name in a sorted list, or nil.
func find(list []*encoded.Resource, name string) *encoded.Resource {
	i, ok := slices.BinarySearchFunc(list, name, func(r *encoded.Resource, n string) int {
		return strings.Compare(r.Name, n)
	})
	if !ok {
		return nil
	}
	return list[i]
}
