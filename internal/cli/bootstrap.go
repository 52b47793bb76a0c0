package cli

import (
	"fmt"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"

	"github.com/egctl/egctl/pkg/envoy"
	"github.com/egctl/egctl/pkg/wellknown"
)

// Where a proxy in a cluster finds the controller, and itself.
const (
	clusterXDSHost   = wellknown.Deployment + "." + wellknown.Namespace + ".svc.cluster.local"
	clusterXDSPort   = wellknown.XDSPort
	clusterAdminHost = "127.0.0.1"
	clusterAdminPort = wellknown.ProxyAdminPort
)

// clusterBootstrap is what the proxies of a Gateway start with in a cluster, but
// for the credentials, which each proxy gets with its Pod.
func clusterBootstrap(gateway string) (*bootstrapv3.Bootstrap, error) {
	b, err := envoy.Bootstrap(envoy.BootstrapOptions{
		NodeID: gateway, NodeCluster: gateway,
		XDSAddress: clusterXDSHost, XDSPort: clusterXDSPort,
		AdminAddress: clusterAdminHost, AdminPort: clusterAdminPort,
	})
	if err != nil {
		return nil, fmt.Errorf("gateway %s: %w", gateway, err)
	}
	return b, nil
}
