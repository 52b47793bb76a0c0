package translate

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"k8s.io/utils/ptr"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/incr"
)

// badField is a field of an EnvoyProxy that cannot work.
type badField struct{ path, message, hint string }

// checkProxy finds what cannot work in an EnvoyProxy, among the fields that egctl
// acts on, sorted. What comes of it is for Settings.CheckProxy to say.
func checkProxy(c *incr.Context, s *v1alpha1.EnvoyProxySpec) []badField {
	bad := checkSpec(s)
	slices.SortFunc(bad, func(a, b badField) int { return cmp.Compare(a.path, b.path) })
	check := settings(c).CheckProxy
	if check == nil || len(bad) > 0 {
		return bad
	}
	if err := check(s); err != nil {
		field, message, ok := strings.Cut(err.Error(), ": ")
		if !ok || !strings.HasPrefix(field, "spec.") {
			field, message = "spec", err.Error()
		}
		bad = append(bad, badField{path: field, message: message})
	}
	return bad
}

func checkSpec(s *v1alpha1.EnvoyProxySpec) []badField {
	var bad []badField
	add := func(path, hint, format string, args ...any) {
		bad = append(bad, badField{path, fmt.Sprintf(format, args...), hint})
	}
	switch f := ptr.Deref(s.IPFamily, v1alpha1.IPv4); f {
	case v1alpha1.IPv4, v1alpha1.IPv6, v1alpha1.DualStack:
	default:
		add("spec.ipFamily", "use IPv4, IPv6 or DualStack", "family %q is not known", f)
	}
	switch m := mergeType(s); m {
	case v1alpha1.Replace, v1alpha1.StrategicMerge, v1alpha1.JSONMerge:
	default:
		add("spec.mergeType", "use Replace, StrategicMerge or JSONMerge", "mergeType %q is not known", m)
	}
	if s.MergeBackends != nil && ptr.Deref(s.MergeGateways, false) {
		add("spec.mergeBackends", "remove one of them", "mergeBackends does not go with mergeGateways")
	}
	if d := s.Shutdown; d != nil {
		for name, v := range map[string]*string{
			"drainTimeout": (*string)(d.DrainTimeout), "minDrainDuration": (*string)(d.MinDrainDuration), "healthCheckFailureDelay": (*string)(d.HealthCheckFailureDelay),
		} {
			if _, err := time.ParseDuration(ptr.Deref(v, "0s")); err != nil {
				add("spec.shutdown."+name, `write it like "30s"`, "%q is not a duration", *v)
			}
		}
	}
	p := s.Provider
	if p == nil {
		return bad
	}
	switch {
	case p.Type == v1alpha1.EnvoyProxyProviderHost && p.Host == nil:
		add("spec.provider.host", "set host", "provider type Host needs it")
	case p.Type != v1alpha1.EnvoyProxyProviderKubernetes && p.Type != v1alpha1.EnvoyProxyProviderHost:
		add("spec.provider.type", "use Kubernetes", "provider type %q is not known", p.Type)
	}
	if p.Kubernetes != nil {
		bad = append(bad, checkKubernetes(p.Kubernetes)...)
	}
	return bad
}

