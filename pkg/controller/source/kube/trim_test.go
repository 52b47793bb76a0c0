package kube

import (
	"testing"

	core "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/store"
)

// TestTrim demands that what the translator reads is kept, and the rest not.
func TestTrim(t *testing.T) {
	secret := &core.Secret{Data: map[string][]byte{"tls.crt": {1}, "tls.key": {2}, "ca.crt": {3}, "password": {4}}}
	secret.Annotations = map[string]string{core.LastAppliedConfigAnnotation: "{}"}
	trim(store.Secret, secret)
	if len(secret.Data) != 3 || secret.Data["password"] != nil || secret.Annotations != nil {
		t.Errorf("kept %v", secret)
	}
	config := &core.ConfigMap{Data: map[string]string{"ca.crt": "pem", "index.html": "big"}}
	trim(store.ConfigMap, config)
	if len(config.Data) != 1 || config.Data["ca.crt"] != "pem" {
		t.Errorf("kept %v", config.Data)
	}
	slice := &discoveryv1.EndpointSlice{Endpoints: []discoveryv1.Endpoint{{
		Addresses: []string{"10.0.0.1"}, Zone: ptr.To("z"), NodeName: ptr.To("n"), TargetRef: &core.ObjectReference{Name: "pod"},
		Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(false), Serving: ptr.To(true)},
	}}}
	slice.Labels = map[string]string{discoveryv1.LabelServiceName: "web"}
	trim(store.EndpointSlice, slice)
	e := slice.Endpoints[0]
	if e.TargetRef != nil || e.NodeName != nil || *e.Zone != "z" || e.Addresses[0] != "10.0.0.1" ||
		*e.Conditions.Ready || !*e.Conditions.Serving || e.Conditions.Terminating != nil || slice.Labels[discoveryv1.LabelServiceName] != "web" {
		t.Errorf("kept %v", slice)
	}
	route := &gateway.HTTPRoute{}
	route.Annotations = map[string]string{core.LastAppliedConfigAnnotation: "{}", "mine": "yes"}
	route.Status.Parents = []gateway.RouteParentStatus{{}}
	trim(store.HTTPRoute, route)
	if len(route.Annotations) != 1 || len(route.Status.Parents) != 1 {
		t.Errorf("kept %v", route)
	}
}
