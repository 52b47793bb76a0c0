package envoy

import (
	"errors"
	"fmt"
	"strings"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	overloadv3 "github.com/envoyproxy/go-control-plane/envoy/config/overload/v3"
	heapv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/fixed_heap/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/wellknown"
)

// Ports of a proxy in a cluster, and where it finds the controller's.
const (
	FleetXDSPort   = wellknown.XDSPort
	FleetAdminPort = wellknown.ProxyAdminPort
	FleetStatsPort = wellknown.ProxyMetricsPort
)

// Where a proxy in a cluster finds what is mounted into it.
const (
	FleetSDSDir    = "/sds"
	FleetCertsDir  = "/certs"
	FleetTokenPath = "/var/run/secrets/token/sa-token"
)

// serverName is what the controller's certificate must say.
const serverName = "envoy-gateway"

// FleetBootstrapOptions say what the proxies of one fleet in a cluster start with.
// Fleet and ControllerNamespace are needed.
type FleetBootstrapOptions struct {
	// Fleet is the value of --service-cluster: "namespace/name" of the Gateway, or the
	// name of the GatewayClass of merged Gateways.
	Fleet string
	// ControllerNamespace and ClusterDomain ("cluster.local" if empty) are where the
	// Service envoy-gateway is.
	ControllerNamespace, ClusterDomain string
	// Token is for proxies that prove who they are by a ServiceAccount token, and not by
	// a certificate.
	Token bool
	// Parameters is the EnvoyProxy in force; nil is one that says nothing. Read are
	// ipFamily, telemetry.metrics and bootstrap.
	Parameters *v1alpha1.EnvoyProxySpec
	// ParametersNamespace is that of Services which Parameters name without one: the
	// EnvoyProxy's.
	ParametersNamespace string
	// Zones makes the proxy say which zone it is in, by the environment variable
	// ENVOY_SERVICE_ZONE, and ask for the endpoints of its own fleet (an assignment of
	// the fleet's name), so that Envoy can prefer backends nearby. While nobody serves
	// these, it prefers none.
	Zones bool
	// MemoryLimit is that of the container, in bytes; 0: none. Envoy frees memory, and
	// in the end refuses requests, before the kernel would kill it.
	MemoryLimit int64
	// MaxConnections limits active downstream connections; 0: [DefaultMaxConnections].
	MaxConnections int64

	// XDSAddress and XDSPort are where the controller is; the Service's address and
	// [FleetXDSPort] by default. AdminPort and StatsPort are those of the constants by
	// default.
	XDSAddress                    string
	XDSPort, AdminPort, StatsPort uint32
	FleetPaths
}

// FleetPaths are where files are mounted; the constants by default.
type FleetPaths struct{ SDSDir, CertsDir, TokenPath string }

func (p *FleetPaths) defaults() {
	byDefault(&p.SDSDir, FleetSDSDir)
	byDefault(&p.CertsDir, FleetCertsDir)
	byDefault(&p.TokenPath, FleetTokenPath)
}

func (o *FleetBootstrapOptions) defaults() {
	o.FleetPaths.defaults()
	byDefault(&o.ClusterDomain, "cluster.local")
	if o.Parameters == nil {
		o.Parameters = &v1alpha1.EnvoyProxySpec{}
	}
	// The dot at the end spares a query for each search domain of the pod.
	byDefault(&o.XDSAddress, serverName+"."+o.ControllerNamespace+".svc."+strings.TrimSuffix(o.ClusterDomain, ".")+".")
	byDefault(&o.XDSPort, FleetXDSPort)
	byDefault(&o.AdminPort, FleetAdminPort)
	byDefault(&o.StatsPort, FleetStatsPort)
}

func byDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// FleetBootstrap returns, in YAML, what the proxies of a fleet start with. The id of
// the node and its cluster are not in it: they are those of --service-node and
// --service-cluster. The text goes through the kubelet's expansion of $(VARIABLE). An
// error is a mistake in Parameters, if the other options are right.
func FleetBootstrap(o FleetBootstrapOptions) (string, error) {
	o.defaults()
	b, err := fleetBootstrap(o)
	if err != nil {
		return "", fmt.Errorf("fleet %s: %w", o.Fleet, err)
	}
	var text []byte
	if c := o.Parameters.Bootstrap; c == nil {
		text, err = BootstrapYAML(b)
	} else if text, err = customize(b, c); err != nil {
		err = fmt.Errorf("spec.bootstrap: %w", err)
	}
	if err != nil {
		return "", fmt.Errorf("fleet %s: %w", o.Fleet, err)
	}
	return string(text), nil
}

