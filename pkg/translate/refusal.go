package translate

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/ir"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// Rejection is stored for a route that Envoy refused. The route is left out of
// the configuration until it changes.
type Rejection struct {
	// Generation and UID are those of the refused object: another object of the
	// same name is not rejected.
	Generation int64
	UID        types.UID
	// Message is Envoy's own.
	Message string
}

// RejectionKey is where the Rejection of an object is stored.
func RejectionKey(object store.Key) store.Key {
	return store.ID{Kind: store.RejectionKind, Namespace: object.Namespace, Name: object.Kind.Kind + "." + object.Name}.Key()
}

// rejected returns what Envoy said about this generation of the object.
func rejected(c *incr.Context, o store.Object) (string, bool) {
	v, ok := store.Get[*store.Value[Rejection]](c, RejectionKey(store.KeyOf(o)))
	if !ok || v.V.Generation != o.GetGeneration() || v.V.UID != o.GetUID() {
		return "", false
	}
	return v.V.Message, true
}

// Refusal is stored for an object while Envoy refuses resources that were made
// from it. Unlike a Rejection it leaves nothing out: the last version that Envoy
// accepted, if there is one, stays in force.
type Refusal struct {
	Object store.Key
	// Resources are sorted.
	Resources []RefusedResource
}

// RefusedResource is what Envoy refuses and why, in its own words.
type RefusedResource struct {
	Type          xds.Type
	Name, Message string
}

// Compare orders refused resources.
func (r RefusedResource) Compare(o RefusedResource) int {
	return cmp.Or(cmp.Compare(r.Type, o.Type), cmp.Compare(r.Name, o.Name), cmp.Compare(r.Message, o.Message))
}

// RefusalKey is where the Refusal of an object is stored.
func RefusalKey(object store.Key) store.Key {
	return store.ID{Kind: store.RefusalKind, Namespace: object.Namespace, Name: object.Kind.Kind + "." + object.Name}.Key()
}

// refused returns what Envoy refuses of an object.
func refused(c *incr.Context, k store.Key) []RefusedResource {
	v, ok := store.Get[*store.Value[Refusal]](c, RefusalKey(k))
	if !ok || v.V.Object != k {
		return nil
	}
	return v.V.Resources
}

// refusedObjects lists the objects with a Refusal.
func refusedObjects(c *incr.Context) []store.Key {
	var keys []store.Key
	for _, k := range store.ByKind.Lookup(c, store.RefusalKind) {
		if v, ok := store.Get[*store.Value[Refusal]](c, k); ok && RefusalKey(v.V.Object) == k {
			keys = append(keys, v.V.Object)
		}
	}
	return keys
}

// refusalIssues are those of an object that has no listeners.
func refusalIssues(c *incr.Context, k store.Key) []issue { return refusalsAt(k, refused(c, k)) }

// otherRefusals are those of an owner of listeners that are not about the port of
// one of them, which portIssues tells: trust anchors, route tables.
func otherRefusals(c *incr.Context, owner store.Key, own []*listener) []issue {
	return refusalsAt(owner, slices.DeleteFunc(slices.Clone(refused(c, owner)), func(r RefusedResource) bool {
		return slices.ContainsFunc(own, func(l *listener) bool { return l.Served && r.isListener(l) })
	}))
}

func refusalsAt(k store.Key, resources []RefusedResource) []issue {
	var issues []issue
	for _, r := range resources {
		i := envoyRejected.at(k, "", "", "%s", r.Message)
		i.condition, i.reason = "", ""
		if !slices.Contains(issues, i) { // one cause may be found in several resources
			issues = append(issues, i)
		}
	}
	return issues
}

// portIssues are those of listeners of an owner whose port Envoy refuses to
// serve: mostly since another program has it.
func portIssues(c *incr.Context, owner store.Key, own []*listener) []issue {
	var issues []issue
	for _, l := range own {
		if message, bad := refusedPort(c, owner, l); bad {
			i := envoyRejected.at(owner, path(l.Path, "port"), "free the port, or take another", "port %d: %s", l.Bound, message)
			i.condition, i.reason = programmed, string(gateway.ListenerReasonInvalid)
			issues = append(issues, i)
		}
	}
	return issues
}

// refusedPort returns what Envoy says about the port of a listener.
func refusedPort(c *incr.Context, owner store.Key, l *listener) (string, bool) {
	if !l.Served {
		return "", false
	}
	for _, r := range refused(c, owner) {
		if r.isListener(l) {
			return r.Message, true
		}
	}
	return "", false
}

// isListener says whether the resource is the Envoy listener that serves l.
func (r RefusedResource) isListener(l *listener) bool {
	return r.Type == xds.ListenerType && r.Name == ir.Bind{Port: l.Port, UDP: l.Protocol == ir.ListenerUDP}.Name()
}
