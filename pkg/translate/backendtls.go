package translate

import (
	"slices"
	"strings"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/ir"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// upstreamTLS is how one backend port is spoken to; TLS is nil for cleartext.
type upstreamTLS struct {
	TLS *ir.TLSUpstream
	// Problem says why the backend cannot be verified; requests must not reach it.
	Problem string
	// Asked says that nothing but appProtocol asks for TLS. Who only carries
	// connections leaves that to the client.
	Asked bool
}

// backendTLS finds the policy in force for a backend port: one that names the
// port beats one for the whole Service, and an older one a younger.
var backendTLS = incr.NewQuery("backend TLS", func(c *incr.Context, k backendPortKey) upstreamTLS {
	policy, _ := policyInForce(c, k)
	if policy == nil {
		if p := servicePorts.Get(c, k); p.TLS {
			return upstreamTLS{Asked: true, Problem: "its appProtocol asks for TLS, and no BackendTLSPolicy says how to verify it"}
		}
		return upstreamTLS{}
	}
	pk := store.KeyOf(policy)
	v := &policy.Spec.Validation
	if !caUsable(c, policy) {
		return upstreamTLS{Problem: pk.String() + " has no usable CA certificate"}
	}
	if !usableSNI(v.Hostname) {
		return upstreamTLS{Problem: pk.String() + " has no usable hostname"}
	}
	t := &ir.TLSUpstream{Source: ir.Source{Object: pk, Path: "spec.validation"}, SNI: string(v.Hostname)}
	if or(v.WellKnownCACertificates, "") == "" {
		t.CASecret = policyTrustName(pk)
	}
	for _, san := range v.SubjectAltNames {
		if san.Type == gateway.URISubjectAltNameType {
			t.URIs = append(t.URIs, string(san.URI))
		} else {
			t.DNSNames = append(t.DNSNames, string(san.Hostname))
		}
	}
	return upstreamTLS{TLS: t}
})

// usableSNI says whether the API server would admit the hostname of a policy.
func usableSNI(h gateway.PreciseHostname) bool {
	return len(validation.IsDNS1123Subdomain(string(h))) == 0
}

// policyInForce returns the BackendTLSPolicy for a backend port, and which of
// its targetRefs it is.
func policyInForce(c *incr.Context, k backendPortKey) (*gateway.BackendTLSPolicy, int) {
	port := servicePorts.Get(c, k)
	var best *gateway.BackendTLSPolicy
	bestTarget, bestSection := 0, false
	for _, pk := range backendTLSByTarget.Lookup(c, k.Backend) {
		p, ok := store.Get[*gateway.BackendTLSPolicy](c, pk)
		if !ok {
			continue
		}
		for i, t := range p.Spec.TargetRefs {
			if !targets(&t, k.Backend) {
				continue
			}
			section := or(t.SectionName, "") != ""
			if section && string(*t.SectionName) != port.PortName {
				continue
			}
			if best == nil || section && !bestSection || section == bestSection && compareAge(p, best) < 0 {
				best, bestTarget, bestSection = p, i, section
			}
		}
	}
	return best, bestTarget
}

func targets(t *gateway.LocalPolicyTargetReferenceWithSectionName, k store.Key) bool {
	return string(t.Group) == k.Group && string(t.Kind) == k.Kind.Kind && string(t.Name) == k.Name
}

// caUsable says whether at least one CA certificate of a policy can be used.
func caUsable(c *incr.Context, p *gateway.BackendTLSPolicy) bool {
	if known := or(p.Spec.Validation.WellKnownCACertificates, ""); known != "" {
		return known == gateway.WellKnownCACertificatesSystem
	}
	for _, ref := range p.Spec.Validation.CACertificateRefs {
		if k := localTrustRef(p.Namespace, ref); trustKind(k.Kind) && trustProblem.Get(c, k) == "" {
			return true
		}
	}
	return false
}

func localTrustRef(namespace string, ref gateway.LocalObjectReference) store.Key {
	id := store.ID{Kind: store.Kind{Group: string(ref.Group), Kind: string(ref.Kind)}, Name: string(ref.Name)}
	if id.Kind != store.ClusterTrustBundle {
		id.Namespace = namespace
	}
	return id.Key()
}

func policyTrustName(p store.Key) string { return "backend-ca/" + p.Namespace + "/" + p.Name }

// policyTrust is the SDS resource with the CA certificates of a policy.
var policyTrust = incr.NewQuery("policy trust", func(c *incr.Context, pk store.Key) *xds.Resource {
	p, ok := store.Get[*gateway.BackendTLSPolicy](c, pk)
	if !ok {
		return nil
	}
	var pem strings.Builder
	for _, ref := range p.Spec.Validation.CACertificateRefs {
		if k := localTrustRef(p.Namespace, ref); trustKind(k.Kind) {
			appendPEM(&pem, trustAnchors.Get(c, k).PEM)
		}
	}
	if pem.Len() == 0 {
		return nil
	}
	return xds.TrustSecret(policyTrustName(pk), pem.String(), pk.Object())
}, incr.Equal[store.Key](xds.Equal))

// policyIssues judges a BackendTLSPolicy.
func policyIssues(c *incr.Context, p *gateway.BackendTLSPolicy) []issue {
	k := store.KeyOf(p)
	var issues []issue
	usable := caUsable(c, p)
	for i, ref := range p.Spec.Validation.CACertificateRefs {
		field := path("spec", "validation", "caCertificateRefs", i)
		to := localTrustRef(p.Namespace, ref)
		if !trustKind(to.Kind) {
			issues = append(issues, policyCAKind.at(k, field+".kind", "refer to a ConfigMap, a Secret or a ClusterTrustBundle", "kind %s is not supported", to.Kind))
		} else if problem := trustProblem.Get(c, to); problem != "" {
			issues = append(issues, policyCARef.at(k, field, "", "%s %s", to, problem))
		}
	}
	if known := or(p.Spec.Validation.WellKnownCACertificates, ""); known != "" && !usable {
		issues = append(issues, policyWellKnown.at(k, "spec.validation.wellKnownCACertificates", "use System", "the set %q is not known", known))
	} else if !usable {
		issues = append(issues, policyNoCA.at(k, "spec.validation.caCertificateRefs", "", "none of the CA certificates can be used"))
	}
	if h := p.Spec.Validation.Hostname; !usableSNI(h) {
		issues = append(issues, policyHostname.at(k, "spec.validation.hostname", "", "%q is not a hostname", h))
	}
	inForce, conflict := false, (*gateway.BackendTLSPolicy)(nil)
	for i, t := range p.Spec.TargetRefs {
		other, ok := rival(c, p, &t)
		section := string(or(t.SectionName, ""))
		if !ok {
			issues = append(issues, policyTargetNotFound.at(k, path("spec", "targetRefs", i), "", "%s %s/%s does not exist", t.Kind, p.Namespace, t.Name))
		} else if section != "" && !portNamed.Get(c, namedPort{store.ID{Kind: store.Kind{Group: string(t.Group), Kind: string(t.Kind)}, Namespace: p.Namespace, Name: string(t.Name)}.Key(), section}) {
			issues = append(issues, policyTargetNotFound.at(k, path("spec", "targetRefs", i, "sectionName"), "", "%s %s/%s has no port named %s", t.Kind, p.Namespace, t.Name, section))
		}
		if other == nil {
			inForce = true
		} else {
			conflict = other
		}
	}
	if !inForce && conflict != nil {
		issues = append(issues, policyConflicted.at(k, "spec.targetRefs", "", "%s is older and covers the same targets", store.KeyOf(conflict)))
	}
	return issues
}

// rival returns an older policy with the same target and section, and whether
// the target exists.
func rival(c *incr.Context, p *gateway.BackendTLSPolicy, t *gateway.LocalPolicyTargetReferenceWithSectionName) (*gateway.BackendTLSPolicy, bool) {
	k := store.ID{Kind: store.Kind{Group: string(t.Group), Kind: string(t.Kind)}, Namespace: p.Namespace, Name: string(t.Name)}.Key()
	var oldest *gateway.BackendTLSPolicy
	for _, pk := range backendTLSByTarget.Lookup(c, k) {
		other, ok := store.Get[*gateway.BackendTLSPolicy](c, pk)
		if !ok || pk == store.KeyOf(p) || compareAge(other, p) >= 0 {
			continue
		}
		same := slices.ContainsFunc(other.Spec.TargetRefs, func(o gateway.LocalPolicyTargetReferenceWithSectionName) bool {
			return targets(&o, k) && or(o.SectionName, "") == or(t.SectionName, "")
		})
		if same && (oldest == nil || compareAge(other, oldest) < 0) {
			oldest = other
		}
	}
	return oldest, exists(c, k)
}

// namedPort is a port of a backend by its name.
type namedPort struct {
	Backend store.Key
	Name    string
}

var portNamed = incr.NewQuery("port named", func(c *incr.Context, k namedPort) bool {
	switch o, _ := store.Get[store.Object](c, k.Backend); o := o.(type) {
	case *core.Service:
		return slices.ContainsFunc(o.Spec.Ports, func(p core.ServicePort) bool { return p.Name == k.Name })
	case *store.ServiceImportObject:
		for i := range o.Spec.Ports {
			if o.Spec.Ports[i].Name == k.Name {
				return true
			}
		}
	}
	return false
}, incr.Equal[namedPort](equal[bool]))

var objectExists = incr.NewQuery("exists", func(c *incr.Context, k store.Key) bool {
	_, ok := store.Get[store.Object](c, k)
	return ok
}, incr.Equal[store.Key](equal[bool]))

func exists(c *incr.Context, k store.Key) bool { return objectExists.Get(c, k) }
