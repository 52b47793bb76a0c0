package translate

import (
	"strings"

	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/ir"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// frontend finds the client certificate settings for a port and where they are.
func frontend(g *gateway.Gateway, port int32) (v *gateway.FrontendTLSValidation, field string) {
	if g.Spec.TLS == nil || g.Spec.TLS.Frontend == nil {
		return nil, ""
	}
	f := g.Spec.TLS.Frontend
	for i := range f.PerPort {
		if f.PerPort[i].Port == port {
			return f.PerPort[i].TLS.Validation, path("spec", "tls", "frontend", "perPort", i, "tls", "validation")
		}
	}
	return f.Default.Validation, "spec.tls.frontend.default.validation"
}

// frontendSecret names the SDS resource with the trust anchors of a port.
type frontendSecret struct {
	Gateway store.Key
	Port    int32
}

func (f frontendSecret) name() string {
	return "frontend-ca/" + f.Gateway.Namespace + "/" + f.Gateway.Name + "/" + itoa(f.Port)
}

// resolveValidation reads the Gateway's settings for client certificates.
func (l *listener) resolveValidation(c *incr.Context, g *gateway.Gateway) {
	if l.Protocol != ir.ListenerHTTPS {
		return
	}
	v, field := frontend(g, l.Port)
	if v == nil {
		return
	}
	gk := store.KeyOf(g)
	usable := 0
	for i, ref := range v.CACertificateRefs {
		p := path(field, "caCertificateRefs", i)
		k := trustRef(gk, ref)
		switch {
		case !trustKind(k.Kind):
			l.Issues = append(l.Issues, listenerCAKind.at(gk, p+".kind", "refer to a ConfigMap, a Secret or a ClusterTrustBundle", "kind %s is not supported", k.Kind))
		case !permitted(c, gk, k):
			l.Issues = append(l.Issues, listenerRefNotPermitted.at(gk, p+".namespace", grantHint(gk, k), "%s may not be referred to from namespace %q", k, gk.Namespace))
		default:
			if problem := trustProblem.Get(c, k); problem != "" {
				l.Issues = append(l.Issues, listenerCA.at(gk, p, "", "%s %s", k, problem))
			} else {
				usable++
			}
		}
	}
	if usable == 0 {
		l.Issues = append(l.Issues, listenerNoCA.at(gk, field+".caCertificateRefs", "", "none of the CA certificates can be used"))
		return
	}
	l.Validation = &ir.ClientValidation{
		Secret:   frontendSecret{gk, l.Port}.name(),
		Optional: v.Mode == gateway.AllowInsecureFallback,
	}
}

// frontendTrust is the SDS resource with the trust anchors for client
// certificates on a port; nil when there are none.
var frontendTrust = incr.NewQuery("frontend trust", func(c *incr.Context, f frontendSecret) *xds.Resource {
	g, ok := managedGateway(c, f.Gateway)
	if !ok {
		return nil
	}
	v, _ := frontend(g, f.Port)
	if v == nil {
		return nil
	}
	var pem strings.Builder
	for _, ref := range v.CACertificateRefs {
		k := trustRef(f.Gateway, ref)
		if trustKind(k.Kind) && permitted(c, f.Gateway, k) {
			appendPEM(&pem, trustAnchors.Get(c, k).PEM)
		}
	}
	if pem.Len() == 0 {
		return nil
	}
	return xds.TrustSecret(f.name(), pem.String(), f.Gateway.Object())
}, incr.Equal[frontendSecret](xds.Equal))

// trustRef is the object that a CA certificate reference names.
func trustRef(from store.Key, ref gateway.ObjectReference) store.Key {
	id := store.ID{Kind: store.Kind{Group: string(ref.Group), Kind: string(ref.Kind)}, Name: string(ref.Name)}
	if id.Kind != store.ClusterTrustBundle {
		id.Namespace = string(or(ref.Namespace, gateway.Namespace(from.Namespace)))
	}
	return id.Key()
}

func appendPEM(b *strings.Builder, pem string) {
	b.WriteString(pem)
	if pem != "" && !strings.HasSuffix(pem, "\n") {
		b.WriteByte('\n')
	}
}
