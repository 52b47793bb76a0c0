package translate

import (
	"cmp"
	"slices"

	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/ir"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// snapshot is everything Envoy is told of a fleet. Its parts are queries of
// their own, so that the lists that did not change are not even walked.
var snapshot = incr.NewQuery("snapshot", func(c *incr.Context, fleet store.Key) *xds.Snapshot {
	return &xds.Snapshot{
		Listeners:   envoyListeners.Get(c, fleet),
		Routes:      routeTables.Get(c, fleet),
		Clusters:    clusterResources.Get(c, fleet),
		Secrets:     secretResources.Get(c, fleet),
		Assignments: assignmentNames.Get(c, fleet),
	}
}, incr.Equal[store.Key](xds.EqualSnapshots))

// resources sorts by name and leaves out what could not be made.
func resources(list []*xds.Resource) []*xds.Resource {
	list = slices.DeleteFunc(list, func(r *xds.Resource) bool { return r == nil })
	slices.SortFunc(list, func(a, b *xds.Resource) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// fleetTables lists the route tables of a fleet.
var fleetTables = incr.NewQuery("fleet tables", func(c *incr.Context, fleet store.Key) []tableKey {
	var keys []tableKey
	for _, l := range fleetListeners(c, fleet) {
		if !l.Served || !isHTTP(l.Protocol) {
			continue
		}
		t := tableKey{Fleet: fleet, Port: l.Port}
		if l.Protocol == ir.ListenerHTTPS {
			t.Listener = l.Key
		}
		if !slices.Contains(keys, t) {
			keys = append(keys, t)
		}
	}
	return keys
}, incr.Equal[store.Key](slices.Equal[[]tableKey]))

var routeTables = incr.NewQuery("route tables", func(c *incr.Context, fleet store.Key) []*xds.Resource {
	var list []*xds.Resource
	for _, t := range fleetTables.Get(c, fleet) {
		list = append(list, routeTable.Get(c, t))
	}
	return resources(list)
}, incr.Equal[store.Key](xds.EqualResources))

var clusterResources = incr.NewQuery("cluster resources", func(c *incr.Context, fleet store.Key) []*xds.Resource {
	keys := fleetClusters.Get(c, fleet)
	list := make([]*xds.Resource, 0, len(keys))
	for _, k := range keys {
		list = append(list, cluster.Get(c, k))
	}
	return resources(list)
}, incr.Equal[store.Key](xds.EqualResources))

var fleetAssignments = incr.NewQuery("fleet assignments", func(c *incr.Context, fleet store.Key) []ir.AssignmentKey {
	var keys []ir.AssignmentKey
	for _, k := range fleetClusters.Get(c, fleet) {
		keys = append(keys, k.Assignment())
	}
	return slices.Compact(keys) // the clusters of a backend are neighbours
}, incr.Equal[store.Key](slices.Equal[[]ir.AssignmentKey]))

var assignmentNames = incr.NewQuery("assignment names", func(c *incr.Context, fleet store.Key) []string {
	keys := fleetAssignments.Get(c, fleet)
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.Name()
	}
	slices.Sort(names)
	return names
}, incr.Equal[store.Key](slices.Equal[[]string]))

// allAssignments lists the load assignments that any fleet reads.
var allAssignments = incr.NewQuery("all assignments", func(c *incr.Context, _ struct{}) []ir.AssignmentKey {
	set := map[ir.AssignmentKey]struct{}{}
	for _, fleet := range fleets.Get(c, struct{}{}) {
		for _, k := range fleetAssignments.Get(c, fleet) {
			set[k] = struct{}{}
		}
	}
	keys := make([]ir.AssignmentKey, 0, len(set))
	for k := range set {
		keys = append(keys, k)
	}
	return keys
})

// secretKeyed names a secret by what it is made from.
type secretKeyed struct {
	kind secretKind
	key  store.Key
	port int32
}

type secretKind int

const (
	keyPair secretKind = iota
	policyCA
	frontendCA
)

var secretResources = incr.NewQuery("secret resources", func(c *incr.Context, fleet store.Key) []*xds.Resource {
	var list []*xds.Resource
	for _, s := range fleetSecrets.Get(c, fleet) {
		switch s.kind {
		case keyPair:
			list = append(list, certificateSecret.Get(c, s.key))
		case policyCA:
			list = append(list, policyTrust.Get(c, s.key))
		case frontendCA:
			list = append(list, frontendTrust.Get(c, frontendSecret{s.key, s.port}))
		}
	}
	return resources(list)
}, incr.Equal[store.Key](xds.EqualResources))

// fleetSecrets lists the secrets that a fleet's listeners and clusters read. No
// other proxies can ask for them.
var fleetSecrets = incr.NewQuery("fleet secrets", func(c *incr.Context, fleet store.Key) []secretKeyed {
	set := map[secretKeyed]struct{}{}
	for _, l := range fleetListeners(c, fleet) {
		if !l.Served {
			continue
		}
		for _, k := range l.Certificates {
			set[secretKeyed{kind: keyPair, key: k}] = struct{}{}
		}
		if l.Validation != nil {
			set[secretKeyed{kind: frontendCA, key: l.Gateway, port: l.Port}] = struct{}{}
		}
	}
	for _, k := range fleetClusters.Get(c, fleet) {
		for _, s := range clusterSecrets.Get(c, k) {
			set[s] = struct{}{}
		}
	}
	keys := make([]secretKeyed, 0, len(set))
	for k := range set {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b secretKeyed) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), a.key.Compare(b.key), cmp.Compare(a.port, b.port))
	})
	return keys
}, incr.Equal[store.Key](slices.Equal[[]secretKeyed]))
