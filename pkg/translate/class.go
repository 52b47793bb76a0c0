package translate

import (
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
)

// classKey is the GatewayClass of a name.
func classKey(name string) store.Key {
	return store.ID{Kind: store.GatewayClass, Name: name}.Key()
}

// managedClass says whether a GatewayClass exists and is ours.
var managedClass = incr.NewQuery("managed class", func(c *incr.Context, name string) bool {
	class, ok := store.Get[*gateway.GatewayClass](c, classKey(name))
	return ok && string(class.Spec.ControllerName) == settings(c).ControllerName
}, incr.Equal[string](equal[bool]))

// managedGateways lists the Gateways of our classes.
var managedGateways = incr.NewQuery("managed gateways", func(c *incr.Context, _ struct{}) []store.Key {
	var keys []store.Key
	for _, class := range store.ByKind.Lookup(c, store.GatewayClass) {
		if managedClass.Get(c, class.Name) {
			keys = append(keys, gatewaysByClass.Lookup(c, class.Name)...)
		}
	}
	return keys
})

// isManaged says whether a Gateway exists and is ours, for those who need to know
// no more of it: an edit of the Gateway does not reach them.
var isManaged = incr.NewQuery("managed gateway", func(c *incr.Context, k store.Key) bool {
	_, ok := managedGateway(c, k)
	return ok
}, incr.Equal[store.Key](equal[bool]))

// managedGateway returns a Gateway if it exists and is ours.
func managedGateway(c *incr.Context, k store.Key) (*gateway.Gateway, bool) {
	if k.Kind != store.Gateway {
		return nil, false
	}
	g, ok := store.Get[*gateway.Gateway](c, k)
	if !ok || !managedClass.Get(c, string(g.Spec.GatewayClassName)) {
		return nil, false
	}
	return g, true
}

// classIssues are those of a GatewayClass: of its parameters.
func classIssues(c *incr.Context, class store.Key) []issue {
	return classParametersOf.Get(c, class).Issues
}
