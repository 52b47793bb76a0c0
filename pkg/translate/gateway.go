package translate

import (
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
	if class, ok := store.Get[*gateway.GatewayClass](c, store.ID{Kind: store.GatewayClass, Name: string(g.Spec.GatewayClassName)}.Key()); ok {
		for _, i := range classIssues(c, class) {
			issues = append(issues, classParameters.at(k, "spec.gatewayClassName", "", "GatewayClass %s is not accepted: %s", class.Name, i.Message))
		}
	}
	if infra := g.Spec.Infrastructure; infra != nil && infra.ParametersRef != nil {
		ref := infra.ParametersRef
		to := store.ID{Kind: store.Kind{Group: string(ref.Group), Kind: string(ref.Kind)}, Namespace: k.Namespace, Name: ref.Name}.Key()
		issues = append(issues, parametersIssues(c, k, "spec.infrastructure.parametersRef", to)...)
	}
	for i, a := range g.Spec.Addresses {
		if t := or(a.Type, gateway.IPAddressType); t != gateway.IPAddressType && t != gateway.HostnameAddressType {
			issues = append(issues, addressUnsupported.at(k, path("spec", "addresses", i, "type"), "use IPAddress or Hostname", "address type %q is not supported", t))
		}
		if r := a.Routability; r != gateway.GatewayAddressRoutabilityDefault && r != gateway.GatewayAddressRoutabilityCluster {
			issues = append(issues, addressUnsupported.at(k, path("spec", "addresses", i, "routability"), "use Cluster or leave it empty", "routability %q is not supported", r))
		}
	}
	return issues
})

// gatewayAccepted says whether anything may be served for a Gateway.
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
		Kind:      store.Kind{Group: string(or(ref.Group, "")), Kind: string(or(ref.Kind, "Secret"))},
		Namespace: string(or(ref.Namespace, gateway.Namespace(k.Namespace))),
		Name:      string(ref.Name),
	}.Key()
}

// grantHint says which grant is missing.
func grantHint(from, to store.Key) string {
	return "create a ReferenceGrant in namespace " + to.Namespace + " that allows " + from.Kind.Kind + " of namespace " + from.Namespace + " to refer to " + to.Kind.Kind + " " + to.Name
}
