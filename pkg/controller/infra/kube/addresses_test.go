package kube

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/egctl/egctl/pkg/translate"
)

func TestAddressesOf(t *testing.T) {
	t.Parallel()
	v4, v6 := corev1.IPv4Protocol, corev1.IPv6Protocol
	node := func(name string, addresses ...string) corev1.Node {
		var n corev1.Node
		n.Name = name
		for _, a := range addresses {
			typ, ip, _ := strings.Cut(a, "=")
			n.Status.Addresses = append(n.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeAddressType(typ), Address: ip})
		}
		return n
	}
	nodes := []corev1.Node{
		node("b", "InternalIP=10.0.0.2", "Hostname=b", "InternalIP=fd00::2"),
		node("a", "InternalIP=10.0.0.1", "ExternalIP=203.0.113.9"),
	}
	ingress := func(in ...corev1.LoadBalancerIngress) corev1.ServiceStatus {
		return corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: in}}
	}
	var many []corev1.LoadBalancerIngress
	for i := range 20 {
		many = append(many, corev1.LoadBalancerIngress{IP: fmt.Sprintf("192.0.2.%d", i)})
	}
	for _, c := range []struct {
		name      string
		spec      corev1.ServiceSpec
		status    corev1.ServiceStatus
		requested []string
		unknown   bool
		want      string // addresses, hostnames with a dot in front
		unusable  string
		awaits    string
		cut       int
	}{
		{name: "load balancer: IPs before hostnames", spec: corev1.ServiceSpec{Type: "LoadBalancer"},
			status: ingress(corev1.LoadBalancerIngress{Hostname: "lb.example.com"}, corev1.LoadBalancerIngress{IP: "192.0.2.1"}),
			want:   "192.0.2.1 .lb.example.com", awaits: "no load balancer"},
		{name: "load balancer: external IPs if it gave none", spec: corev1.ServiceSpec{Type: "LoadBalancer", ExternalIPs: []string{"192.0.2.7"}}, want: "192.0.2.7", awaits: "no load balancer"},
		{name: "load balancer: nothing yet", spec: corev1.ServiceSpec{Type: "LoadBalancer", ClusterIP: "10.96.0.9"}, awaits: "no load balancer has given Service system/eg an address yet"},
		{name: "load balancer: too many", spec: corev1.ServiceSpec{Type: "LoadBalancer"}, status: ingress(many...), cut: 4, awaits: "no load balancer",
			want: "192.0.2.0 192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4 192.0.2.5 192.0.2.6 192.0.2.7 192.0.2.8 192.0.2.9 192.0.2.10 192.0.2.11 192.0.2.12 192.0.2.13 192.0.2.14 192.0.2.15"},
		{name: "cluster IPs", spec: corev1.ServiceSpec{Type: "ClusterIP", ClusterIP: "10.96.0.9", ClusterIPs: []string{"10.96.0.9", "fd00::9"}}, want: "10.96.0.9 fd00::9", awaits: "Service system/eg has no cluster IP"},
		{name: "headless", spec: corev1.ServiceSpec{Type: "ClusterIP", ClusterIP: "None", ClusterIPs: []string{"None"}}, awaits: "Service system/eg has no cluster IP"},
		{name: "nodes: outside before inside, sorted", spec: corev1.ServiceSpec{Type: "NodePort", IPFamilies: []corev1.IPFamily{v4}}, want: "10.0.0.2 203.0.113.9", awaits: "no node"},
		{name: "nodes: by the order of families", spec: corev1.ServiceSpec{Type: "NodePort", IPFamilies: []corev1.IPFamily{v6, v4}}, want: "fd00::2 10.0.0.2 203.0.113.9", awaits: "no node"},
		{name: "nodes: not known yet", spec: corev1.ServiceSpec{Type: "NodePort"}, unknown: true, awaits: "no node answers for Service system/eg yet"},
		{name: "requested as external IPs", spec: corev1.ServiceSpec{Type: "LoadBalancer", ExternalIPs: []string{"192.0.2.1"}}, status: ingress(corev1.LoadBalancerIngress{IP: "198.51.100.1"}), requested: []string{"192.0.2.1"}, want: "192.0.2.1"},
		{name: "requested as cluster IP", spec: corev1.ServiceSpec{Type: "ClusterIP", ClusterIPs: []string{"fd00::9"}}, requested: []string{"fd00:0::9"}, want: "fd00::9"},
		{name: "requested and not got", spec: corev1.ServiceSpec{Type: "ClusterIP", ClusterIPs: []string{"10.96.0.1"}}, requested: []string{"10.96.0.9"}, want: "10.96.0.1", unusable: "Service system/eg has not got 10.96.0.9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &corev1.Service{Spec: c.spec, Status: c.status}
			s.Namespace, s.Name = "system", "eg"
			got := addressesOf(s, c.requested, func() ([]corev1.Node, bool) { return nodes, !c.unknown })
			var want []translate.Address
			for _, a := range strings.Fields(c.want) {
				want = append(want, translate.Address{Hostname: a[0] == '.', Value: strings.TrimPrefix(a, ".")})
			}
			if !reflect.DeepEqual(got.addresses, want) || got.unusable != c.unusable || !strings.HasPrefix(got.awaits, c.awaits) || got.cut != c.cut {
				t.Errorf("got %+v", got)
			}
		})
	}
}
