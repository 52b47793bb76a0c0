package translate

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
)

// envoyProxyStatus judges an EnvoyProxy, once for each GatewayClass and Gateway of
// ours that names it: what is merged with others may be wrong for one only.
func envoyProxyStatus(c *incr.Context, k store.Key, p *v1alpha1.EnvoyProxy) (any, []issue) {
	var issues []issue
	for _, bad := range checkProxy(c, &p.Spec) {
		issues = append(issues, proxyInvalid.at(k, bad.path, bad.hint, "%s", bad.message))
	}
	own := slices.Clone(issues)
	inForce := "the parameters are in force"
	if fields := IgnoredProxyFields(&p.Spec); len(fields) > 0 {
		without := proxyIgnored.at(k, "spec", "", "egctl does not act on %s yet", strings.Join(fields, ", "))
		issues = append(issues, without)
		inForce += ". Note: " + without.Message
	}
	status := &gateway.PolicyStatus{}
	for _, from := range referrers(c, k) {
		there := own
		if len(own) == 0 {
			there = parameterIssues(c, from)
		}
		status.Ancestors = append(status.Ancestors, gateway.PolicyAncestorStatus{
			AncestorRef:    ancestor(from),
			ControllerName: gateway.GatewayController(settings(c).ControllerName),
			Conditions:     []metav1.Condition{judge(accepted, there, accepted, inForce, p.Generation)},
		})
	}
	if len(status.Ancestors) == 0 {
		return nil, issues
	}
	return status, issues
}

// withIgnored adds to the word that a GatewayClass or Gateway is accepted what of its
// EnvoyProxy has no effect: whoever looks at a cluster sees no warnings.
func withIgnored(accepted metav1.Condition, p parameters) metav1.Condition {
	if accepted.Status != metav1.ConditionTrue {
		return accepted // there is something more important to say
	}
	if len(p.Ignored) > 0 {
		accepted.Message += " " + sentence("note: egctl does not act on "+strings.Join(p.Ignored, ", ")+" of "+p.From.String()+" yet")
	}
	for _, i := range p.Issues {
		if i.Code == proxyIgnored.id {
			accepted.Message += " " + sentence("note: "+i.Message)
		}
	}
	return accepted
}

// referrers lists the GatewayClasses and Gateways of ours that name an
// EnvoyProxy, as many as its status has room for.
func referrers(c *incr.Context, k store.Key) []store.Key {
	var keys []store.Key
	for _, from := range referrersByParameters.Lookup(c, k) {
		if from.Kind == store.GatewayClass && managedClass.Get(c, from.Name) || isManaged.Get(c, from) {
			keys = append(keys, from)
		}
	}
	slices.SortFunc(keys, store.Key.Compare)
	return keys[:min(len(keys), maxAncestors)]
}

// parameterIssues are those of the object that names an EnvoyProxy.
func parameterIssues(c *incr.Context, from store.Key) []issue {
	if from.Kind == store.GatewayClass {
		return classParametersOf.Get(c, from).Issues
	}
	return gatewayParametersOf.Get(c, from).Issues
}

// ancestor refers to a Gateway or GatewayClass.
func ancestor(k store.Key) gateway.ParentReference {
	group, kind := gateway.Group(k.Group), gateway.Kind(k.Kind.Kind)
	ref := gateway.ParentReference{Group: &group, Kind: &kind, Name: gateway.ObjectName(k.Name)}
	if k.Namespace != "" {
		ns := gateway.Namespace(k.Namespace)
		ref.Namespace = &ns
	}
	return ref
}
