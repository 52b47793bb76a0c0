package local

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"

	"github.com/egctl/egctl/pkg/store"
)

// Backend says where a port of a Service is really served, for files that hold
// no EndpointSlices.
type Backend struct {
	Namespace, Name string
	Port            int32
	Address         netip.AddrPort
}

// ParseBackend reads "[namespace/]name:port=host:port". A host name is resolved
// once, now.
func ParseBackend(ctx context.Context, s, namespace string) (Backend, error) {
	fail := func(why string) (Backend, error) {
		return Backend{}, fmt.Errorf("backend %q: %s; write [namespace/]name:port=host:port", s, why)
	}
	service, address, ok := strings.Cut(s, "=")
	if !ok {
		return fail("there is no =")
	}
	b := Backend{Namespace: namespace}
	if ns, rest, ok := strings.Cut(service, "/"); ok {
		b.Namespace, service = ns, rest
	}
	name, port, ok := strings.Cut(service, ":")
	n, err := strconv.ParseUint(port, 10, 16)
	if !ok || name == "" || err != nil || n == 0 {
		return fail("the Service has no name or no port")
	}
	b.Name, b.Port = name, int32(n)
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fail(err.Error())
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil || p == 0 {
		return fail("the address has no port")
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(ips) == 0 {
		return fail(fmt.Sprintf("host %q has no address: %v", host, err))
	}
	ip := ips[0].Unmap()
	for _, other := range ips { // of localhost's two addresses most programs listen on the first
		if other.Unmap().Is4() {
			ip = other.Unmap()
			break
		}
	}
	b.Address = netip.AddrPortFrom(ip, uint16(p))
	return b, nil
}

// BackendObjects makes the Services of backends, where objects lack them, and
// their EndpointSlices.
func BackendObjects(backends []Backend, objects []store.Object) []store.Object {
	services := map[store.Key]*core.Service{}
	for _, o := range objects {
		if s, ok := o.(*core.Service); ok {
			services[store.KeyOf(o)] = s
		}
	}
	var added []store.Object
	for i, b := range backends {
		k := store.ID{Kind: store.Service, Namespace: b.Namespace, Name: b.Name}.Key()
		svc := services[k]
		if svc == nil {
			svc = &core.Service{}
			svc.Namespace, svc.Name = b.Namespace, b.Name
			for _, other := range backends {
				if other.Namespace == b.Namespace && other.Name == b.Name {
					svc.Spec.Ports = append(svc.Spec.Ports, core.ServicePort{Name: portName(other.Port), Port: other.Port, Protocol: core.ProtocolTCP})
				}
			}
			services[k] = svc
			added = append(added, svc)
		}
		for _, p := range svc.Spec.Ports {
			if p.Port == b.Port {
				added = append(added, backendSlice(i, b, p))
			}
		}
	}
	return added
}

func portName(port int32) string { return fmt.Sprintf("port-%d", port) }

func backendSlice(i int, b Backend, p core.ServicePort) *discovery.EndpointSlice {
	s := &discovery.EndpointSlice{AddressType: discovery.AddressTypeIPv4}
	if b.Address.Addr().Is6() {
		s.AddressType = discovery.AddressTypeIPv6
	}
	s.Namespace, s.Name = b.Namespace, fmt.Sprintf("%s-backend-%d", b.Name, i)
	s.Labels = map[string]string{discovery.LabelServiceName: b.Name}
	port := int32(b.Address.Port())
	s.Ports = []discovery.EndpointPort{{Name: &p.Name, Port: &port, Protocol: &p.Protocol}}
	s.Endpoints = []discovery.Endpoint{{Addresses: []string{b.Address.Addr().String()}}}
	return s
}
