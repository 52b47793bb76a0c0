package pki

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	encoded "github.com/egctl/egctl/pkg/translate/xds"
)

// dial connects with the certificate in data, if there is one.
func dial(t *testing.T, c *controlPlane, data map[string][]byte, bundle []byte) *grpc.ClientConn {
	t.Helper()
	config := &tls.Config{ServerName: "envoy-gateway", RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS13}
	config.RootCAs.AppendCertsFromPEM(bundle)
	if len(data) > 0 {
		cert := must(tls.X509KeyPair(data["tls.crt"], data["tls.key"]))(t)
		// Shown whatever the server asks for, which an honest client would not do.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
	}
	conn := must(grpc.NewClient(c.address.String(), grpc.WithTransportCredentials(credentials.NewTLS(config))))(t)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// subscribe asks for all clusters, and returns the names of those that come.
func subscribe(t *testing.T, conn *grpc.ClientConn, node *corev3.Node) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		return "", err
	}
	if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl: string(encoded.ClusterType), Node: node, ResourceNamesSubscribe: []string{"*", "cluster-of-default-b"},
	}); err != nil {
		_, err = stream.Recv() // says why
		return "", err
	}
	response, err := stream.Recv()
	if err != nil {
		return "", err
	}
	var names []string
	for _, r := range response.Resources {
		names = append(names, r.Name)
	}
	return strings.Join(names, " "), nil
}
