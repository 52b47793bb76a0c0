package identity

import (
	"context"
	"errors"
	"fmt"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// Certificates identifies proxies by their client certificate, which the TLS layer
// must have verified: a certificate that was merely shown identifies nobody. The leaf
// names one fleet of the cluster with that domain, in one URI.
func Certificates(clusterDomain string) Func {
	return func(ctx context.Context, _ *corev3.Node) (string, error) {
		p, ok := peer.FromContext(ctx)
		if !ok {
			return "", errors.New("the connection says nothing about its peer")
		}
		info, ok := p.AuthInfo.(credentials.TLSInfo)
		if !ok {
			return "", fmt.Errorf("peer %s came without TLS", p.Addr)
		}
		chains := info.State.VerifiedChains
		if len(chains) == 0 || len(chains[0]) == 0 {
			return "", fmt.Errorf("peer %s has no verified certificate", p.Addr)
		}
		leaf := chains[0][0]
		if len(leaf.URIs) != 1 {
			return "", fmt.Errorf("peer %s: its certificate (serial %x) has %d URIs, an identity is one", p.Addr, leaf.SerialNumber, len(leaf.URIs))
		}
		fleet, err := Fleet(clusterDomain, leaf.URIs[0])
		if err != nil {
			return "", fmt.Errorf("peer %s: its certificate (serial %x): %w", p.Addr, leaf.SerialNumber, err)
		}
		return fleet, nil
	}
}
