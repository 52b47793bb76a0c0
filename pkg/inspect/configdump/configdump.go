// Package configdump writes what egctl made for Envoy in the shape of Envoy's
// own /config_dump, so that whatever reads the one reads the other: as JSON
// with Envoy's field names, as YAML, as tables, and as the difference between
// two of them. Equal inputs give equal bytes. Values that Envoy's API marks as
// sensitive, private keys first of all, are never written (see redact).
package configdump

import (
	"fmt"

	bootstrap "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/proto"

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

// section is how Envoy's dump presents a part: the message, the field that lists
// the resources, the field of an element of that list that holds the resource,
// and whether the element says the resource's name, too. The fields of a
// listener are a level further down, in the one named state.
type section struct {
	message, list, resource string
	named                   bool
	state                   string
}

var sections = map[Type]section{
	Endpoint: {message: "EndpointsConfigDump", list: "dynamic_endpoint_configs", resource: "endpoint_config"},
	Cluster:  {message: "ClustersConfigDump", list: "dynamic_active_clusters", resource: "cluster"},
	Listener: {message: "ListenersConfigDump", list: "dynamic_listeners", resource: "listener", named: true, state: "active_state"},
	Route:    {message: "RoutesConfigDump", list: "dynamic_route_configs", resource: "route_config"},
	Secret:   {message: "SecretsConfigDump", list: "dynamic_active_secrets", resource: "secret", named: true},
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