func checkKubernetes(k *v1alpha1.EnvoyProxyKubernetesProvider) []badField {
	const at = "spec.provider.kubernetes."
	var bad []badField
	add := func(path, hint, format string, args ...any) {
		bad = append(bad, badField{at + path, fmt.Sprintf(format, args...), hint})
	}
	patch := func(of string, p *v1alpha1.KubernetesPatchSpec) {
		if p == nil {
			return
		}
		if t := ptr.Deref(p.Type, v1alpha1.PatchStrategicMerge); t != v1alpha1.PatchStrategicMerge && t != v1alpha1.PatchJSONMerge {
			add(of+".patch.type", "use StrategicMerge or JSONMerge", "patch type %q is not known", t)
		}
		var value map[string]any
		if err := json.Unmarshal(p.Value.Raw, &value); err != nil || len(value) == 0 {
			add(of+".patch.value", "write the fields to change, or remove the patch", "the patch is empty or no object")
		}
	}
	if k.EnvoyDeployment != nil && k.EnvoyDaemonSet != nil {
		add("envoyDaemonSet", "remove one of them", "envoyDeployment and envoyDaemonSet exclude each other")
	}
	if k.EnvoyHpa != nil && k.EnvoyDaemonSet != nil {
		add("envoyHpa", "remove it", "a DaemonSet cannot be scaled")
	}
	if d := k.EnvoyDeployment; d != nil {
		patch("envoyDeployment", d.Patch)
	}
	if d := k.EnvoyDaemonSet; d != nil {
		patch("envoyDaemonSet", d.Patch)
	}
	if h := k.EnvoyHpa; h != nil {
		patch("envoyHpa", h.Patch)
	}
	if d := k.EnvoyPDB; d != nil {
		patch("envoyPDB", d.Patch)
	}
	s := k.EnvoyService
	if s == nil {
		return bad
	}
	patch("envoyService", s.Patch)
	kind := ptr.Deref(s.Type, v1alpha1.ServiceTypeLoadBalancer)
	switch kind {
	case v1alpha1.ServiceTypeClusterIP, v1alpha1.ServiceTypeLoadBalancer, v1alpha1.ServiceTypeNodePort:
	default:
		add("envoyService.type", "use LoadBalancer, ClusterIP or NodePort", "type %q is not supported", kind)
	}
	for name, set := range map[string]bool{
		"allocateLoadBalancerNodePorts": s.AllocateLoadBalancerNodePorts != nil,
		"loadBalancerSourceRanges":      len(s.LoadBalancerSourceRanges) > 0,
		"loadBalancerIP":                s.LoadBalancerIP != nil,
	} {
		if set && kind != v1alpha1.ServiceTypeLoadBalancer {
			add("envoyService."+name, "remove it, or use type LoadBalancer", "a Service of type %s has none", kind)
		}
	}
	for i, cidr := range s.LoadBalancerSourceRanges {
		if _, err := netip.ParsePrefix(cidr); err != nil {
			add(path("envoyService.loadBalancerSourceRanges", i), `write it like "192.0.2.0/24"`, "%q is not a range of addresses", cidr)
		}
	}
	if ip := s.LoadBalancerIP; ip != nil {
		if a, err := netip.ParseAddr(*ip); err != nil || !a.Is4() {
			add("envoyService.loadBalancerIP", "", "%q is not an IPv4 address", *ip)
		}
	}
	return bad
}

// ignoredFields are the fields of an EnvoyProxy that egctl knows and does not act
// on yet.
var ignoredFields = []string{
	"backendTLS", "dynamicModules", "filterOrder", "geoIP", "lua", "luaValidation", "mergeBackends", "provider.host", "routingType",
	"telemetry.accessLog", "telemetry.healthCheckLog", "telemetry.requestID", "telemetry.tracing",
	"telemetry.metrics.clusterStatName", "telemetry.metrics.enableGRPCStats", "telemetry.metrics.enablePerEndpointStats",
	"telemetry.metrics.enableRequestResponseSizesStats", "telemetry.metrics.enableVirtualHostStats",
}

// IgnoredProxyFields lists the fields of an EnvoyProxy that have no effect, each from
// spec on.
func IgnoredProxyFields(s *v1alpha1.EnvoyProxySpec) []string {
	data, err := json.Marshal(s)
	if err != nil {
		return nil // what cannot be written was not read from anywhere
	}
	var doc map[string]any
	if json.Unmarshal(data, &doc) != nil {
		return nil
	}
	var list []string
	for _, field := range ignoredFields {
		var at any = doc
		for name := range strings.SplitSeq(field, ".") {
			m, _ := at.(map[string]any)
			at = m[name]
		}
		if at != nil {
			list = append(list, "spec."+field)
		}
	}
	return list
}
