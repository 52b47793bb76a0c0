package config

import (
	"fmt"
	"math"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/api/v1alpha1"
)

// check says what contradicts itself in a configuration with its defaults.
func (r *reader) check(c *v1alpha1.EnvoyGateway) {
	r.checkProvider(c.Provider)
	if p := c.Admin.Address.Port; p < 1 || p > math.MaxUint16 {
		r.refuse("admin.address.port", fmt.Sprintf("%d is no TCP port", p), "use one from 1 to 65535")
	}
	r.checkXDSServer(c.XDSServer)
	r.checkTelemetry(c.Telemetry)
	if c.RateLimit != nil {
		r.checkRateLimit(c.RateLimit)
	}
	r.checkExtensions(c)
	if a := c.ExtensionAPIs; a != nil && a.DisableLua != nil && *a.DisableLua == a.EnableLua {
		r.refuse("extensionApis.disableLua", fmt.Sprintf("disableLua and enableLua are both %v", a.EnableLua), "remove disableLua, which is deprecated")
	}
}

func (r *reader) checkProvider(p *v1alpha1.EnvoyGatewayProvider) {
	if p.Type == v1alpha1.ProviderTypeCustom {
		r.refuse("provider.type", "Custom is not supported yet", "use Kubernetes, or serve manifests of this machine by egctl run")
		return
	}
	k := p.Kubernetes
	r.checkWatch("provider.kubernetes.watch", k.Watch)
	r.checkElection("provider.kubernetes.leaderElection", k.LeaderElection)
	for _, limit := range []struct {
		field string
		value int32
	}{{"qps", *k.Client.RateLimit.QPS}, {"burst", *k.Client.RateLimit.Burst}} {
		if limit.value < 1 {
			r.refuse("provider.kubernetes.client.rateLimit."+limit.field, fmt.Sprintf("is %d", limit.value), "use 1 or more")
		}
	}
}

func (r *reader) checkWatch(path string, w *v1alpha1.KubernetesWatchMode) {
	if w == nil {
		return
	}
	switch w.Type {
	case "":
		if len(w.Namespaces) > 0 || w.NamespaceSelector != nil {
			r.refuse(path, "there is no type", "set "+path+".type: Namespaces or NamespaceSelector")
		}
	case v1alpha1.KubernetesWatchModeTypeNamespaces:
		if len(w.Namespaces) == 0 {
			r.refuse(path, "type Namespaces names no namespaces", "set "+path+".namespaces, or remove "+path+" to see all")
		}
		for i, n := range w.Namespaces {
			if problems := validation.IsDNS1123Label(n); len(problems) > 0 {
				r.refuse(fmt.Sprintf("%s.namespaces[%d]", path, i), fmt.Sprintf("%q is no name of a namespace", n), problems[0])
			}
		}
	case v1alpha1.KubernetesWatchModeTypeNamespaceSelector:
		if w.NamespaceSelector == nil {
			r.refuse(path, "type NamespaceSelector has no selector", "set "+path+".namespaceSelector, or remove "+path+" to see all")
		} else if _, err := metav1.LabelSelectorAsSelector(w.NamespaceSelector); err != nil {
			r.refuse(path+".namespaceSelector", err.Error(), "")
		}
	}
}

// checkElection holds what the election itself insists on: renewing must fail
// before others may take over, and there must be time to try again.
func (r *reader) checkElection(path string, e *v1alpha1.LeaderElection) {
	lease, _ := duration(*e.LeaseDuration)
	renew, _ := duration(*e.RenewDeadline)
	retry, _ := duration(*e.RetryPeriod)
	const jitter = 1.2 // that of the client library
	switch {
	case retry <= 0:
		r.refuse(path+".retryPeriod", fmt.Sprintf("is %s", retry), "use more than 0s")
	case renew <= retry*12/10:
		r.refuse(path+".renewDeadline", fmt.Sprintf("is %s, not more than %v times the retryPeriod of %s", renew, jitter, retry), "make renewDeadline longer or retryPeriod shorter")
	case lease <= renew:
		r.refuse(path+".leaseDuration", fmt.Sprintf("is %s, not longer than the renewDeadline of %s", lease, renew), "make leaseDuration longer or renewDeadline shorter")
	}
}

