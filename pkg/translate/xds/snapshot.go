package xds

import "slices"

// Snapshot is everything that the proxies of one Gateway may read, apart from
// the load assignments themselves: those are shared by Gateways and change far
// more often, so that they travel on their own (see translate.Changes).
// A Snapshot is immutable; unchanged lists keep their identity from one
// snapshot to the next.
type Snapshot struct {
	// Each list is sorted by name and holds no name twice.
	Listeners, Routes, Clusters, Secrets []*Resource
	// Assignments names the load assignments that Clusters refer to, sorted.
	Assignments []string
}

// Of returns the list of one type; nil for EndpointType.
func (s *Snapshot) Of(t Type) []*Resource {
	if s == nil {
		return nil
	}
	switch t {
	case ListenerType:
		return s.Listeners
	case RouteType:
		return s.Routes
	case ClusterType:
		return s.Clusters
	case SecretType:
		return s.Secrets
	default:
		return nil
	}
}

// EqualSnapshots says whether two snapshots hold the same resources.
func EqualSnapshots(a, b *Snapshot) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil {
		return false
	}
	return EqualResources(a.Listeners, b.Listeners) && EqualResources(a.Routes, b.Routes) &&
		EqualResources(a.Clusters, b.Clusters) && EqualResources(a.Secrets, b.Secrets) &&
		slices.Equal(a.Assignments, b.Assignments)
}

// EqualResources compares two lists element by element.
func EqualResources(a, b []*Resource) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || slices.EqualFunc(a, b, Equal))
}
