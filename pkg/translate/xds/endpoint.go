package xds

import (
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
	Endpoints []Endpoint // by zone
}

// LoadAssignment encodes endpoints, one locality for each backend and zone. The
// weight of a backend is divided among its zones by their endpoints.
func LoadAssignment(name string, parts []WeightedEndpoints, origin finding.Object) *Resource {
	cla := &endpoint.ClusterLoadAssignment{ClusterName: name}
	for _, p := range parts {
		for start := 0; start < len(p.Endpoints); {
			end := start
			for end < len(p.Endpoints) && p.Endpoints[end].Zone == p.Endpoints[start].Zone {
				end++
			}
			cla.Endpoints = append(cla.Endpoints, locality(&p, p.Endpoints[start:end]))
			start = end
		}
	}
	return mustEncode(EndpointType, name, cla, origin)
}

func locality(p *WeightedEndpoints, es []Endpoint) *endpoint.LocalityLbEndpoints {
	l := &endpoint.LocalityLbEndpoints{}
	if zone := es[0].Zone; zone != "" || p.Name != "" {
		l.Locality = &core.Locality{Region: p.Name, Zone: zone}
	}
	if p.Weight > 0 {
		// Scaled so that a zone's part of the backend's weight stays whole.
		l.LoadBalancingWeight = wrapperspb.UInt32(max(1, uint32(uint64(p.Weight)*1000*uint64(len(es))/uint64(len(p.Endpoints)))))
	}
	for _, e := range es {
		lb := &endpoint.LbEndpoint{HostIdentifier: &endpoint.LbEndpoint_Endpoint{Endpoint: &endpoint.Endpoint{Address: socketAddress(e.Address, uint32(e.Port), false)}}}
		if e.Draining {
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
