package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net"
	"slices"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/egctl/egctl/test/e2e/suite"
)

const (
	typeCluster    = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	typeAssignment = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	typeListener   = "type.googleapis.com/envoy.config.listener.v3.Listener"
	typeRoutes     = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
	typeSecret     = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
)

// claim is who an ADS client says it is, and how it shows that.
type claim struct {
	cluster, id string
	// One of the two, or none.
	token       string
	certificate *tls.Certificate
}

// resources are encoded, by type and name.
type resources map[string]map[string][]byte

// names are what resources are called; "*" is all.
type names map[string][]string

// fetch subscribes and returns what comes within a time. The error is the one with
// which the server ended the stream.
func fetch(t *testing.T, s *suite.Suite, c claim, wanted names, within time.Duration) (resources, error) {
	t.Helper()
	service, err := s.Kube.CoreV1().Services(suite.SystemNamespace).Get(t.Context(), "envoy-gateway", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	secret, err := s.Kube.CoreV1().Secrets(suite.SystemNamespace).Get(t.Context(), "envoy-gateway-server", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{ServerName: "envoy-gateway", RootCAs: x509.NewCertPool()}
	if !config.RootCAs.AppendCertsFromPEM(secret.Data["ca.crt"]) {
		t.Fatal("the controller's Secret has no CA")
	}
	if c.certificate != nil {
		config.Certificates = []tls.Certificate{*c.certificate}
	}
	conn, err := grpc.NewClient("passthrough:///"+net.JoinHostPort(service.Spec.ClusterIP, "18000"),
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return s.Cluster.DialContext(ctx, "tcp", address)
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if c.token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.token)
	}
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		return nil, err
	}
	for _, kind := range slices.Sorted(maps.Keys(wanted)) {
		err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{
			Node: &corev3.Node{Id: c.id, Cluster: c.cluster}, TypeUrl: kind, ResourceNamesSubscribe: wanted[kind],
		})
		if err != nil {
			break // Recv says why.
		}
	}
	got := resources{}
	for {
		r, err := stream.Recv()
		if err != nil {
			if code := status.Code(err); ctx.Err() != nil || code == codes.DeadlineExceeded {
				err = nil
			}
			return got, err
		}
		for _, resource := range r.Resources {
			if got[r.TypeUrl] == nil {
				got[r.TypeUrl] = map[string][]byte{}
			}
			got[r.TypeUrl][resource.Name] = resource.GetResource().GetValue()
		}
		if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: r.TypeUrl, ResponseNonce: r.Nonce}); err != nil {
			continue
		}
	}
}

// ownConfiguration returns the names of all that a proxy of a site gets, and fails
// the test if it does not get everything: what others are not given has to be there.
func ownConfiguration(t *testing.T, s *suite.Suite, c claim, site *suite.Site) names {
	t.Helper()
	first, err := fetch(t, s, c, names{typeCluster: {"*"}, typeListener: {"*"}}, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	wanted := names{typeCluster: {"*"}, typeListener: {"*"}}
	for name, value := range first[typeCluster] {
		cluster := &clusterv3.Cluster{}
		decode(t, value, cluster)
		if eds := cluster.GetEdsClusterConfig(); eds != nil {
			if eds.ServiceName != "" {
				name = eds.ServiceName
			}
			wanted[typeAssignment] = append(wanted[typeAssignment], name)
		}
	}
	for _, value := range first[typeListener] {
		listener := &listenerv3.Listener{}
		decode(t, value, listener)
		for _, chain := range append(listener.FilterChains, listener.DefaultFilterChain) {
			referred(t, chain, wanted)
		}
	}
	all, err := fetch(t, s, c, wanted, 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{typeCluster, typeAssignment, typeListener, typeRoutes} {
		if !mentions(all[kind], site.Namespace) {
			t.Fatalf("what a proxy gets of %s does not mention its namespace: %q", kind, slices.Sorted(maps.Keys(all[kind])))
		}
	}
	for kind, values := range all {
		wanted[kind] = slices.Sorted(maps.Keys(values))
	}
	return wanted
}

// referred adds the route tables and secrets that a filter chain names.
func referred(t *testing.T, chain *listenerv3.FilterChain, wanted names) {
	for _, filter := range chain.GetFilters() {
		if filter.GetTypedConfig().MessageIs(&hcmv3.HttpConnectionManager{}) {
			manager := &hcmv3.HttpConnectionManager{}
			decode(t, filter.GetTypedConfig().GetValue(), manager)
			if name := manager.GetRds().GetRouteConfigName(); name != "" {
				wanted[typeRoutes] = append(wanted[typeRoutes], name)
			}
		}
	}
	if socket := chain.GetTransportSocket().GetTypedConfig(); socket.MessageIs(&tlsv3.DownstreamTlsContext{}) {
		downstream := &tlsv3.DownstreamTlsContext{}
		decode(t, socket.GetValue(), downstream)
		for _, secret := range downstream.GetCommonTlsContext().GetTlsCertificateSdsSecretConfigs() {
			wanted[typeSecret] = append(wanted[typeSecret], secret.Name)
		}
	}
}

// getsNothing fails the test if a client is given anything of a site.
func getsNothing(t *testing.T, s *suite.Suite, c claim, wanted names, site *suite.Site) {
	t.Helper()
	// All that there is, and what is there by name.
	for _, wanted := range []names{{typeCluster: {"*"}, typeListener: {"*"}}, wanted} {
		got, err := fetch(t, s, c, wanted, 2*time.Second)
		t.Logf("got %d types of resources, error %v", len(got), err)
		for kind, values := range got {
			if mentions(values, site.Namespace) || mentions(values, secretMark) {
				t.Errorf("got resources of %s: %q of %s", site.Namespace, slices.Sorted(maps.Keys(values)), kind)
			}
		}
	}
}

func mentions(values map[string][]byte, text string) bool {
	for name, value := range values {
		if bytes.Contains(value, []byte(text)) || bytes.Contains([]byte(name), []byte(text)) {
			return true
		}
	}
	return false
}

// clientCertificate is what the proxies of a site have.
func clientCertificate(t *testing.T, site *suite.Site) *tls.Certificate {
	t.Helper()
	secret, err := site.Kube.CoreV1().Secrets(site.Proxies).Get(t.Context(), site.Resource, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.X509KeyPair(secret.Data["tls.crt"], secret.Data["tls.key"])
	if err != nil {
		t.Fatal(fmt.Errorf("the proxies' certificate: %w", err))
	}
	return &certificate
}
