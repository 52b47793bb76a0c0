package render

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/translate"
)

func (c *Config) service(f *translate.Fleet, n Names) *corev1.Service {
	s := ptr.Deref(kubernetes(f).EnvoyService, v1alpha1.KubernetesServiceSpec{})
	// Labels of the infrastructure are not selected by: a new one would cut off the
	// running pods before their successors are there.
	selector := c.StableLabels(f.Key)
	spec := corev1.ServiceSpec{
		Type:            serviceType(f),
		Selector:        selector,
		SessionAffinity: corev1.ServiceAffinityNone,
		Ports:           servicePorts(f.Ports),
	}
	if spec.Type != corev1.ServiceTypeClusterIP {
		spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
		if s.ExternalTrafficPolicy != nil {
			spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicy(*s.ExternalTrafficPolicy)
		}
	}
	if spec.Type == corev1.ServiceTypeLoadBalancer {
		spec.LoadBalancerClass = s.LoadBalancerClass
		spec.AllocateLoadBalancerNodePorts = s.AllocateLoadBalancerNodePorts
		spec.LoadBalancerSourceRanges = s.LoadBalancerSourceRanges
		spec.LoadBalancerIP = ptr.Deref(s.LoadBalancerIP, "")
	}
	if len(f.ClusterAddresses) > 0 {
		spec.ClusterIP = f.ClusterAddresses[0]
	}
	if len(f.Addresses) > 0 {
		if spec.Type == corev1.ServiceTypeClusterIP {
			spec.ClusterIP = f.Addresses[0]
		} else {
			spec.ExternalIPs = f.Addresses
		}
	}
	if family := f.Parameters.IPFamily; family != nil {
		switch *family {
		case v1alpha1.IPv6:
			spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol}
			spec.IPFamilyPolicy = ptr.To(corev1.IPFamilyPolicySingleStack)
		case v1alpha1.DualStack:
			spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}
			spec.IPFamilyPolicy = ptr.To(corev1.IPFamilyPolicyRequireDualStack)
		}
	}
	return &corev1.Service{
		ObjectMeta: c.meta(f, n.Namespace, n.Service, c.labels(f, s.Labels), merged(f.Annotations, s.Annotations)),
		Spec:       spec,
	}
}

// serviceType is how a fleet is reached.
func serviceType(f *translate.Fleet) corev1.ServiceType {
	if f.ClusterIPOnly {
		return corev1.ServiceTypeClusterIP
	}
	if s := kubernetes(f).EnvoyService; s != nil && s.Type != nil {
		return corev1.ServiceType(*s.Type)
	}
	return corev1.ServiceTypeLoadBalancer
}

func servicePorts(ports []translate.FleetPort) []corev1.ServicePort {
	out := make([]corev1.ServicePort, len(ports))
	for i, p := range ports {
		protocol := corev1.ProtocolTCP
		if p.UDP {
			protocol = corev1.ProtocolUDP
		}
		out[i] = corev1.ServicePort{Name: p.Name, Port: p.Port, Protocol: protocol, TargetPort: intstr.FromInt32(p.ContainerPort)}
	}
	return out
}
