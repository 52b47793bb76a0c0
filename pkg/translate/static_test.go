package translate_test

import (
	"maps"
	"slices"
	"testing"

	bootstrap "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/egctl/egctl/pkg/translate"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// staticBootstrap makes a bootstrap, in JSON, of everything that Envoy would be
// told by xDS: route tables and endpoints in place, secrets by name.
func staticBootstrap(t *testing.T, snapshots []*xds.Snapshot, assignments map[string]*xds.Resource) []byte {
	t.Helper()
	b := &bootstrap.Bootstrap{
		Node:            &core.Node{Id: "test", Cluster: "test"},
		StaticResources: &bootstrap.Bootstrap_StaticResources{},
	}
	secrets, clusters := map[string]*tls.Secret{}, map[string]*cluster.Cluster{}
	for _, s := range snapshots {
		tables := map[string]*route.RouteConfiguration{}
		for _, r := range s.Routes {
			tables[r.Name] = decoded(t, r, &route.RouteConfiguration{})
		}
		for _, r := range s.Listeners {
			l := decoded(t, r, &listener.Listener{})
			chains := l.FilterChains
			if l.DefaultFilterChain != nil {
				chains = append(slices.Clone(chains), l.DefaultFilterChain)
			}
			for _, fc := range chains {
				for _, f := range fc.Filters {
					inlineRoutes(t, f, tables)
				}
				staticSecrets(t, fc.TransportSocket)
			}
			b.StaticResources.Listeners = append(b.StaticResources.Listeners, l)
		}
		for _, r := range s.Clusters {
			c := decoded(t, r, &cluster.Cluster{})
			c.ClusterDiscoveryType = &cluster.Cluster_Type{Type: cluster.Cluster_STATIC}
			c.LoadAssignment = &endpoint.ClusterLoadAssignment{ClusterName: c.Name}
			if a := assignments[c.EdsClusterConfig.ServiceName]; a != nil {
				c.LoadAssignment = decoded(t, a, &endpoint.ClusterLoadAssignment{})
			}
			c.EdsClusterConfig = nil
			staticSecrets(t, c.TransportSocket)
			clusters[c.Name] = c
		}
		for _, r := range s.Secrets {
			secrets[r.Name] = decoded(t, r, &tls.Secret{})
		}
	}
	for _, n := range slices.Sorted(maps.Keys(clusters)) {
		b.StaticResources.Clusters = append(b.StaticResources.Clusters, clusters[n])
	}
	for _, n := range slices.Sorted(maps.Keys(secrets)) {
		b.StaticResources.Secrets = append(b.StaticResources.Secrets, secrets[n])
	}
	js, err := protojson.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func decoded[M proto.Message](t *testing.T, r *xds.Resource, m M) M {
	t.Helper()
	if err := proto.Unmarshal(r.Body, m); err != nil {
		t.Fatalf("%s: %v", r.Name, err)
	}
	return m
}

func inlineRoutes(t *testing.T, f *listener.Filter, tables map[string]*route.RouteConfiguration) {
	t.Helper()
	m := &hcm.HttpConnectionManager{}
	if !f.GetTypedConfig().MessageIs(m) {
		return
	}
	if err := f.GetTypedConfig().UnmarshalTo(m); err != nil {
		t.Fatal(err)
	}
	table := tables[m.GetRds().GetRouteConfigName()]
	if table == nil {
		t.Fatalf("no route table %s", m.GetRds().GetRouteConfigName())
	}
	// Unlike one from RDS a table from the bootstrap is checked for clusters that
	// do not exist, unless it says not to.
	table = proto.CloneOf(table)
	table.ValidateClusters = wrapperspb.Bool(false)
	m.RouteSpecifier = &hcm.HttpConnectionManager_RouteConfig{RouteConfig: table}
	a, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	f.ConfigType = &listener.Filter_TypedConfig{TypedConfig: a}
}

// staticSecrets turns references to secrets of the control plane into ones to
// secrets of the bootstrap.
func staticSecrets(t *testing.T, s *core.TransportSocket) {
	t.Helper()
	if s == nil {
		return
	}
	m, err := s.GetTypedConfig().UnmarshalNew()
	if err != nil {
		t.Fatal(err)
	}
	var visit func(protoreflect.Message)
	visit = func(m protoreflect.Message) {
		if sds, ok := m.Interface().(*tls.SdsSecretConfig); ok {
			sds.SdsConfig = nil
			return
		}
		m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			switch {
			case fd.IsMap() || fd.Message() == nil:
			case fd.IsList():
				for i := range v.List().Len() {
					visit(v.List().Get(i).Message())
				}
			default:
				visit(v.Message())
			}
			return true
		})
	}
	visit(m.ProtoReflect())
	a, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	s.ConfigType = &core.TransportSocket_TypedConfig{TypedConfig: a}
}

// snapshotsOf are the snapshots of a translation, in a stable order.
func snapshotsOf(ch translate.Changes) []*xds.Snapshot {
	var list []*xds.Snapshot
	for _, k := range sortedKeys(ch.Snapshots) {
		list = append(list, ch.Snapshots[k])
	}
	return list
}
