package translate

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/ir"
)

// listener is one listener of a Gateway or ListenerSet with the verdict on it.
type listener struct {
	ir.Listener
	// Gateway is the Gateway that the listener belongs to, by itself or by a
	// ListenerSet.
	Gateway store.Key
	// Bound is the port that Envoy binds.
	Bound int32
	// Kinds are the route kinds that may attach.
	Kinds []store.Kind
	// From and Selector say which namespaces' routes may attach.
	From     gateway.FromNamespaces
	Selector *metav1.LabelSelector
	// Accepted listeners take routes; Served ones are also in Envoy.
	Accepted, Served bool
	Overlaps         bool
	Issues           []issue
}

// listeners is what a Gateway serves: its own listeners, then those of its
// ListenerSets, oldest set first.
type listeners struct {
	All []*listener
	// Sets are the admitted ListenerSets.
	Sets []store.Key
}

// gatewayListeners are all listeners of a Gateway, with the verdict on each.
var gatewayListeners = incr.NewQuery("gateway listeners", func(c *incr.Context, k store.Key) *listeners {
	fleet := fleetOf.Get(c, k)
	if fleet == (store.Key{}) {
		return &listeners{}
	}
	if fleet != k {
		if ls := mergedListeners.Get(c, fleet)[k]; ls != nil {
			return ls
		}
		return &listeners{}
	}
	ls := resolveListeners(c, k)
	judgeListeners(c, k, ls.All)
	return ls
})

// mergedListeners are the listeners of the Gateways of a merged class, by
// Gateway. They meet on the same proxies, so that they are judged together, the
// oldest Gateway's first. What is not served at all is in nobody's way.
var mergedListeners = incr.NewQuery("merged listeners", func(c *incr.Context, class store.Key) map[store.Key]*listeners {
	out := map[store.Key]*listeners{}
	var together []*listener
	for _, gw := range fleetGateways.Get(c, class) {
		ls := resolveListeners(c, gw)
		out[gw] = ls
		if gatewayServed.Get(c, gw) {
			together = append(together, ls.All...)
		} else {
			judgeListeners(c, class, ls.All)
		}
	}
	judgeListeners(c, class, together)
	return out
})

// resolveListeners resolves the listeners of a Gateway and judges each by itself.
func resolveListeners(c *incr.Context, k store.Key) *listeners {
	ls := &listeners{}
	g, ok := managedGateway(c, k)
	if !ok {
		return ls
	}
	for i := range g.Spec.Listeners {
		l := g.Spec.Listeners[i]
		ls.All = append(ls.All, resolveListener(c, g, k, path("spec", "listeners", i), gateway.ListenerEntry(l)))
	}
	for _, set := range admittedSets(c, g, k) {
		ls.Sets = append(ls.Sets, store.KeyOf(set))
		for i := range set.Spec.Listeners {
			ls.All = append(ls.All, resolveListener(c, g, store.KeyOf(set), path("spec", "listeners", i), set.Spec.Listeners[i]))
		}
	}
	return ls
}

// judgeListeners judges the listeners that share a fleet.
func judgeListeners(c *incr.Context, fleet store.Key, all []*listener) {
	s := proxySettings.Get(c, fleet)
	for _, l := range all {
		l.Bound = s.BoundPort(l.Port)
	}
	findDuplicates(all)
	findPortsTaken(all, settings(c).ReadyPort)
	findConflicts(all)
	for _, l := range all {
		l.Accepted = !hasCondition(l.Issues, accepted) && !hasCondition(l.Issues, conflicted)
		l.Served = l.Accepted && gatewayServed.Get(c, l.Gateway) && (!terminates(&l.Listener) || len(l.Certificates) > 0)
	}
	findOverlaps(all)
}

// ownListeners are the listeners of one owner, so that a route's attachment
// does not depend on the listeners of other owners.
var ownListeners = incr.NewQuery("own listeners", func(c *incr.Context, owner store.Key) []*listener {
	k := owner
	if owner.Kind == store.ListenerSet {
		set, ok := store.Get[*gateway.ListenerSet](c, owner)
		if !ok {
			return nil
		}
		k = store.ListenerSetParent(owner, set)
	}
	var own []*listener
	for _, l := range gatewayListeners.Get(c, k).All {
		if l.Key.Owner == owner {
			own = append(own, l)
		}
	}
	return own
})

