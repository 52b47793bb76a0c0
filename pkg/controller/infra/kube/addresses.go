package kube

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

// maxAddresses is how many a Gateway's status can hold.
const maxAddresses = 16

// found is at which addresses a Service is reached.
type found struct {
	addresses []translate.Address
	// unusable says why requested addresses are not among them, awaits what there
	// has to be before there are any.
	unusable, awaits string
	// cut is the number of addresses that are too many.
	cut int
}

// addressesOf returns the addresses of a Service. nodes returns those that answer
// at its node ports, and whether they are known yet.
func addressesOf(s *corev1.Service, requested []string, nodes func() ([]corev1.Node, bool)) found {
	var f found
	var ips, hostnames []string
	switch {
	case len(requested) > 0:
		return requestedAddresses(s, requested)
	case s.Spec.Type == corev1.ServiceTypeLoadBalancer:
		for _, in := range s.Status.LoadBalancer.Ingress {
			if in.IP != "" {
				ips = append(ips, in.IP)
			}
			if in.Hostname != "" {
				hostnames = append(hostnames, in.Hostname)
			}
		}
		if len(ips)+len(hostnames) == 0 {
			ips = s.Spec.ExternalIPs
		}
		f.awaits = fmt.Sprintf("no load balancer has given Service %s/%s an address yet", s.Namespace, s.Name)
	case s.Spec.Type == corev1.ServiceTypeNodePort:
		all, known := nodes()
		f.awaits = fmt.Sprintf("no node answers for Service %s/%s yet", s.Namespace, s.Name)
		if known {
			ips = nodeAddresses(all, s.Spec.IPFamilies)
		}
	default:
		ips = clusterIPs(s)
		f.awaits = fmt.Sprintf("Service %s/%s has no cluster IP yet", s.Namespace, s.Name)
	}
	for _, ip := range ips {
		f.addresses = append(f.addresses, translate.Address{Value: ip})
	}
	for _, h := range hostnames {
		f.addresses = append(f.addresses, translate.Address{Hostname: true, Value: h})
	}
	if len(f.addresses) > maxAddresses {
		f.cut = len(f.addresses) - maxAddresses
		f.addresses = f.addresses[:maxAddresses]
	}
	return f
}

// withClusterIPs adds the cluster IPs of a Service where a Gateway asks for them by
// routability Cluster, or has them in place of other addresses.
func withClusterIPs(f *translate.Fleet, s *corev1.Service, found found) found {
	if !f.ClusterIP {
		return found
	}
	if f.ClusterIPOnly {
		found.addresses = nil
	}
	ips := clusterIPs(s)
	if room := maxAddresses - len(found.addresses); len(ips) > room {
		found.cut, ips = found.cut+len(ips)-room, ips[:room]
	}
	for _, ip := range ips {
		found.addresses = append(found.addresses, translate.Address{Cluster: true, Value: ip})
	}
	if found.unusable == "" {
		found.unusable = missing(s, f.ClusterAddresses, ips)
	}
	return found
}

// requestedAddresses checks that a Service has what the Gateway asks for.
func requestedAddresses(s *corev1.Service, requested []string) found {
	has := s.Spec.ExternalIPs
	if len(has) == 0 {
		has = clusterIPs(s)
	}
	var f found
	for _, ip := range has {
		if len(f.addresses) < maxAddresses {
			f.addresses = append(f.addresses, translate.Address{Value: ip})
		}
	}
	f.unusable = missing(s, requested, has)
	return f
}

// missing says which requested addresses a Service does not have; empty: none.
func missing(s *corev1.Service, requested, has []string) string {
	lacks := slices.DeleteFunc(slices.Clone(requested), func(r string) bool {
		return slices.ContainsFunc(has, func(ip string) bool { return sameIP(ip, r) })
	})
	if len(lacks) == 0 {
		return ""
	}
	return fmt.Sprintf("Service %s/%s has not got %s", s.Namespace, s.Name, strings.Join(lacks, ", "))
}

func sameIP(a, b string) bool {
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	return errX == nil && errY == nil && x == y
}

func clusterIPs(s *corev1.Service) []string {
	ips := s.Spec.ClusterIPs
	if len(ips) == 0 && s.Spec.ClusterIP != "" {
		ips = []string{s.Spec.ClusterIP}
	}
	return slices.DeleteFunc(slices.Clone(ips), func(ip string) bool { return ip == corev1.ClusterIPNone || ip == "" })
}

// nodeAddresses are the addresses of nodes in the families of a Service: those
// outside the cluster of a node that has any, else those inside.
func nodeAddresses(nodes []corev1.Node, families []corev1.IPFamily) []string {
	if len(families) == 0 {
		families = []corev1.IPFamily{corev1.IPv4Protocol}
	}
	var out []netip.Addr
	for _, family := range families {
		for _, n := range nodes {
			of := func(t corev1.NodeAddressType) (ips []netip.Addr) {
				for _, a := range n.Status.Addresses {
					ip, err := netip.ParseAddr(a.Address)
					if err == nil && a.Type == t && ip.Is4() == (family == corev1.IPv4Protocol) {
						ips = append(ips, ip)
					}
				}
				return ips
			}
			ips := of(corev1.NodeExternalIP)
			if len(ips) == 0 {
				ips = of(corev1.NodeInternalIP)
			}
			out = append(out, ips...)
		}
	}
	// In an order that does not depend on the nodes'.
	slices.SortFunc(out, func(a, b netip.Addr) int {
		return cmp.Or(cmp.Compare(slices.Index(families, familyOf(a)), slices.Index(families, familyOf(b))), a.Compare(b))
	})
	var text []string
	for _, ip := range slices.Compact(out) {
		text = append(text, ip.String())
	}
	return text
}

func familyOf(ip netip.Addr) corev1.IPFamily {
	if ip.Is4() {
		return corev1.IPv4Protocol
	}
	return corev1.IPv6Protocol
}

// nodes returns the nodes that answer at the node ports of a fleet's Service, and
// whether they are known yet.
func (i *Infrastructure) nodes(k store.Key, s *corev1.Service) ([]corev1.Node, bool) {
	if !i.watches.nodePorts() {
		return nil, false
	}
	local := s.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
	serving := map[string]bool{}
	if local {
		for _, o := range indexed(i.watches.slices, byFleet, k) {
			if o.GetLabels()[discoveryv1.LabelServiceName] != s.Name {
				continue
			}
			var slice discoveryv1.EndpointSlice
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &slice); err != nil {
				i.o.Logger.Error("cannot read EndpointSlice", "namespace", o.GetNamespace(), "name", o.GetName(), "error", err)
				continue
			}
			for _, e := range slice.Endpoints {
				if ptr.Deref(e.Conditions.Ready, true) && e.NodeName != nil {
					serving[*e.NodeName] = true
				}
			}
		}
	}
	var out []corev1.Node
	for _, o := range i.watches.nodes.GetIndexer().List() {
		u := o.(*unstructured.Unstructured)
		if local && !serving[u.GetName()] {
			continue
		}
		var n corev1.Node
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &n); err != nil {
			i.o.Logger.Error("cannot read Node", "name", u.GetName(), "error", err)
			continue
		}
		out = append(out, n)
	}
	return out, true
}
