// Package complete makes up what a handful of manifests leaves to a cluster:
// the GatewayClass and the Gateway that routes refer to, and endpoints of
// Services. Whatever it makes up, it says so.
//
// A typing error in a reference looks like an object that is missing. So
// Services are made up only on request: a route with a wrong backend shall fail
// here as it would in a cluster.
package complete

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

// DefaultClass is the name of a GatewayClass that is made up.
const DefaultClass = "eg"

// DefaultEndpoint is the address of an endpoint that is made up, the one that
// Envoy Gateway's translate uses.
const DefaultEndpoint = "10.96.1.2"

// Options say what to make up. The zero value makes up GatewayClasses and
// Gateways only.
type Options struct {
	// ControllerName is that of GatewayClasses; empty:
	// [translate.DefaultControllerName].
	ControllerName string
	// Endpoints gives each Service of a route that has no EndpointSlice one
	// endpoint at EndpointAddress.
	Endpoints bool
	// EndpointAddress is an IP address; empty: [DefaultEndpoint].
	EndpointAddress string
	// Services makes up those that routes name and that do not exist.
	Services bool
}

// Objects returns the objects to add, and a line on each decision. Equal
// inputs give equal outputs, in the order of the references.
func Objects(objects []store.Object, o Options) (added []store.Object, notes []string) {
	if o.ControllerName == "" {
		o.ControllerName = translate.DefaultControllerName
	}
	if o.EndpointAddress == "" {
		o.EndpointAddress = DefaultEndpoint
	}
	c := &completion{Options: o, objects: objects, have: make(map[store.Key]store.Object, len(objects))}
	for _, ob := range objects {
		c.have[store.KeyOf(ob)] = ob
	}
	c.gateways()
	c.classes()
	if o.Services {
		c.services()
	}
	if o.Endpoints {
		c.endpoints()
	}
	return c.added, c.notes
}

type completion struct {
	Options
	objects []store.Object
	have    map[store.Key]store.Object
	added   []store.Object
	notes   []string
}

func (c *completion) add(o store.Object) {
	c.have[store.KeyOf(o)] = o
	c.added = append(c.added, o)
}

func (c *completion) note(format string, args ...any) {
	c.notes = append(c.notes, fmt.Sprintf(format, args...))
}

// named makes an empty object of a kind.
func named[T store.Object](k store.Key) T {
	i, _ := store.Info(k.Kind) // only kinds of the store are asked for
	o := i.New().(T)
	o.SetNamespace(k.Namespace)
	o.SetName(k.Name)
	return o
}

// gateways makes up the Gateways that parentRefs name and that are not there.
func (c *completion) gateways() {
	drafts := map[store.Key]*draft{}
	var order []*draft
	need := func(k store.Key) *draft {
		if k.Kind != store.Gateway || k.Name == "" || c.have[k] != nil {
			return nil
		}
		d := drafts[k]
		if d == nil {
			d = &draft{key: k}
			drafts[k] = d
			order = append(order, d)
		}
		return d
	}
	for _, o := range c.objects {
		if set, ok := o.(*gateway.ListenerSet); ok {
			if d := need(setParent(set)); d != nil {
				d.sets = true
			}
			continue
		}
		common := commonSpec(o)
		if common == nil {
			continue
		}
		for i := range common.ParentRefs {
			ref := &common.ParentRefs[i]
			if d := need(parent(o, ref)); d != nil {
				d.wants = append(d.wants, wantOf(o, ref))
			}
		}
	}
	class := c.class()
	for _, d := range order {
		g := named[*gateway.Gateway](d.key)
		g.Spec.GatewayClassName = gateway.ObjectName(class)
		g.Spec.Listeners = d.listeners(c.certificate(d.key.Namespace))
		if d.sets {
			all := gateway.NamespacesFromAll
			g.Spec.AllowedListeners = &gateway.AllowedListeners{Namespaces: &gateway.ListenerNamespaces{From: &all}}
		}
		c.add(g)
		c.note("made up %s of class %s with %s", d.key, class, describe(g))
	}
}

// class is the class for Gateways that are made up: the only one there is of
// our controller, or the default.
func (c *completion) class() string {
	var names []string
	for _, o := range c.objects {
		if gc, ok := o.(*gateway.GatewayClass); ok && string(gc.Spec.ControllerName) == c.ControllerName {
			names = append(names, gc.Name)
		}
	}
	if len(names) == 1 {
		return names[0]
	}
	return DefaultClass
}

// classes makes up the classes that Gateways name, also those made up above.
func (c *completion) classes() {
	for _, o := range slices.Concat(c.objects, c.added) {
		g, ok := o.(*gateway.Gateway)
		if !ok || g.Spec.GatewayClassName == "" {
			continue
		}
		k := store.ID{Kind: store.GatewayClass, Name: string(g.Spec.GatewayClassName)}.Key()
		if c.have[k] != nil {
			continue
		}
		gc := named[*gateway.GatewayClass](k)
		gc.Spec.ControllerName = gateway.GatewayController(c.ControllerName)
		c.add(gc)
		c.note("made up %s of controller %s", k, c.ControllerName)
	}
}

func commonSpec(o store.Object) *gateway.CommonRouteSpec {
	switch r := o.(type) {
	case *gateway.HTTPRoute:
		return &r.Spec.CommonRouteSpec
	case *gateway.GRPCRoute:
		return &r.Spec.CommonRouteSpec
	case *gateway.TLSRoute:
		return &r.Spec.CommonRouteSpec
	case *gateway.TCPRoute:
		return &r.Spec.CommonRouteSpec
	case *gateway.UDPRoute:
		return &r.Spec.CommonRouteSpec
	default:
		return nil
	}
}

func parent(o metav1.Object, ref *gateway.ParentReference) store.Key {
	return store.ID{
		Kind:      store.Kind{Group: string(or(ref.Group, gateway.GroupName)), Kind: string(or(ref.Kind, "Gateway"))},
		Namespace: string(or(ref.Namespace, gateway.Namespace(o.GetNamespace()))),
		Name:      string(ref.Name),
	}.Key()
}

func setParent(set *gateway.ListenerSet) store.Key {
	ref := &set.Spec.ParentRef
	return store.ID{
		Kind:      store.Kind{Group: string(or(ref.Group, gateway.GroupName)), Kind: string(or(ref.Kind, "Gateway"))},
		Namespace: string(or(ref.Namespace, gateway.Namespace(set.Namespace))),
		Name:      string(ref.Name),
	}.Key()
}

func or[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}

// describe lists the listeners of a Gateway for its note.
func describe(g *gateway.Gateway) string {
	if len(g.Spec.Listeners) == 0 {
		return "no listeners of its own"
	}
	var parts []string
	for i := range g.Spec.Listeners {
		l := &g.Spec.Listeners[i]
		s := fmt.Sprintf("%s (%s %d", l.Name, l.Protocol, l.Port)
		if l.TLS != nil && or(l.TLS.Mode, gateway.TLSModeTerminate) == gateway.TLSModePassthrough {
			s += " passthrough"
		} else if l.TLS != nil && len(l.TLS.CertificateRefs) > 0 {
			s += ", certificate of Secret " + string(l.TLS.CertificateRefs[0].Name)
		}
		parts = append(parts, s+")")
	}
	if len(parts) == 1 {
		return "listener " + parts[0]
	}
	return "listeners " + strings.Join(parts, ", ")
}