func fleetBootstrap(o FleetBootstrapOptions) (*bootstrapv3.Bootstrap, error) {
	if o.Fleet == "" || o.ControllerNamespace == "" {
		return nil, errors.New("envoy bootstrap: the fleet and the controller's namespace are needed")
	}
	loopback, err := o.loopback()
	if err != nil {
		return nil, err
	}
	transport, err := fleetTransport(o)
	if err != nil {
		return nil, err
	}
	b, err := Bootstrap(BootstrapOptions{
		NodeID: o.Fleet, NodeCluster: o.Fleet,
		XDSAddress: o.XDSAddress, XDSPort: o.XDSPort, XDSTransportSocket: transport,
		AdminAddress: loopback, AdminPort: o.AdminPort, MaxConnections: o.MaxConnections,
	})
	if err != nil {
		return nil, err
	}
	b.Node = nil
	xds := b.StaticResources.Clusters[0]
	if o.family() == v1alpha1.IPv6 {
		xds.DnsLookupFamily = clusterv3.Cluster_V6_ONLY
	}
	if o.Token {
		if err := injectToken(xds, o.FleetPaths); err != nil {
			return nil, err
		}
	}
	if o.Zones {
		b.Node = &corev3.Node{Locality: &corev3.Locality{Zone: "$(ENVOY_SERVICE_ZONE)"}}
		b.ClusterManager = &bootstrapv3.ClusterManager{LocalClusterName: o.Fleet}
		b.StaticResources.Clusters = append(b.StaticResources.Clusters, localCluster(o.Fleet))
	}
	if err := protectMemory(b.OverloadManager, o.MemoryLimit); err != nil {
		return nil, err
	}
	if err := addMetrics(b, o, loopback); err != nil {
		return nil, err
	}
	return b, nil
}

func (o *FleetBootstrapOptions) family() v1alpha1.IPFamily {
	if f := o.Parameters.IPFamily; f != nil {
		return *f
	}
	return v1alpha1.IPv4
}

// loopback is where the admin interface is, which knows no passwords.
func (o *FleetBootstrapOptions) loopback() (string, error) {
	switch f := o.family(); f {
	case v1alpha1.IPv4, v1alpha1.DualStack:
		return "127.0.0.1", nil
	case v1alpha1.IPv6:
		return "::1", nil
	default:
		return "", fmt.Errorf("spec.ipFamily: %q is no IP family", f)
	}
}

// anywhere is the address of listeners that others are to reach.
func (o *FleetBootstrapOptions) anywhere(port uint32) *corev3.Address {
	socket := &corev3.SocketAddress{Address: "0.0.0.0", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port}}
	switch o.family() {
	case v1alpha1.IPv6:
		socket.Address = "::"
	case v1alpha1.DualStack:
		socket.Address, socket.Ipv4Compat = "::", true
	case v1alpha1.IPv4:
	}
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: socket}}
}

// localCluster is the fleet itself: by its endpoints' zones Envoy knows which share of
// the traffic each zone gets.
func localCluster(fleet string) *clusterv3.Cluster {
	return &clusterv3.Cluster{
		Name:                 fleet,
		ConnectTimeout:       durationpb.New(10 * time.Second),
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
		EdsClusterConfig: &clusterv3.Cluster_EdsClusterConfig{
			ServiceName: fleet,
			EdsConfig: &corev3.ConfigSource{
				ResourceApiVersion:    corev3.ApiVersion_V3,
				ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
			},
		},
		LbPolicy: clusterv3.Cluster_LEAST_REQUEST,
		CommonLbConfig: &clusterv3.Cluster_CommonLbConfig{
			LocalityConfigSpecifier: &clusterv3.Cluster_CommonLbConfig_ZoneAwareLbConfig_{ZoneAwareLbConfig: &clusterv3.Cluster_CommonLbConfig_ZoneAwareLbConfig{
				MinClusterSize: wrapperspb.UInt64(1),
			}},
		},
	}
}

// staticEndpoint is a load assignment with one address.
func staticEndpoint(cluster, host string, port uint32) *endpointv3.ClusterLoadAssignment {
	return &endpointv3.ClusterLoadAssignment{ClusterName: cluster, Endpoints: []*endpointv3.LocalityLbEndpoints{{
		LbEndpoints: []*endpointv3.LbEndpoint{{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{
			Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
				Address: host, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
			}}},
		}}}},
	}}}
}

// protectMemory keeps the heap within four fifths of the limit: the rest is for what is
// not heap. The thresholds are those of Envoy Gateway.
func protectMemory(m *overloadv3.OverloadManager, limit int64) error {
	if limit < 0 {
		return fmt.Errorf("envoy bootstrap: %d is no limit for memory", limit)
	}
	if limit == 0 {
		return nil
	}
	const monitor = "envoy.resource_monitors.fixed_heap"
	heap, err := pack(&heapv3.FixedHeapConfig{MaxHeapSizeBytes: uint64(limit) / 5 * 4})
	if err != nil {
		return err
	}
	m.ResourceMonitors = append(m.ResourceMonitors, &overloadv3.ResourceMonitor{
		Name: monitor, ConfigType: &overloadv3.ResourceMonitor_TypedConfig{TypedConfig: heap},
	})
	for _, action := range []struct {
		name string
		at   float64
	}{{"envoy.overload_actions.shrink_heap", 0.95}, {"envoy.overload_actions.stop_accepting_requests", 0.98}} {
		m.Actions = append(m.Actions, &overloadv3.OverloadAction{Name: action.name, Triggers: []*overloadv3.Trigger{{
			Name: monitor, TriggerOneof: &overloadv3.Trigger_Threshold{Threshold: &overloadv3.ThresholdTrigger{Value: action.at}},
		}}})
	}
	return nil
}
