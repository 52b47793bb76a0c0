// Package configdump writes what egctl made for Envoy in the shape of Envoy's
// own /config_dump, so that whatever reads the one reads the other: as JSON
// with Envoy's field names, as YAML, as tables, and as the difference between
// two of them. Equal inputs give equal bytes. Values that Envoy's API marks as
// sensitive, private keys first of all, are never written (see redact).
package configdump

import (
	"fmt"

	admin "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	bootstrap "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/egctl/egctl/pkg/translate/xds"
)

// Type is a part of a dump.
type Type string

// The parts, in the order of a dump; All stands for every one of them.
const (
	All       Type = "all"
	Bootstrap Type = "bootstrap"
	Endpoint  Type = "endpoint"
	Cluster   Type = "cluster"
	Listener  Type = "listener"
	Route     Type = "route"
	Secret    Type = "secret"
)

// Types are All and the parts.
func Types() []Type { return append([]Type{All}, parts()...) }

func parts() []Type { return []Type{Bootstrap, Endpoint, Cluster, Listener, Route, Secret} }

// Dump is the configuration of the proxies of one Gateway.
type Dump struct {
	// Gateway is namespace/name.
	Gateway string
	// Bootstrap is what Envoy starts with; nil leaves that part out.
	Bootstrap *bootstrap.Bootstrap
	// Endpoints are the load assignments that Snapshot names, sorted by name.
	Endpoints []*xds.Resource
	Snapshot  *xds.Snapshot
}

// Of puts together a Dump from what the translator reports. endpoints holds the
// load assignments of all Gateways by name.
func Of(gateway string, b *bootstrap.Bootstrap, s *xds.Snapshot, endpoints map[string]*xds.Resource) *Dump {
	d := &Dump{Gateway: gateway, Bootstrap: b, Snapshot: s}
	for _, name := range s.Assignments {
		if r := endpoints[name]; r != nil {
			d.Endpoints = append(d.Endpoints, r)
		}
	}
	return d
}

// resources returns the xDS resources of a part; none for Bootstrap.
func (d *Dump) resources(t Type) []*xds.Resource {
	switch t {
	case Endpoint:
		return d.Endpoints
	case Cluster:
		return d.Snapshot.Of(xds.ClusterType)
	case Listener:
		return d.Snapshot.Of(xds.ListenerType)
	case Route:
		return d.Snapshot.Of(xds.RouteType)
	case Secret:
		return d.Snapshot.Of(xds.SecretType)
	default:
		return nil
	}
}

// section is how Envoy's dump presents a part: the message and the field that
// lists the resources. wrap makes an element of that list.
type section struct {
	message, field string
	wrap           func(r *xds.Resource, body *anypb.Any) proto.Message
}

var sections = map[Type]section{
	Endpoint: {"EndpointsConfigDump", "dynamic_endpoint_configs", func(r *xds.Resource, body *anypb.Any) proto.Message {
		return &admin.EndpointsConfigDump_DynamicEndpointConfig{VersionInfo: r.Version(), EndpointConfig: body}
	}},
	Cluster: {"ClustersConfigDump", "dynamic_active_clusters", func(r *xds.Resource, body *anypb.Any) proto.Message {
		return &admin.ClustersConfigDump_DynamicCluster{VersionInfo: r.Version(), Cluster: body}
	}},
	Listener: {"ListenersConfigDump", "dynamic_listeners", func(r *xds.Resource, body *anypb.Any) proto.Message {
		return &admin.ListenersConfigDump_DynamicListener{
			Name:        r.Name,
			ActiveState: &admin.ListenersConfigDump_DynamicListenerState{VersionInfo: r.Version(), Listener: body},
		}
	}},
	Route: {"RoutesConfigDump", "dynamic_route_configs", func(r *xds.Resource, body *anypb.Any) proto.Message {
		return &admin.RoutesConfigDump_DynamicRouteConfig{VersionInfo: r.Version(), RouteConfig: body}
	}},
	Secret: {"SecretsConfigDump", "dynamic_active_secrets", func(r *xds.Resource, body *anypb.Any) proto.Message {
		return &admin.SecretsConfigDump_DynamicSecret{Name: r.Name, VersionInfo: r.Version(), Secret: body}
	}},
}

// message decodes a resource without what must not be seen. hidden says whether
// there was such.
func message(r *xds.Resource) (m proto.Message, hidden bool, err error) {
	m, err = r.Any().UnmarshalNew()
	if err != nil {
		return nil, false, fmt.Errorf("read %s %q: %w", r.Type, r.Name, err)
	}
	hidden, err = redact(m)
	if err != nil {
		return nil, false, fmt.Errorf("redact %s %q: %w", r.Type, r.Name, err)
	}
	return m, hidden, nil
}
