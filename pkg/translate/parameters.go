package translate

import (
	"net/netip"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
)

// parameters are those in force for a fleet.
type parameters struct {
	// Spec is never nil, and shared.
	Spec *v1alpha1.EnvoyProxySpec
}

// fleetParameters finds the parameters of a fleet.
var fleetParameters = incr.NewQuery("fleet parameters", func(_ *incr.Context, _ store.Key) parameters {
	return parameters{Spec: &v1alpha1.EnvoyProxySpec{}}
})

// merged says whether the Gateways of a class are served by one fleet.
var merged = incr.NewQuery("merged class", func(_ *incr.Context, _ store.Key) bool {
	return false
}, incr.Equal[store.Key](equal[bool]))

// proxyView is what the parameters change in what proxies are told. It is apart,
// so that other edits of an EnvoyProxy do not reach the configuration.
type proxyView struct {
	// ListenAddress is what listeners bind.
	ListenAddress string
	// IPv6Only says that an IPv6 ListenAddress takes no IPv4 connections.
	IPv6Only bool
	// Shift is added to ports below 1024.
	Shift int32
}

// BoundPort is the port that Envoy binds for a listener port.
func (v proxyView) BoundPort(port int32) int32 { return Settings{PortShift: v.Shift}.BoundPort(port) }

var proxySettings = incr.NewQuery("proxy settings", func(c *incr.Context, fleet store.Key) proxyView {
	s := settings(c)
	v := proxyView{ListenAddress: s.ListenAddress, Shift: s.PortShift}
	if a, err := netip.ParseAddr(v.ListenAddress); err != nil || !a.IsUnspecified() {
		return v // what was asked for by name is not widened
	}
	return v
}, incr.Equal[store.Key](equal[proxyView]))