func hasCondition(issues []issue, condition string) bool {
	for _, i := range issues {
		if i.condition == condition {
			return true
		}
	}
	return false
}

// terminates says whether the listener decrypts TLS.
func terminates(l *ir.Listener) bool {
	return l.Protocol == ir.ListenerHTTPS || l.Protocol == ir.ListenerTLS && !l.Passthrough
}

// resolveListener judges one listener by itself.
func resolveListener(c *incr.Context, g *gateway.Gateway, owner store.Key, field string, e gateway.ListenerEntry) *listener {
	l := &listener{Gateway: store.KeyOf(g), From: gateway.NamespacesFromSame}
	l.Source = ir.Source{Object: owner, Path: field, Section: string(e.Name)}
	l.Key = ir.ListenerKey{Owner: owner, Name: string(e.Name)}
	l.Protocol = ir.ListenerProtocol(e.Protocol)
	l.Port = e.Port
	l.Hostname = strings.ToLower(string(ptr.Deref(e.Hostname, "")))
	if !isHTTP(l.Protocol) && l.Protocol != ir.ListenerTLS {
		l.Hostname = "" // the specification ignores it where there is none on the wire
	}
	l.Passthrough = e.TLS != nil && ptr.Deref(e.TLS.Mode, gateway.TLSModeTerminate) == gateway.TLSModePassthrough

	carried := carriedKinds(&l.Listener)
	if carried == nil {
		l.Issues = append(l.Issues, listenerProtocol.at(owner, field+".protocol", "use HTTP, HTTPS, TLS, TCP or UDP", "protocol %q is not supported", e.Protocol))
		return l
	}
	if l.Hostname != "" && !validHostname(l.Hostname) {
		l.Issues = append(l.Issues, listenerInvalid.at(owner, field+".hostname", "", "%q is not a hostname", l.Hostname))
	}
	if l.Port < 1 || l.Port > 65535 {
		l.Issues = append(l.Issues, listenerInvalid.at(owner, field+".port", "use a port between 1 and 65535", "port %d does not exist", l.Port))
	}
	l.resolveRoutes(owner, field, e.AllowedRoutes, carried)
	l.resolveTLS(c, owner, field, e.TLS)
	l.resolveValidation(c, g)
	l.resolveFilters(c, owner, field, e.Filters)
	return l
}

func isHTTP(p ir.ListenerProtocol) bool { return p == ir.ListenerHTTP || p == ir.ListenerHTTPS }

// carriedKinds are the route kinds that a protocol can carry; nil for protocols
// that are not supported.
func carriedKinds(l *ir.Listener) []store.Kind {
	switch l.Protocol {
	case ir.ListenerHTTP, ir.ListenerHTTPS:
		return []store.Kind{store.HTTPRoute, store.GRPCRoute}
	case ir.ListenerTLS:
		if l.Passthrough {
			return []store.Kind{store.TLSRoute}
		}
		// Once decrypted it is a byte stream as any other.
		return []store.Kind{store.TLSRoute, store.TCPRoute}
	case ir.ListenerTCP:
		return []store.Kind{store.TCPRoute}
	case ir.ListenerUDP:
		return []store.Kind{store.UDPRoute}
	default:
		return nil
	}
}

