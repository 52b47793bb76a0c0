package translate_test

import (
	"slices"
	"strings"
	"testing"

	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"k8s.io/apimachinery/pkg/api/meta"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

const statusInput = `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: eg}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: eg}
spec:
  gatewayClassName: eg
  listeners: [{name: http, protocol: HTTP, port: 80}]
`

// TestProgrammed follows a Gateway from its creation to its first ready proxy,
// in one translator, as the controller reports it.
func TestProgrammed(t *testing.T) {
	s := settings()
	s.AssumeProgrammed = false
	tr := translate.New(s)
	for _, o := range decode(t, []byte(statusInput)) {
		tr.Store.Apply(store.Put(o))
	}
	gw := store.ID{Kind: store.Gateway, Namespace: "default", Name: "eg"}.Key()
	ip, name := translate.Address{Value: "192.0.2.1"}, translate.Address{Hostname: true, Value: "lb.example.com"}
	for _, step := range []struct {
		name      string
		infra     *translate.Infrastructure
		programme bool
		reason    gateway.GatewayConditionReason
		message   string
		addresses []string
	}{
		{"no proxy yet", nil, false, gateway.GatewayReasonPending, "", nil},
		{"no address", &translate.Infrastructure{}, false, gateway.GatewayReasonAddressNotAssigned, "", nil},
		{"no address, and why", &translate.Infrastructure{Message: "the load balancer is slow"}, false, gateway.GatewayReasonAddressNotAssigned, "The load balancer is slow.", nil},
		{"failed", &translate.Infrastructure{Failed: true, Message: "no permission to make a Deployment"}, false, gateway.GatewayReasonNoResources, "No permission to make a Deployment.", nil},
		{"address taken", &translate.Infrastructure{Unusable: "192.0.2.9 is taken"}, false, gateway.GatewayReasonAddressNotUsable, "192.0.2.9 is taken.", nil},
		{"not ready", &translate.Infrastructure{Addresses: []translate.Address{ip}, Message: "0 of 1 proxies are ready"}, false, gateway.GatewayReasonNoResources, "0 of 1 proxies are ready.", []string{"IPAddress 192.0.2.1"}},
		{"ready", &translate.Infrastructure{Ready: true, Addresses: []translate.Address{ip, name}, Message: "1 of 1 proxies are ready"}, true, gateway.GatewayReasonProgrammed, "1 of 1 proxies are ready.", []string{"IPAddress 192.0.2.1", "Hostname lb.example.com"}},
	} {
		t.Run(step.name, func(t *testing.T) {
			if step.infra != nil {
				tr.Store.Apply(store.PutValue(translate.InfrastructureKey(gw), *step.infra))
			}
			ch := tr.Update()
			if step.infra != nil && len(ch.Snapshots)+len(ch.Endpoints) > 0 {
				t.Error("what Envoy gets depends on the infrastructure")
			}
			status, ok := ch.Reports[gw].Status.(*gateway.GatewayStatus)
			if !ok {
				t.Fatalf("no status: %v", ch.Reports)
			}
			c := meta.FindStatusCondition(status.Conditions, string(gateway.GatewayConditionProgrammed))
			if c == nil || (c.Status == "True") != step.programme || c.Reason != string(step.reason) || step.message != "" && c.Message != step.message {
				t.Errorf("condition %v", c)
			}
			var addresses []string
			for _, a := range status.Addresses {
				addresses = append(addresses, string(*a.Type)+" "+a.Value)
			}
			if !slices.Equal(addresses, step.addresses) {
				t.Errorf("addresses %v, want %v", addresses, step.addresses)
			}
			if !meta.IsStatusConditionTrue(status.Conditions, string(gateway.GatewayConditionAccepted)) {
				t.Error("acceptance depends on the infrastructure")
			}
		})
	}
}

// TestSupportedFeatures checks what a class promises: sorted, as the API demands,
// and everything about Gateways.
func TestSupportedFeatures(t *testing.T) {
	tr := translate.New(settings())
	for _, o := range decode(t, []byte(statusInput)) {
		tr.Store.Apply(store.Put(o))
	}
	class := store.ID{Kind: store.GatewayClass, Name: "eg"}.Key()
	status, ok := tr.Update().Reports[class].Status.(*gateway.GatewayClassStatus)
	if !ok || !meta.IsStatusConditionTrue(status.Conditions, string(gateway.GatewayClassConditionStatusAccepted)) {
		t.Fatalf("status %v", status)
	}
	var names []string
	for _, f := range status.SupportedFeatures {
		names = append(names, string(f.Name))
	}
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("features are not sorted or repeat: %v", names)
	}
	for _, want := range []string{"Gateway", "HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute", "ListenerSet", "BackendTLSPolicy"} {
		if !slices.Contains(names, want) {
			t.Errorf("no feature %s in %v", want, names)
		}
	}
	if i := slices.IndexFunc(names, func(n string) bool { return strings.HasPrefix(n, "Mesh") }); i >= 0 {
		t.Errorf("a gateway does not support %s", names[i])
	}
}

