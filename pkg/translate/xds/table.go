package xds

import (
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/translate/ir"
)

// Field numbers of the protobufs that are assembled from encoded parts. In the
// wire format a message is its fields one after the other, so that appending an
// encoded element to an encoded message adds it to the repeated field.
const (
	virtualHostRoutes  = 3 // envoy.config.route.v3.VirtualHost.routes
	tableVirtualHosts  = 2 // envoy.config.route.v3.RouteConfiguration.virtual_hosts
	maxTagAndLengthLen = 11
)

// VirtualHost encodes a virtual host from encoded routes, which must be in
// order of precedence. auth, if any, applies to every request of the host.
func VirtualHost(domain string, entries []RouteEntry, auth *ir.ExternalAuth) []byte {
	vh := &route.VirtualHost{Name: domain, Domains: []string{domain}}
	if auth != nil {
		vh.TypedPerFilterConfig = map[string]*anypb.Any{AuthFilterName(auth): mustAny(enabled())}
	}
	head, err := marshal.Marshal(vh)
	if err != nil {
		return nil
	}
	size := len(head)
	for i := range entries {
		size += len(entries[i].Body) + maxTagAndLengthLen
	}
	b := append(make([]byte, 0, size), head...)
	for i := range entries {
		b = appendField(b, virtualHostRoutes, entries[i].Body)
	}
	if auth != nil {
		// A request that matches no route has no virtual host to configure its
		// filters; but the service may be what makes it match one.
		none, err := marshal.Marshal(&route.Route{
			Match:  &route.RouteMatch{PathSpecifier: &route.RouteMatch_Prefix{Prefix: "/"}},
			Action: directResponse(404),
		})
		if err == nil {
			b = appendField(b, virtualHostRoutes, none)
		}
	}
	return b
}

// MisdirectedHost answers requests that came over a connection for another
// listener's names with 421, so that the client opens one that is for them
// (RFC 9110, section 15.5.20).
func MisdirectedHost(domain string) []byte {
	b, err := marshal.Marshal(&route.VirtualHost{
		Name: domain, Domains: []string{domain},
		Routes: []*route.Route{{
			Name:   "misdirected",
			Match:  &route.RouteMatch{PathSpecifier: &route.RouteMatch_Prefix{Prefix: "/"}},
			Action: directResponse(421),
		}},
	})
	if err != nil {
		return nil
	}
	return b
}

// RouteTable encodes a RouteConfiguration from encoded virtual hosts.
func RouteTable(name string, virtualHosts [][]byte, origins ...finding.Object) *Resource {
	head, err := marshal.Marshal(&route.RouteConfiguration{Name: name, IgnorePortInHostMatching: true})
	if err != nil {
		return nil
	}
	size := len(head)
	for _, vh := range virtualHosts {
		size += len(vh) + maxTagAndLengthLen
	}
	b := append(make([]byte, 0, size), head...)
	for _, vh := range virtualHosts {
		b = appendField(b, tableVirtualHosts, vh)
	}
	return NewResource(RouteType, name, b, origins...)
}

func appendField(b []byte, field protowire.Number, body []byte) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendBytes(b, body)
}

// metadata says which object, and which section of it, an element is from. The
// namespace is that of Envoy Gateway, whose users' tools read it.
func metadata(o finding.Object, section string) *core.Metadata {
	return sources(section, o)
}

func sources(section string, objects ...finding.Object) *core.Metadata {
	list := &structpb.ListValue{}
	for _, o := range distinct(objects) {
		fields := map[string]*structpb.Value{"kind": structpb.NewStringValue(o.Kind), "name": structpb.NewStringValue(o.Name)}
		if o.Namespace != "" {
			fields["namespace"] = structpb.NewStringValue(o.Namespace)
		}
		if section != "" {
			fields["sectionName"] = structpb.NewStringValue(section)
		}
		list.Values = append(list.Values, structpb.NewStructValue(&structpb.Struct{Fields: fields}))
	}
	return &core.Metadata{FilterMetadata: map[string]*structpb.Struct{
		"envoy-gateway": {Fields: map[string]*structpb.Value{"resources": structpb.NewListValue(list)}},
	}}
}
