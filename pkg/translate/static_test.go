package translate_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	bootstrap "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/egctl/egctl/pkg/translate"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// static is a bootstrap that holds what Envoy would otherwise get by xDS.
type static struct {
	t *testing.T
	// clusters and secrets are those already in it, by name.
	clusters, secrets map[string]proto.Message
	*bootstrap.Bootstrap
}

func newStatic(t *testing.T) *static {
	layer, err := structpb.NewStruct(map[string]any{"re2.max_program_size.error_level": 4294967295})
	if err != nil {
		t.Fatal(err)
	}
	return &static{t: t, clusters: map[string]proto.Message{}, secrets: map[string]proto.Message{}, Bootstrap: &bootstrap.Bootstrap{
		StaticResources: &bootstrap.Bootstrap_StaticResources{},
		LayeredRuntime: &bootstrap.LayeredRuntime{Layers: []*bootstrap.RuntimeLayer{{
			Name: "static", LayerSpecifier: &bootstrap.RuntimeLayer_StaticLayer{StaticLayer: layer},
		}}},
	}}
}

// add adds everything of one translation. Where something else already has the
// name of a cluster or secret it gets another: references are not followed then,
// but it is there to be judged. prefix keeps listeners apart; port, if it is not
// nil, gives each a port of its own.
func (s *static) add(prefix string, ch translate.Changes, port func() uint32) {
	assignments := map[string]*endpoint.ClusterLoadAssignment{}
	for name, r := range ch.Endpoints {
		assignments[name] = decodeAs(s.t, r, &endpoint.ClusterLoadAssignment{})
	}
	for _, gw := range sortedKeys(ch.Snapshots) {
		snapshot, own := ch.Snapshots[gw], prefix+translate.FleetName(gw)+" "
		tables := map[string]*route.RouteConfiguration{}
		for _, r := range snapshot.Of(xds.RouteType) {
			tables[r.Name] = decodeAs(s.t, r, &route.RouteConfiguration{})
			tables[r.Name].ValidateClusters = wrapperspb.Bool(false) // as by RDS
		}
		for _, r := range snapshot.Of(xds.ListenerType) {
			l := decodeAs(s.t, r, &listener.Listener{})
			l.Name = prefix + l.Name
			if port != nil {
				l.Address.GetSocketAddress().PortSpecifier = &core.SocketAddress_PortValue{PortValue: port()}
			}
			s.inline(l.ProtoReflect(), tables)
			s.StaticResources.Listeners = append(s.StaticResources.Listeners, l)
		}
		for _, r := range snapshot.Of(xds.ClusterType) {
			c := decodeAs(s.t, r, &cluster.Cluster{})
			c.LoadAssignment = assignments[c.EdsClusterConfig.GetServiceName()]
			if c.LoadAssignment == nil {
				s.t.Fatalf("%scluster %s has no load assignment", prefix, c.Name)
			}
			c.LoadAssignment = proto.CloneOf(c.LoadAssignment)
			c.LoadAssignment.ClusterName = c.Name
			c.ClusterDiscoveryType, c.EdsClusterConfig = &cluster.Cluster_Type{Type: cluster.Cluster_STATIC}, nil
			s.inline(c.ProtoReflect(), nil)
			if unlike(s.clusters, c.Name, c) {
				c.Name = own + c.Name
				c.LoadAssignment.ClusterName = c.Name
			} else if s.clusters[c.Name] != nil {
				continue
			}
			s.clusters[c.Name] = c
			s.StaticResources.Clusters = append(s.StaticResources.Clusters, c)
		}
		for _, r := range snapshot.Of(xds.SecretType) {
			sec := decodeAs(s.t, r, &tls.Secret{})
			if unlike(s.secrets, sec.Name, sec) {
				sec.Name = own + sec.Name
			} else if s.secrets[sec.Name] != nil {
				continue
			}
			s.secrets[sec.Name] = sec
			s.StaticResources.Secrets = append(s.StaticResources.Secrets, sec)
		}
	}
}

// unlike says whether another message has the name.
func unlike(have map[string]proto.Message, name string, m proto.Message) bool {
	return have[name] != nil && !proto.Equal(have[name], m)
}

// inline replaces references to RDS and SDS within a message, and within what it
// has packed, by what they refer to.
func (s *static) inline(m protoreflect.Message, tables map[string]*route.RouteConfiguration) {
	switch v := m.Interface().(type) {
	case *anypb.Any:
		inner, err := v.UnmarshalNew()
		if err != nil {
			s.t.Fatal(err)
		}
		s.inline(inner.ProtoReflect(), tables)
		if v.Value, err = (proto.MarshalOptions{Deterministic: true}).Marshal(inner); err != nil {
			s.t.Fatal(err)
		}
		return
	case *tls.SdsSecretConfig:
		v.SdsConfig = nil
	case *hcm.HttpConnectionManager:
		if rds := v.GetRds(); rds != nil {
			table := tables[rds.RouteConfigName]
			if table == nil {
				s.t.Fatalf("no route table %s", rds.RouteConfigName)
			}
			v.RouteSpecifier = &hcm.HttpConnectionManager_RouteConfig{RouteConfig: table}
		}
		for _, f := range v.HttpFilters {
			s.inline(f.ProtoReflect(), nil)
		}
		return
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil || f.IsMap():
		case f.IsList():
			for i := range v.List().Len() {
				s.inline(v.List().Get(i).Message(), tables)
			}
		default:
			s.inline(v.Message(), tables)
		}
		return true
	})
}

// write puts the bootstrap into a file.
func (s *static) write() string {
	body, err := proto.Marshal(s.Bootstrap)
	if err != nil {
		s.t.Fatal(err)
	}
	file := filepath.Join(s.t.TempDir(), "envoy.pb")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return file
}

func decodeAs[M proto.Message](t *testing.T, r *xds.Resource, m M) M {
	t.Helper()
	if err := proto.Unmarshal(r.Body, m); err != nil {
		t.Fatal(fmt.Errorf("decode %s: %w", r.Name, err))
	}
	return m
}