// TestHints demands that endpoints are chosen by their hints where the zone of
// the proxies is known, and that incomplete hints are not followed.
func TestHints(t *testing.T) {
	const input = `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: eg}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: eg}
spec: {gatewayClassName: eg, listeners: [{name: http, protocol: HTTP, port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec: {parentRefs: [{name: eg}], rules: [{backendRefs: [{name: web, port: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80, protocol: TCP}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: 8080, name: "", protocol: TCP}]
endpoints:
- {addresses: [10.0.0.1], zone: a, hints: {forZones: [{name: a}]}}
- {addresses: [10.0.0.2], zone: b, hints: {forZones: [{name: b}]}}
`
	for _, row := range []struct{ zone, edit, want string }{
		{"", "", "10.0.0.1 10.0.0.2"},
		{"a", "", "10.0.0.1"},
		{"b", "", "10.0.0.2"},
		{"c", "", "10.0.0.1 10.0.0.2"},
		{"a", ", hints: {forZones: [{name: b}]}", "10.0.0.1 10.0.0.2"}, // one without a hint
	} {
		s := settings()
		s.Zone = row.zone
		tr := translate.New(s)
		for _, o := range decode(t, []byte(strings.Replace(input, row.edit, "", 1))) {
			tr.Store.Apply(store.Put(o))
		}
		r := tr.Update().Endpoints["service/default/web/80"]
		var have []string
		for _, l := range decodeAs(t, r, &endpoint.ClusterLoadAssignment{}).Endpoints {
			for _, e := range l.LbEndpoints {
				have = append(have, e.GetEndpoint().Address.GetSocketAddress().Address)
			}
		}
		if got := strings.Join(have, " "); got != row.want {
			t.Errorf("zone %q without %q: %s, want %s", row.zone, row.edit, got, row.want)
		}
	}
}

// TestRoutability shows each Gateway the addresses of the scope that it asks for.
func TestRoutability(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, addresses, want string }{
		{"default", "", "192.0.2.1"},
		{"cluster", "addresses: [{routability: Cluster}]", "10.96.0.9 Cluster"},
		{"both", `addresses: [{routability: Cluster}, {value: 192.0.2.1}]`, "192.0.2.1, 10.96.0.9 Cluster"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := settings()
			s.AssumeProgrammed = false
			tr := translate.New(s)
			for _, o := range decode(t, []byte(statusInput+"  "+c.addresses+"\n")) {
				tr.Store.Apply(store.Put(o))
			}
			gw := store.ID{Kind: store.Gateway, Namespace: "default", Name: "eg"}.Key()
			tr.Store.Apply(store.PutValue(translate.InfrastructureKey(gw), translate.Infrastructure{
				Ready: true, Addresses: []translate.Address{{Value: "192.0.2.1"}, {Cluster: true, Value: "10.96.0.9"}},
			}))
			var got []string
			for _, a := range tr.Update().Reports[gw].Status.(*gateway.GatewayStatus).Addresses {
				text := a.Value
				if a.Routability != nil {
					text += " " + string(*a.Routability)
				}
				got = append(got, text)
			}
			if strings.Join(got, ", ") != c.want {
				t.Errorf("addresses %v, want %s", got, c.want)
			}
		})
	}
}

// TestBundle has a GatewayClass say whether the CRDs are of a release that is
// supported, and claim no features whose fields they lack.
func TestBundle(t *testing.T) {
	t.Parallel()
	tr := translate.New(settings())
	for _, o := range decode(t, []byte(statusInput)) {
		tr.Store.Apply(store.Put(o))
	}
	class := store.ID{Kind: store.GatewayClass, Name: "eg"}.Key()
	var status *gateway.GatewayClassStatus
	for _, c := range []struct {
		bundle       *store.Bundle
		condition    string
		experimental bool
	}{
		{nil, "", true},
		{&store.Bundle{Version: "v1.7.0", Channel: "standard"}, "True SupportedVersion", false},
		{&store.Bundle{Version: "v1.7.0", Channel: "experimental"}, "True SupportedVersion", true},
		{&store.Bundle{Version: "v1.7.3", Channel: "experimental"}, "True SupportedVersion", true},
		{&store.Bundle{Version: "v1.2.1", Channel: "experimental"}, "True SupportedVersion", true},
		{&store.Bundle{Version: "v1.8.0", Channel: "experimental"}, "False UnsupportedVersion", true},
		{&store.Bundle{}, "False UnsupportedVersion", true},
		{&store.Bundle{Version: "lately", Channel: "experimental"}, "False UnsupportedVersion", true},
	} {
		if c.bundle != nil {
			tr.Store.Apply(store.PutValue(store.BundleKey(), *c.bundle))
		}
		if r, changed := tr.Update().Reports[class]; changed {
			status = r.Status.(*gateway.GatewayClassStatus)
		}
		got := ""
		if found := meta.FindStatusCondition(status.Conditions, string(gateway.GatewayClassConditionStatusSupportedVersion)); found != nil {
			got = string(found.Status) + " " + found.Reason
		}
		has := func(name gateway.FeatureName) bool {
			return slices.ContainsFunc(status.SupportedFeatures, func(f gateway.SupportedFeature) bool { return f.Name == name })
		}
		if got != c.condition || has("GatewayListenerFilters") != c.experimental || !has("HTTPRoute") || has("Mesh") {
			t.Errorf("%+v: condition %q, features %v", c.bundle, got, status.SupportedFeatures)
		}
	}
}
