package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// service makes a Service of type LoadBalancer that was created at the given
// second.
func service(name string, second int64, has, wants string) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, CreationTimestamp: metav1.NewTime(time.Unix(second, 0))},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, LoadBalancerIP: wants},
	}
	if has != "" {
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: has}}
	}
	return s
}

func TestPlan(t *testing.T) {
	classed := service("classed", 1, "", "")
	classed.Spec.LoadBalancerClass = new("example.com/other")
	clusterIP := service("cluster-ip", 1, "", "")
	clusterIP.Spec.Type = corev1.ServiceTypeClusterIP

	for _, test := range []struct {
		name     string
		services []*corev1.Service
		last     string
		want     string
	}{
		{name: "the older chooses first", services: []*corev1.Service{service("b", 1, "", ""), service("a", 2, "", "")}, want: "b=10.0.0.1 a=10.0.0.2"},
		{name: "what is right stays", services: []*corev1.Service{service("a", 1, "10.0.0.2", "")}},
		{name: "a wish is fulfilled", services: []*corev1.Service{service("a", 1, "", "10.0.0.3")}, want: "a=10.0.0.3"},
		{name: "a wish is heard later", services: []*corev1.Service{service("a", 1, "10.0.0.1", "10.0.0.3")}, want: "a=10.0.0.3"},
		{name: "a wish beyond the range", services: []*corev1.Service{service("a", 1, "", "192.0.2.1")}},
		{name: "a wish beyond the range takes away", services: []*corev1.Service{service("a", 1, "10.0.0.1", "192.0.2.1")}, want: "a=none"},
		{name: "a wish for the prefix itself", services: []*corev1.Service{service("a", 1, "", "10.0.0.0")}},
		{name: "no wish for what another has", services: []*corev1.Service{service("a", 1, "", "10.0.0.1"), service("b", 2, "10.0.0.1", "")}},
		{name: "two have the same", services: []*corev1.Service{service("b", 2, "10.0.0.1", ""), service("a", 1, "10.0.0.1", "")}, want: "b=10.0.0.2"},
		{name: "an address that is not ours is replaced", services: []*corev1.Service{service("a", 1, "192.0.2.1", "")}, want: "a=10.0.0.1"},
		{name: "goes on from the last", last: "10.0.0.1", services: []*corev1.Service{service("a", 1, "", "")}, want: "a=10.0.0.2"},
		{name: "begins again at the end", last: "10.0.0.3", services: []*corev1.Service{service("a", 1, "", "")}, want: "a=10.0.0.1"},
		{
			name: "all are taken", last: "10.0.0.2",
			services: []*corev1.Service{service("a", 1, "10.0.0.1", ""), service("b", 1, "10.0.0.2", ""), service("c", 1, "10.0.0.3", ""), service("d", 2, "", "")},
		},
		{name: "another's class", services: []*corev1.Service{classed}},
		{name: "another type", services: []*corev1.Service{clusterIP}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := pool{prefix: netip.MustParsePrefix("10.0.0.0/30")}
			if test.last != "" {
				p.last = netip.MustParseAddr(test.last)
			}
			var got []string
			for _, c := range p.plan(slices.Clone(test.services)) {
				address := "none"
				if c.address.IsValid() {
					address = c.address.String()
				}
				got = append(got, fmt.Sprintf("%s=%s", c.service.Name, address))
			}
			if got := strings.Join(got, " "); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
