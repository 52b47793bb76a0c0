package translate

import (
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
)

// crossing is a reference from the objects of a kind in a namespace to an
// object elsewhere.
type crossing struct {
	fromKind      store.Kind
	fromNamespace string
	to            store.Key
}

// granted says whether some ReferenceGrant in the target's namespace allows the
// crossing. It is memoised apart, so that a changed grant reaches only those
// whose answer changed.
var granted = incr.NewQuery("granted", func(c *incr.Context, x crossing) bool {
	for _, k := range store.ByNamespace.Lookup(c, store.KindNamespace{Kind: store.ReferenceGrant, Namespace: x.to.Namespace}) {
		g, ok := store.Get[*gateway.ReferenceGrant](c, k)
		if ok && grantAllows(g, x) {
			return true
		}
	}
	return false
}, incr.Equal[crossing](equal[bool]))

func grantAllows(g *gateway.ReferenceGrant, x crossing) bool {
	from := false
	for _, f := range g.Spec.From {
		if string(f.Group) == x.fromKind.Group && string(f.Kind) == x.fromKind.Kind && string(f.Namespace) == x.fromNamespace {
			from = true
			break
		}
	}
	if !from {
		return false
	}
	for _, t := range g.Spec.To {
		if string(t.Group) == x.to.Group && string(t.Kind) == x.to.Kind.Kind && (t.Name == nil || *t.Name == "" || string(*t.Name) == x.to.Name) {
			return true
		}
	}
	return false
}

// permitted says whether an object may refer to another: within its namespace
// always, across namespaces by grant.
func permitted(c *incr.Context, from, to store.Key) bool {
	return from.Namespace == to.Namespace || to.Namespace == "" ||
		granted.Get(c, crossing{from.Kind, from.Namespace, to})
}

func equal[T comparable](a, b T) bool { return a == b }
