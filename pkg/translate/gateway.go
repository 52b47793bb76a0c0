package translate

import (
	"k8s.io/utils/ptr"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
)

// gatewayIssues are those of the Gateway itself, apart from its listeners.
var gatewayIssues = incr.NewQuery("gateway issues", func(c *incr.Context, k store.Key) []issue {
	g, ok := managedGateway(c, k)
	if !ok {
		return nil
	}
	var issues []issue
	if class, ok := store.Get[*gateway.GatewayClass](c, classKey(string(g.Spec.GatewayClassName))); ok {
		for _, i := range classIssues(c, store.KeyOf(class)) {
			issues = append(issues, classParameters.at(k, "spec.gatewayClassName", "", "GatewayClass %s is not accepted: %s", class.Name, i.Message))
		}
	}
	issues = append(issues, gatewayParametersOf.Get(c, k).Issues...)
	for i, a := range g.Spec.Addresses {
		switch t := ptr.Deref(a.Type, gateway.IPAddressType); {
		case t == gateway.HostnameAddressType:
			issues = append(issues, addressNotUsable.at(k, path("spec", "addresses", i), "ask for an IP address, or none", "hostname %q cannot be assigned", a.Value))
		case t != gateway.IPAddressType:
			issues = append(issues, addressUnsupported.at(k, path("spec", "addresses", i, "type"), "use IPAddress or Hostname", "address type %q is not supported", t))
		case a.Value != "" && !isIP(a):
			issues = append(issues, addressNotUsable.at(k, path("spec", "addresses", i, "value"), "", "%q is not an IP address", a.Value))
		}
		if r := a.Routability; r != gateway.GatewayAddressRoutabilityDefault && r != gateway.GatewayAddressRoutabilityCluster {
			issues = append(issues, addressUnsupported.at(k, path("spec", "addresses", i, "routability"), "use Cluster or leave it empty", "routability %q is not supported", r))
		}
	}
	return issues
})

// gatewayAccepted says whether a Gateway is as it has to be.
var gatewayAccepted = incr.NewQuery("gateway accepted", func(c *incr.Context, k store.Key) bool {
	if _, ok := managedGateway(c, k); !ok {
		return false
	}
	for _, i := range gatewayIssues.Get(c, k) {
		if i.condition == accepted {
			return false
		}
	}
	return true
}, incr.Equal[store.Key](equal[bool]))

// gatewayServed says whether anything may be served for a Gateway. Parameters
// that cannot be used say how proxies are to run. They keep proxies from being
// started or changed, but those that run are told of routes and endpoints as
// before: to take their listeners away would punish the clients.
var gatewayServed = incr.NewQuery("gateway served", func(c *incr.Context, k store.Key) bool {
	if _, ok := managedGateway(c, k); !ok {
		return false
	}
	for _, i := range gatewayIssues.Get(c, k) {
		if i.condition == accepted && i.Code != classParameters.id {
			return false
		}
	}
	return true
}, incr.Equal[store.Key](equal[bool]))

// frozen says why what runs for a fleet is to be left as it is.
func frozen(c *incr.Context, fleet store.Key) string {
	var issues []issue
	if fleet.Kind == store.GatewayClass {
		issues = classIssues(c, fleet)
	} else {
		issues = gatewayIssues.Get(c, fleet)
	}
	for _, i := range issues {
		if i.condition == accepted {
			return i.Message
		}
	}
	return ""
}

// clientCertificate is the key pair that a Gateway shows to backends.
type clientCertificate struct {
	Secret store.Key // zero: none
	Issues []issue
}

// gatewayClientCert resolves spec.tls.backend.clientCertificateRef.
var gatewayClientCert = incr.NewQuery("gateway client certificate", func(c *incr.Context, k store.Key) clientCertificate {
	g, ok := managedGateway(c, k)
	if !ok || g.Spec.TLS == nil || g.Spec.TLS.Backend == nil || g.Spec.TLS.Backend.ClientCertificateRef == nil {
		return clientCertificate{}
	}
	const field = "spec.tls.backend.clientCertificateRef"
	ref := secretKey(k, g.Spec.TLS.Backend.ClientCertificateRef)
	if ref.Kind != store.Secret {
		return clientCertificate{Issues: []issue{gatewayClientCertificate.at(k, field+".kind", "refer to a Secret", "kind %s is not supported", ref.Kind)}}
	}
	if !permitted(c, k, ref) {
		return clientCertificate{Issues: []issue{gatewayClientCertificateNotPermitted.at(k, field+".namespace", grantHint(k, ref), "%s may not be referred to from namespace %q", ref, k.Namespace)}}
	}
	if p := certificateProblem.Get(c, ref); p != "" {
		return clientCertificate{Issues: []issue{gatewayClientCertificate.at(k, field, "", "%s %s", ref, p)}}
	}
	return clientCertificate{Secret: ref}
})

// secretKey is the object that a SecretObjectReference of object k names.
func secretKey(k store.Key, ref *gateway.SecretObjectReference) store.Key {
	return store.ID{
		Kind:      store.Kind{Group: string(ptr.Deref(ref.Group, "")), Kind: string(ptr.Deref(ref.Kind, "Secret"))},
		Namespace: string(ptr.Deref(ref.Namespace, gateway.Namespace(k.Namespace))),
		Name:      string(ref.Name),
	}.Key()
}

// grantHint says which grant is missing.
func grantHint(from, to store.Key) string {
	return "create a ReferenceGrant in namespace " + to.Namespace + " that allows " + from.Kind.Kind + " of namespace " + from.Namespace + " to refer to " + to.Kind.Kind + " " + to.Name
}