func (r *reader) checkXDSServer(x *v1alpha1.XDSServer) {
	for _, age := range []struct {
		field string
		value *gwapiv1.Duration
	}{{"maxConnectionAge", x.MaxConnectionAge}, {"maxConnectionAgeGrace", x.MaxConnectionAgeGrace}} {
		if age.value == nil {
			continue
		}
		if d, _ := duration(*age.value); d <= 0 {
			r.refuse("xdsServer."+age.field, fmt.Sprintf("is %s", *age.value), "use more than 0s")
		}
	}
	if n := x.MaxReceiveMessageSize.Value(); n < 1 || n > math.MaxInt32 {
		r.refuse("xdsServer.maxReceiveMessageSize", fmt.Sprintf("%s is no size of a message", x.MaxReceiveMessageSize), "use 1 to 2147483647 bytes")
	}
}

func (r *reader) checkTelemetry(t *v1alpha1.EnvoyGatewayTelemetry) {
	sink := func(path string, s *v1alpha1.EnvoyGatewayMetricSink) {
		if s.OpenTelemetry == nil {
			r.refuse(path, "type OpenTelemetry has no openTelemetry", "set "+path+".openTelemetry")
		}
	}
	for i := range t.Metrics.Sinks {
		sink(fmt.Sprintf("telemetry.metrics.sinks[%d]", i), &t.Metrics.Sinks[i])
	}
	if t.Traces != nil && t.Traces.Sink != nil {
		sink("telemetry.traces.sink", t.Traces.Sink)
	}
}

func (r *reader) checkRateLimit(l *v1alpha1.RateLimit) {
	const path = "rateLimit.backend.redis"
	redis := l.Backend.Redis
	switch {
	case redis == nil:
		r.refuse("rateLimit.backend", "type Redis has no redis", "set "+path)
	case redis.URL == "" && redis.URLRef == nil:
		r.refuse(path, "there is no address", "set "+path+".url or urlRef")
	case redis.URL != "" && redis.URLRef != nil:
		r.refuse(path, "there are both url and urlRef", "remove one of them")
	case redis.URLRef != nil:
		key := redis.URLRef.SecretKeyRef
		if key.Name == "" || key.Key == "" {
			r.refuse(path+".urlRef.secretKeyRef", "lacks name or key", "set both")
		}
		if key.Optional != nil && *key.Optional {
			r.refuse(path+".urlRef.secretKeyRef.optional", "the address cannot be optional", "remove the field")
		}
	}
}

func (r *reader) checkExtensions(c *v1alpha1.EnvoyGateway) {
	if c.ExtensionManager != nil && c.ExtensionManagers != nil {
		r.refuse("extensionManager", "cannot be used together with extensionManagers", "move it into extensionManagers")
	}
	if c.ExtensionManager != nil {
		r.checkExtension("extensionManager", c.ExtensionManager)
	}
	if c.ExtensionManagers != nil && len(c.ExtensionManagers) == 0 {
		r.refuse("extensionManagers", "the list is empty", "remove the field")
	}
	var names []string
	for i := range c.ExtensionManagers {
		m := &c.ExtensionManagers[i]
		path := fmt.Sprintf("extensionManagers[%d]", i)
		switch {
		case m.Name == "":
			r.refuse(path, "there is no name", "set "+path+".name")
		case slices.Contains(names, m.Name):
			r.refuse(path+".name", fmt.Sprintf("%q is the name of another extension", m.Name), "make names unique")
		}
		names = append(names, m.Name)
		r.checkExtension(path, m)
	}
}

func (r *reader) checkExtension(path string, m *v1alpha1.ExtensionManager) {
	if m.Hooks == nil {
		r.refuse(path, "there are no hooks", "set "+path+".hooks.xdsTranslator")
	}
	s := m.Service
	if s == nil {
		r.refuse(path, "there is no service", "set "+path+".service")
		return
	}
	addresses := 0
	for _, set := range []bool{s.FQDN != nil, s.IP != nil, s.Unix != nil, s.Host != ""} {
		if set {
			addresses++
		}
	}
	if addresses != 1 {
		r.refuse(path+".service", fmt.Sprintf("there are %d addresses", addresses), "set exactly one of fqdn, ip, unix and host")
	}
}