// resolveRoutes reads allowedRoutes.
func (l *listener) resolveRoutes(owner store.Key, field string, a *gateway.AllowedRoutes, carried []store.Kind) {
	l.Kinds = carried
	if a == nil {
		return
	}
	if len(a.Kinds) > 0 {
		l.Kinds = []store.Kind{}
		for i, k := range a.Kinds {
			kind := store.Kind{Group: string(ptr.Deref(k.Group, gateway.GroupName)), Kind: string(k.Kind)}
			if !containsKind(carried, kind) {
				l.Issues = append(l.Issues, listenerRouteKinds.at(owner, path(field, "allowedRoutes", "kinds", i), "",
					"a listener of protocol %s cannot carry %s", l.Protocol, kind.Kind))
			} else if !containsKind(l.Kinds, kind) {
				l.Kinds = append(l.Kinds, kind)
			}
		}
	}
	if a.Namespaces != nil {
		l.From = ptr.Deref(a.Namespaces.From, gateway.NamespacesFromSame)
		l.Selector = a.Namespaces.Selector
		if l.From == gateway.NamespacesFromSelector {
			if _, err := metav1.LabelSelectorAsSelector(l.Selector); err != nil {
				l.Issues = append(l.Issues, listenerSelector.at(owner, path(field, "allowedRoutes", "namespaces", "selector"), "", "%v", err))
			}
		}
	}
}

func containsKind(list []store.Kind, k store.Kind) bool {
	for _, l := range list {
		if l == k {
			return true
		}
	}
	return false
}

// resolveTLS reads the TLS settings and follows the certificate references.
func (l *listener) resolveTLS(c *incr.Context, owner store.Key, field string, t *gateway.ListenerTLSConfig) {
	if !l.SNI() {
		if t != nil {
			l.Issues = append(l.Issues, listenerTLSMissing.at(owner, field+".tls", "remove tls or use protocol HTTPS or TLS", "a listener of protocol %s takes no TLS settings", l.Protocol))
		}
		return
	}
	if t == nil {
		l.Issues = append(l.Issues, listenerTLSMissing.at(owner, field+".tls", "set tls.certificateRefs", "a listener of protocol %s needs TLS settings", l.Protocol))
		return
	}
	if l.Passthrough {
		if l.Protocol == ir.ListenerHTTPS {
			l.Issues = append(l.Issues, listenerTLSMissing.at(owner, field+".tls.mode", "use protocol TLS to pass connections through", "an HTTPS listener must terminate TLS"))
		}
		return
	}
	if len(t.CertificateRefs) == 0 {
		l.Issues = append(l.Issues, listenerCertificate.at(owner, field+".tls.certificateRefs", "name a Secret of type kubernetes.io/tls", "no certificate is given"))
	}
	for i := range t.CertificateRefs {
		p := path(field, "tls", "certificateRefs", i)
		ref := secretKey(owner, &t.CertificateRefs[i])
		switch {
		case ref.Kind != store.Secret:
			l.Issues = append(l.Issues, listenerCertificate.at(owner, p+".kind", "refer to a Secret", "kind %s is not supported", ref.Kind))
		case !permitted(c, owner, ref):
			l.Issues = append(l.Issues, listenerRefNotPermitted.at(owner, p+".namespace", grantHint(owner, ref), "%s may not be referred to from namespace %q", ref, owner.Namespace))
		default:
			if problem := certificateProblem.Get(c, ref); problem != "" {
				l.Issues = append(l.Issues, listenerCertificate.at(owner, p, "", "%s %s", ref, problem))
			} else {
				l.Certificates = append(l.Certificates, ref)
			}
		}
	}
}

// resolveFilters reads the filters that run before routing.
func (l *listener) resolveFilters(c *incr.Context, owner store.Key, field string, f *gateway.ListenerFilters) {
	if f == nil {
		return
	}
	for i := range f.Requests {
		p := path(field, "filters", "requests", i)
		filter := &f.Requests[i]
		if filter.Type != gateway.ListenerFilterExternalAuth || filter.ExternalAuth == nil {
			l.Issues = append(l.Issues, listenerFilter.at(owner, p+".type", "use type ExternalAuth", "filter of type %q is not supported", filter.Type))
			continue
		}
		if l.Auth != nil {
			l.Issues = append(l.Issues, listenerFilter.at(owner, p, "merge the two", "a listener can have one ExternalAuth filter"))
			continue
		}
		auth, issues := resolveAuth(c, owner, path(p, "externalAuth"), filter.ExternalAuth)
		for _, is := range issues {
			l.Issues = append(l.Issues, listenerFilter.at(owner, is.Path, is.Hint, "%s", is.Message))
		}
		l.Auth = auth
	}
}
