package complete

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/store"
)

// backend is a port of a Service that a route sends to.
type backend struct {
	key  store.Key
	port int32
	udp  bool
}

// backends lists the Services that routes name, in order.
func (c *completion) backends() []backend {
	var list []backend
	seen := map[backend]bool{}
	for _, o := range c.objects {
		_, udp := o.(*gateway.UDPRoute)
		for _, ref := range references(o) {
			k := store.ID{
				Kind:      store.Kind{Group: string(or(ref.Group, "")), Kind: string(or(ref.Kind, "Service"))},
				Namespace: string(or(ref.Namespace, gateway.Namespace(o.GetNamespace()))),
				Name:      string(ref.Name),
			}.Key()
			b := backend{k, or(ref.Port, 0), udp}
			if k.Kind == store.Service && k.Name != "" && !seen[b] {
				seen[b] = true
				list = append(list, b)
			}
		}
	}
	return list
}

// references are all that requests of a route can be sent to.
func references(o store.Object) []*gateway.BackendObjectReference {
	var refs []*gateway.BackendObjectReference
	plain := func(bs []gateway.BackendRef) {
		for i := range bs {
			refs = append(refs, &bs[i].BackendObjectReference)
		}
	}
	switch r := o.(type) {
	case *gateway.HTTPRoute:
		filters := func(fs []gateway.HTTPRouteFilter) {
			for i := range fs {
				if fs[i].RequestMirror != nil {
					refs = append(refs, &fs[i].RequestMirror.BackendRef)
				}
				if fs[i].ExternalAuth != nil {
					refs = append(refs, &fs[i].ExternalAuth.BackendRef)
				}
			}
		}
		for i := range r.Spec.Rules {
			filters(r.Spec.Rules[i].Filters)
			for j := range r.Spec.Rules[i].BackendRefs {
				b := &r.Spec.Rules[i].BackendRefs[j]
				refs = append(refs, &b.BackendObjectReference)
				filters(b.Filters)
			}
		}
	case *gateway.GRPCRoute:
		filters := func(fs []gateway.GRPCRouteFilter) {
			for i := range fs {
				if fs[i].RequestMirror != nil {
					refs = append(refs, &fs[i].RequestMirror.BackendRef)
				}
			}
		}
		for i := range r.Spec.Rules {
			filters(r.Spec.Rules[i].Filters)
			for j := range r.Spec.Rules[i].BackendRefs {
				b := &r.Spec.Rules[i].BackendRefs[j]
				refs = append(refs, &b.BackendObjectReference)
				filters(b.Filters)
			}
		}
	case *gateway.TLSRoute:
		for i := range r.Spec.Rules {
			plain(r.Spec.Rules[i].BackendRefs)
		}
	case *gateway.TCPRoute:
		for i := range r.Spec.Rules {
			plain(r.Spec.Rules[i].BackendRefs)
		}
	case *gateway.UDPRoute:
		for i := range r.Spec.Rules {
			plain(r.Spec.Rules[i].BackendRefs)
		}
	}
	return refs
}

// services makes up the Services that are not there, with the ports that routes
// name.
func (c *completion) services() {
	var made []string
	fresh := map[store.Key]*core.Service{}
	for _, b := range c.backends() {
		s := fresh[b.key]
		if s == nil {
			if c.have[b.key] != nil || b.port == 0 {
				continue
			}
			s = named[*core.Service](b.key)
			fresh[b.key] = s
			c.add(s)
			made = append(made, b.key.Namespace+"/"+b.key.Name)
		}
		p := core.ServicePort{Name: fmt.Sprintf("port-%d", b.port), Port: b.port, Protocol: core.ProtocolTCP}
		if b.udp {
			p.Protocol, p.Name = core.ProtocolUDP, p.Name+"-udp"
		}
		if b.port != 0 {
			s.Spec.Ports = append(s.Spec.Ports, p)
		}
	}
	if len(made) > 0 {
		c.note("made up %s", several("Service", made))
	}
}

// endpoints gives Services without any EndpointSlice an endpoint.
func (c *completion) endpoints() {
	served := map[store.Key]bool{}
	for _, o := range c.objects {
		if slice, ok := o.(*discovery.EndpointSlice); ok {
			served[store.ID{Kind: store.Service, Namespace: slice.Namespace, Name: slice.Labels[discovery.LabelServiceName]}.Key()] = true
		}
	}
	var made []string
	for _, b := range c.backends() {
		s, ok := c.have[b.key].(*core.Service)
		if !ok || served[b.key] || s.Spec.Type == core.ServiceTypeExternalName {
			continue
		}
		served[b.key] = true
		c.add(c.slice(b.key, s))
		made = append(made, b.key.Namespace+"/"+b.key.Name)
	}
	if len(made) > 0 {
		c.note("made up endpoint %s of %s", c.EndpointAddress, several("Service", made))
	}
}

func (c *completion) slice(k store.Key, s *core.Service) store.Object {
	sk := store.ID{Kind: store.EndpointSlice, Namespace: k.Namespace, Name: k.Name + "-made-up"}.Key()
	slice := named[*discovery.EndpointSlice](sk)
	slice.Labels = map[string]string{discovery.LabelServiceName: k.Name}
	slice.AddressType = discovery.AddressTypeIPv4
	if a, err := netip.ParseAddr(c.EndpointAddress); err == nil && a.Is6() {
		slice.AddressType = discovery.AddressTypeIPv6
	}
	for i := range s.Spec.Ports {
		p := s.Spec.Ports[i]
		// A port that is named in the Pod is not known here.
		port := cmp.Or(p.TargetPort.IntVal, p.Port)
		protocol := cmp.Or(p.Protocol, core.ProtocolTCP)
		slice.Ports = append(slice.Ports, discovery.EndpointPort{Name: &p.Name, Port: &port, Protocol: &protocol, AppProtocol: p.AppProtocol})
	}
	ready := true
	slice.Endpoints = []discovery.Endpoint{{Addresses: []string{c.EndpointAddress}, Conditions: discovery.EndpointConditions{Ready: &ready}}}
	return slice
}

// several names one thing, or counts many and names the first few.
func several(noun string, names []string) string {
	const shown = 3
	if len(names) == 1 {
		return noun + " " + names[0]
	}
	text := strings.Join(slices.Clone(names[:min(shown, len(names))]), ", ")
	if len(names) > shown {
		text += ", …"
	}
	return fmt.Sprintf("%d %ss: %s", len(names), noun, text)
}
