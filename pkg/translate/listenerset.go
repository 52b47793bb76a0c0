package translate

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	core "k8s.io/api/core/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
)

// admittedSets returns the ListenerSets that a Gateway admits, oldest first.
func admittedSets(c *incr.Context, g *gateway.Gateway, k store.Key) []*gateway.ListenerSet {
	var sets []*gateway.ListenerSet
	for _, sk := range listenerSetsByGateway.Lookup(c, k) {
		set, ok := store.Get[*gateway.ListenerSet](c, sk)
		if ok && admitsSet(c, g, sk.Namespace) {
			sets = append(sets, set)
		}
	}
	slices.SortStableFunc(sets, func(a, b *gateway.ListenerSet) int { return compareAge(a, b) })
	return sets
}

// compareAge orders objects the way the specification settles conflicts: older
// first, then by namespace and name.
func compareAge(a, b store.Object) int {
	ta, tb := a.GetCreationTimestamp().Time, b.GetCreationTimestamp().Time
	if c := ta.Compare(tb); c != 0 {
		return c
	}
	return store.KeyOf(a).Compare(store.KeyOf(b))
}

// admitsSet evaluates a Gateway's allowedListeners.
func admitsSet(c *incr.Context, g *gateway.Gateway, namespace string) bool {
	if g.Spec.AllowedListeners == nil || g.Spec.AllowedListeners.Namespaces == nil {
		return false
	}
	n := g.Spec.AllowedListeners.Namespaces
	return admitsNamespace(c, or(n.From, gateway.NamespacesFromNone), n.Selector, g.Namespace, namespace)
}

// admitsNamespace evaluates a From and its selector. An invalid selector admits
// nothing.
func admitsNamespace(c *incr.Context, from gateway.FromNamespaces, selector *metav1.LabelSelector, own, other string) bool {
	switch from {
	case gateway.NamespacesFromAll:
		return true
	case gateway.NamespacesFromSame:
		return own == other
	case gateway.NamespacesFromSelector:
		s, err := metav1.LabelSelectorAsSelector(selector)
		return err == nil && s.Matches(namespaceLabels.Get(c, other))
	default:
		return false
	}
}

// namespaceLabels are the labels of a namespace. One that is not in the store,
// as is usual with files, still has the label that Kubernetes gives to all.
var namespaceLabels = incr.NewQuery("namespace labels", func(c *incr.Context, name string) labels.Set {
	set := labels.Set{core.LabelMetadataName: name}
	if ns, ok := store.Get[*core.Namespace](c, store.ID{Kind: store.Namespace, Name: name}.Key()); ok {
		for k, v := range ns.Labels {
			set[k] = v
		}
	}
	return set
})
