package controller

import (
	"bytes"
	"slices"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"

	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// changedRoutes lists the route objects behind the differences of two tables.
func changedRoutes(good, refused *xds.Resource) []store.Key {
	before := map[string]*route.Route{}
	if good != nil {
		walk(good, func(host string, r *route.Route) { before[host+" "+r.Name] = r })
	}
	var keys []store.Key
	walk(refused, func(host string, r *route.Route) {
		if old := before[host+" "+r.Name]; old != nil && equal(old, r) {
			return
		}
		for _, k := range routeObjects(r) {
			if !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
	})
	return keys
}

func equal(a, b *route.Route) bool {
	o := proto.MarshalOptions{Deterministic: true}
	x, errX := o.Marshal(a)
	y, errY := o.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func walk(table *xds.Resource, visit func(host string, r *route.Route)) {
	var c route.RouteConfiguration
	if err := proto.Unmarshal(table.Body, &c); err != nil {
		return // it was encoded by us; if not, there is nobody to blame
	}
	for _, vh := range c.VirtualHosts {
		for _, r := range vh.Routes {
			visit(vh.Name, r)
		}
	}
}

// routeObjects reads the metadata that says where a route is from.
func routeObjects(r *route.Route) []store.Key {
	var keys []store.Key
	for _, v := range r.GetMetadata().GetFilterMetadata()["envoy-gateway"].GetFields()["resources"].GetListValue().GetValues() {
		f := v.GetStructValue().GetFields()
		kind := f["kind"].GetStringValue()
		keys = append(keys, store.ID{Kind: store.Kind{Group: store.HTTPRoute.Group, Kind: kind}, Namespace: f["namespace"].GetStringValue(), Name: f["name"].GetStringValue()}.Key())
	}
	return keys
}
