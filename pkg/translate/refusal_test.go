package translate_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/manifest"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
	"github.com/egctl/egctl/pkg/translate/xds"
)

const refusedWorld = `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: eg}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: eg
  allowedListeners: {namespaces: {from: Same}}
  listeners:
  - {name: a, protocol: HTTP, port: 8001}
  - {name: b, protocol: HTTP, port: 8002}
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: set}
spec: {parentRef: {name: gw}, listeners: [{name: c, protocol: HTTP, port: 8003}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
`

// TestRefusedPorts: what Envoy refuses of a listener is said where its port is
// written, and costs the neighbours nothing.
func TestRefusedPorts(t *testing.T) {
	tr := translate.New(translate.DefaultSettings())
	reports := map[store.Key]translate.Report{}
	apply := func(changes ...store.Change) {
		tr.Store.Apply(changes...)
		for k, r := range tr.Update().Reports {
			reports[k] = r
		}
	}
	key := func(kind store.Kind, name string) store.Key {
		return store.ID{Kind: kind, Namespace: "default", Name: name}.Key()
	}
	gw, set, web := key(store.Gateway, "gw"), key(store.ListenerSet, "set"), key(store.Service, "web")
	for _, d := range manifest.Parse("world.yaml", []byte(refusedWorld), "default") {
		apply(store.Put(d.Object))
	}
	apply(store.PutValue(translate.InfrastructureKey(gw), translate.Infrastructure{Ready: true, Message: "ready", Addresses: []translate.Address{{Value: "127.0.0.1"}}}))
	refuse := func(k store.Key, kind xds.Type, name, message string) {
		apply(store.PutValue(translate.RefusalKey(k), translate.Refusal{Object: k, Resources: []translate.RefusedResource{{Type: kind, Name: name, Message: message}}}))
	}
	refuse(gw, xds.ListenerType, "tcp-8002", "cannot bind")
	refuse(set, xds.ListenerType, "tcp-8003", "cannot bind either")
	refuse(web, xds.ClusterType, "web", "no such thing")

	status := reports[gw].Status.(*gateway.GatewayStatus)
	wants := []struct {
		what       string
		conditions []metav1.Condition
		status     metav1.ConditionStatus
		message    string
	}{
		{"the Gateway", status.Conditions, metav1.ConditionFalse, "cannot bind"},
		{"listener a", status.Listeners[0].Conditions, metav1.ConditionTrue, ""},
		{"listener b", status.Listeners[1].Conditions, metav1.ConditionFalse, "ort 8002: cannot bind"},
		{"the ListenerSet", reports[set].Status.(*gateway.ListenerSetStatus).Conditions, metav1.ConditionFalse, "cannot bind either"},
	}
	for _, w := range wants {
		for _, c := range w.conditions {
			switch c.Type {
			case "Accepted":
				if c.Status != metav1.ConditionTrue {
					t.Errorf("%s: %+v", w.what, c)
				}
			case "Programmed":
				if c.Status != w.status || !strings.Contains(c.Message, w.message) {
					t.Errorf("%s: %+v, want %s with %q", w.what, c, w.status, w.message)
				}
			}
		}
	}
	for k, path := range map[store.Key]string{gw: "spec.listeners[1].port", set: "spec.listeners[0].port", web: ""} {
		if f := reports[k].Findings; len(f) != 1 || f[0].Code != "EG6001" || f[0].Path != path {
			t.Errorf("%s: findings %+v", k, f)
		}
	}
	for _, k := range []store.Key{gw, set, web} {
		apply(store.Delete(translate.RefusalKey(k)))
		if f := reports[k].Findings; len(f) != 0 {
			t.Errorf("%s: it is settled, and still there is %+v", k, f)
		}
	}
}
