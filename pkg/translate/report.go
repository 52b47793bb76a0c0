package translate

import (
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
)

// Report is what the translator says about one object.
type Report struct {
	// Status is our part of the object's status: a *GatewayClassStatus,
	// *GatewayStatus, *ListenerSetStatus, *RouteStatus or *PolicyStatus of Gateway
	// API v1. Entries of other controllers are not in it, and times are zero. It
	// is nil for objects that are not ours.
	Status any
	// Findings are sorted.
	Findings []finding.Finding
}

// reportedKinds are the kinds that have a status of ours.
var reportedKinds = append([]store.Kind{store.GatewayClass, store.Gateway, store.ListenerSet, store.BackendTLSPolicy, store.EnvoyProxy}, routeKinds...)

// reportKeys lists the objects that are reported on: those and, of any other
// kind, what Envoy refuses.
var reportKeys = incr.NewQuery("report keys", func(c *incr.Context, _ struct{}) []store.Key {
	var keys []store.Key
	for _, kind := range reportedKinds {
		keys = append(keys, store.ByKind.Lookup(c, kind)...)
	}
	for _, k := range refusedObjects(c) {
		if !containsKind(reportedKinds, k.Kind) {
			keys = append(keys, k)
		}
	}
	return keys
})

// report judges one object. A fault inside costs that object's report only.
var report = incr.NewQuery("report", func(c *incr.Context, k store.Key) Report {
	o, ok := store.Get[store.Object](c, k)
	if !ok {
		return Report{}
	}
	var r Report
	var issues []issue
	switch o := o.(type) {
	case *gateway.GatewayClass:
		r.Status, issues = classStatus(c, o)
	case *gateway.Gateway:
		r.Status, issues = gatewayStatus(c, k, o)
	case *gateway.ListenerSet:
		r.Status, issues = listenerSetStatus(c, k, o)
	case *gateway.BackendTLSPolicy:
		r.Status, issues = policyStatus(c, k, o)
		issues = append(issues, refusalIssues(c, k)...)
	case *v1alpha1.EnvoyProxy:
		r.Status, issues = envoyProxyStatus(c, k, o)
	default:
		r.Status, issues = routeStatus(c, k, o)
		issues = append(issues, refusalIssues(c, k)...)
	}
	r.Findings = finding.Sort(findings(issues))
	return r
}, incr.Recover(func(k store.Key, reason any) Report {
	return Report{Findings: findings([]issue{internalFault.at(k, "", "report this fault", "%v", reason)})}
}))
