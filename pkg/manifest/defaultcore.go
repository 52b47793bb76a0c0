package manifest

import (
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/egctl/egctl/pkg/store"
)

// defaultCore fills in what the API server does for the built-in kinds, as far
// as anything that egctl reads depends on it.
func defaultCore(o store.Object) {
	if o.GetGeneration() == 0 {
		o.SetGeneration(1)
	}
	switch o := o.(type) {
	case *core.Namespace:
		if o.Labels == nil {
			o.Labels = map[string]string{}
		}
		// Selectors of allowed namespaces commonly go by this label.
		o.Labels[core.LabelMetadataName] = o.Name
	case *core.Service:
		if o.Spec.Type == "" {
			o.Spec.Type = core.ServiceTypeClusterIP
		}
		if o.Spec.SessionAffinity == "" {
			o.Spec.SessionAffinity = core.ServiceAffinityNone
		}
		for i := range o.Spec.Ports {
			p := &o.Spec.Ports[i]
			if p.Protocol == "" {
				p.Protocol = core.ProtocolTCP
			}
			if p.TargetPort == intstr.FromInt32(0) || p.TargetPort == intstr.FromString("") {
				p.TargetPort = intstr.FromInt32(p.Port)
			}
		}
	case *discovery.EndpointSlice:
		for i := range o.Ports {
			p := &o.Ports[i]
			if p.Name == nil {
				p.Name = new("")
			}
			if p.Protocol == nil {
				p.Protocol = new(core.ProtocolTCP)
			}
		}
	case *core.Secret:
		if o.Type == "" {
			o.Type = core.SecretTypeOpaque
		}
		for k, v := range o.StringData {
			if o.Data == nil {
				o.Data = make(map[string][]byte, len(o.StringData))
			}
			o.Data[k] = []byte(v)
		}
		o.StringData = nil
	}
}
