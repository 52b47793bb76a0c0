package xds

import (
	"cmp"
	"slices"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/egctl/egctl/pkg/finding"
)

// Endpoint is one address of a backend.
type Endpoint struct {
	Address  string
	Port     int32
	Zone     string
	Draining bool
}

// WeightedEndpoints are the endpoints of one backend with its share of the
// traffic. A weight of 0 means that shares do not matter.
type WeightedEndpoints struct {
	Name      string
	Weight    uint32
	Endpoints []Endpoint // ready ones first, then by zone
}

// weightScale multiplies the weights of backends, so that the part of a zone
// stays whole.
const weightScale = 1000

// maxWeights bounds the sum of weights in an assignment. Envoy's limit is twice
// as much, which leaves room for parts that are rounded up.
const maxWeights = 1 << 31

// LoadAssignment encodes endpoints, one locality for each backend and zone. The
// weight of a backend is divided among its zones by their endpoints.
//
// Draining endpoints have a priority of their own behind the ready ones of their
// backend. Side by side with them they would count as failed, and Envoy sends
// requests to failed endpoints, too, once more than half have failed: in the
// midst of a roll-out.
func LoadAssignment(name string, parts []WeightedEndpoints, origin finding.Object) *Resource {
	cla := &endpoint.ClusterLoadAssignment{ClusterName: name}
	total := uint64(0)
	for i := range parts {
		total += uint64(parts[i].Weight)
	}
	for i := range parts {
		p := &parts[i]
		ready := slices.IndexFunc(p.Endpoints, func(e Endpoint) bool { return e.Draining })
		if ready < 0 {
			ready = len(p.Endpoints)
		}
		for priority, es := range [][]Endpoint{p.Endpoints[:ready], p.Endpoints[ready:]} {
			if ready == 0 {
				priority = 0 // nobody else can
			}
			for start := 0; start < len(es); {
				end := start
				for end < len(es) && es[end].Zone == es[start].Zone {
					end++
				}
				l := locality(p.Name, es[start:end], uint32(priority))
				if p.Weight > 0 {
					weight := uint64(p.Weight) * weightScale
					if total*weightScale > maxWeights {
						weight = uint64(p.Weight) * maxWeights / total
					}
					l.LoadBalancingWeight = wrapperspb.UInt32(uint32(max(1, weight*uint64(end-start)/uint64(len(es)))))
				}
				cla.Endpoints = append(cla.Endpoints, l)
				start = end
			}
		}
	}
	slices.SortStableFunc(cla.Endpoints, func(a, b *endpoint.LocalityLbEndpoints) int { return cmp.Compare(a.Priority, b.Priority) })
	return mustEncode(EndpointType, name, cla, origin)
}

func locality(backend string, es []Endpoint, priority uint32) *endpoint.LocalityLbEndpoints {
	l := &endpoint.LocalityLbEndpoints{Priority: priority}
	if zone := es[0].Zone; zone != "" || backend != "" {
		l.Locality = &core.Locality{Region: backend, Zone: zone}
	}
	for _, e := range es {
		lb := &endpoint.LbEndpoint{HostIdentifier: &endpoint.LbEndpoint_Endpoint{Endpoint: &endpoint.Endpoint{Address: socketAddress(e.Address, uint32(e.Port), false)}}}
		if priority > 0 {
			lb.HealthStatus = core.HealthStatus_DRAINING
		}
		l.LbEndpoints = append(l.LbEndpoints, lb)
	}
	return l
}

func socketAddress(address string, port uint32, udp bool) *core.Address {
	s := &core.SocketAddress{Address: address, PortSpecifier: &core.SocketAddress_PortValue{PortValue: port}}
	if udp {
		s.Protocol = core.SocketAddress_UDP
	}
	return &core.Address{Address: &core.Address_SocketAddress{SocketAddress: s}}
}
