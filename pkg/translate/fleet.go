package translate

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/ir"
)

// Fleet is what is to run: the proxies of one Gateway or, where a GatewayClass
// merges its Gateways, of all Gateways of the class.
type Fleet struct {
	// Key is the Gateway, or the GatewayClass of merged Gateways. [FleetName] of it
	// names the fleet everywhere else: snapshot, node cluster, identity.
	Key store.Key
	// Gateways are those that the fleet serves, oldest first.
	Gateways []store.Key
	// Class is the GatewayClass and ClassUID its UID; GatewayUID is empty for merged
	// Gateways.
	Class                string
	ClassUID, GatewayUID types.UID
	// Ports are what clients connect to, sorted and without repetition. A fleet
	// without ports has nothing to serve, and need not run.
	Ports []FleetPort
	// Labels and Annotations are those of the Gateways' spec.infrastructure. Where
	// two of them differ the older Gateway's counts.
	Labels, Annotations map[string]string
	// Addresses are the IP addresses that the Gateways ask for.
	Addresses []string
	// Parameters is the EnvoyProxy in force, merged; never nil.
	Parameters *v1alpha1.EnvoyProxySpec
	// ParametersNamespace is that of the EnvoyProxy, where what it names without a
	// namespace is; empty: there is none. Of several it is the most specific one's.
	ParametersNamespace string
	// Frozen says why what runs is to be left as it is, such as an invalid
	// EnvoyProxy; empty: it is not.
	Frozen string
}

// FleetPort is a port of a fleet's Service.
type FleetPort struct {
	// Name is "<protocol>-<port>" in lower case, such as "https-443".
	Name string
	// Port is the listener's, ContainerPort the one that Envoy binds.
	Port, ContainerPort int32
	UDP                 bool
}

// FleetName is how a fleet is called: "namespace/name" of the Gateway, or the
// name of the GatewayClass. It is Envoy's node cluster and the key of the snapshot.
func FleetName(fleet store.Key) string {
	if fleet.Namespace == "" {
		return fleet.Name
	}
	return fleet.Namespace + "/" + fleet.Name
}

// fleetOf is the fleet that serves a Gateway; zero if the Gateway is not ours.
var fleetOf = incr.NewQuery("fleet of gateway", func(c *incr.Context, gw store.Key) store.Key {
	g, ok := managedGateway(c, gw)
	if !ok {
		return store.Key{}
	}
	if class := classKey(string(g.Spec.GatewayClassName)); merged.Get(c, class) {
		return class
	}
	return gw
}, incr.Equal[store.Key](equal[store.Key]))

// fleetGateways lists the Gateways that a fleet serves, oldest first.
var fleetGateways = incr.NewQuery("fleet gateways", func(c *incr.Context, fleet store.Key) []store.Key {
	if fleet.Kind == store.Gateway {
		return []store.Key{fleet}
	}
	var members []*gateway.Gateway
	for _, k := range gatewaysByClass.Lookup(c, fleet.Name) {
		if g, ok := managedGateway(c, k); ok {
			members = append(members, g)
		}
	}
	slices.SortFunc(members, func(a, b *gateway.Gateway) int { return compareAge(a, b) })
	keys := make([]store.Key, len(members))
	for i, g := range members {
		keys[i] = store.KeyOf(g)
	}
	return keys
}, incr.Equal[store.Key](slices.Equal[[]store.Key]))

// fleets lists all fleets.
var fleets = incr.NewQuery("fleets", func(c *incr.Context, _ struct{}) []store.Key {
	var keys []store.Key
	for _, class := range store.ByKind.Lookup(c, store.GatewayClass) {
		if !managedClass.Get(c, class.Name) {
			continue
		}
		gateways := gatewaysByClass.Lookup(c, class.Name)
		if len(gateways) > 0 && merged.Get(c, class) {
			keys = append(keys, class)
		} else {
			keys = append(keys, gateways...)
		}
	}
	return keys
})

// fleetsToRun are the same, for a tracker of their own.
var fleetsToRun = incr.NewQuery("fleets to run", func(c *incr.Context, _ struct{}) []store.Key {
	return fleets.Get(c, struct{}{})
})

// fleetListeners lists the listeners of all Gateways of a fleet.
func fleetListeners(c *incr.Context, fleet store.Key) []*listener {
	gateways := fleetGateways.Get(c, fleet)
	if len(gateways) == 1 {
		return gatewayListeners.Get(c, gateways[0]).All
	}
	var all []*listener
	for _, gw := range gateways {
		all = append(all, gatewayListeners.Get(c, gw).All...)
	}
	return all
}

// fleet says what is to run. What does not change how the proxies run, such as a
// route, does not change it.
var fleet = incr.NewQuery("fleet", func(c *incr.Context, k store.Key) *Fleet {
	f := &Fleet{Key: k, Gateways: fleetGateways.Get(c, k), Ports: fleetPorts.Get(c, k), Frozen: frozen(c, k), Parameters: fleetParameters(c, k), ParametersNamespace: parametersNamespace(c, k)}
	for _, gw := range f.Gateways {
		g, ok := managedGateway(c, gw)
		if !ok {
			continue
		}
		f.Class = string(g.Spec.GatewayClassName)
		if gw == k {
			f.GatewayUID = g.UID
		}
		if infra := g.Spec.Infrastructure; infra != nil {
			f.Labels, f.Annotations = underlay(f.Labels, infra.Labels), underlay(f.Annotations, infra.Annotations)
		}
		for _, a := range g.Spec.Addresses {
			if isIP(a) && !slices.Contains(f.Addresses, a.Value) {
				f.Addresses = append(f.Addresses, a.Value)
			}
		}
	}
	if class, ok := store.Get[*gateway.GatewayClass](c, classKey(f.Class)); ok {
		f.ClassUID = class.UID
	}
	return f
}, incr.Equal[store.Key](func(a, b *Fleet) bool { return equality.Semantic.DeepEqual(a, b) }))

// underlay adds what a map does not have yet.
func underlay[K, V ~string](to map[string]string, more map[K]V) map[string]string {
	for k, v := range more {
		if _, ok := to[string(k)]; !ok {
			if to == nil {
				to = map[string]string{}
			}
			to[string(k)] = string(v)
		}
	}
	return to
}

// fleetPorts are the ports of the listeners that are served, once each.
var fleetPorts = incr.NewQuery("fleet ports", func(c *incr.Context, fleet store.Key) []FleetPort {
	var ports []FleetPort
	for _, l := range fleetListeners(c, fleet) {
		udp := l.Protocol == ir.ListenerUDP
		if l.Served && !slices.ContainsFunc(ports, func(p FleetPort) bool { return p.Port == l.Port && p.UDP == udp }) {
			ports = append(ports, FleetPort{Name: strings.ToLower(string(l.Protocol)) + "-" + itoa(l.Port), Port: l.Port, ContainerPort: l.Bound, UDP: udp})
		}
	}
	slices.SortFunc(ports, func(a, b FleetPort) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), compareBool(a.UDP, b.UDP))
	})
	return ports
}, incr.Equal[store.Key](slices.Equal[[]FleetPort]))

// isIP says whether a Gateway asks for a certain IP address.
func isIP(a gateway.GatewaySpecAddress) bool {
	_, err := netip.ParseAddr(a.Value)
	return ptr.Deref(a.Type, gateway.IPAddressType) == gateway.IPAddressType && err == nil
}
