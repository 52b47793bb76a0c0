// Package identity says which fleet a proxy belongs to, by what it can prove.
//
// Two proofs are known. A client certificate, made by package pki for one fleet,
// carries the fleet in a URI: [Certificates] reads it. A Kubernetes ServiceAccount
// token, which the kubelet gives to the pods of a fleet, is shown to the API server:
// [Tokens] asks. Either gives a function for the Identify option of the ADS server
// (pkg/controller/xds).
//
// What a proxy says of itself (node id, node cluster, metadata) is never a proof. The
// errors say why a proxy is refused, for the log; the server tells the peer nothing.
package identity

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Func is the type of the Identify option of the ADS server: it returns the name of
// the fleet, "namespace/name" of a Gateway or the name of a GatewayClass.
type Func = func(ctx context.Context, node *corev3.Node) (fleet string, err error)

const (
	scheme       = "spiffe"
	gateway      = "gateway"
	gatewayClass = "gatewayclass"
)

// URI returns the identity of a fleet in a cluster with that domain, such as
// "cluster.local": spiffe://cluster.local/gateway/default/eg, or
// spiffe://cluster.local/gatewayclass/eg for the fleet of merged Gateways. The form
// is that of a SPIFFE ID, section 2 of its specification.
func URI(clusterDomain, fleet string) (*url.URL, error) {
	path := "/" + gatewayClass + "/" + fleet
	if strings.Contains(fleet, "/") {
		path = "/" + gateway + "/" + fleet
	}
	u := &url.URL{Scheme: scheme, Host: clusterDomain, Path: path}
	if back, err := Fleet(clusterDomain, u); err != nil {
		return nil, fmt.Errorf("identity of fleet %q: %w", fleet, err)
	} else if back != fleet {
		return nil, fmt.Errorf("identity of fleet %q: it would be that of %q", fleet, back)
	}
	return u, nil
}

// Fleet returns the fleet whose identity the URI is. It takes exactly what [URI] gives:
// anything else in it, such as a query, another case or an escape, is an error.
func Fleet(clusterDomain string, u *url.URL) (string, error) {
	if u.Scheme != scheme || u.Host != clusterDomain || clusterDomain == "" {
		return "", fmt.Errorf("%s is no identity of %s://%s", u.Redacted(), scheme, clusterDomain)
	}
	if plain := (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}); u.String() != plain.String() || strings.Contains(u.String(), "%") {
		return "", fmt.Errorf("%s has more in it than an identity", u.Redacted())
	}
	parts := strings.Split(u.Path, "/")
	for _, p := range parts[1:] {
		if len(validation.IsDNS1123Subdomain(p)) > 0 {
			return "", fmt.Errorf("%s: %q is no name of an object", u, p)
		}
	}
	switch {
	case len(parts) == 4 && parts[1] == gateway:
		return parts[2] + "/" + parts[3], nil
	case len(parts) == 3 && parts[1] == gatewayClass:
		return parts[2], nil
	}
	return "", fmt.Errorf("%s is the identity of neither a Gateway nor a GatewayClass", u)
}
