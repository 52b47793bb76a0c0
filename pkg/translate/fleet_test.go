package translate_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

const fleetWorld = `apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: eg}
spec:
  controllerName: gateway.envoyproxy.io/gatewayclass-controller
  parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: proxy, namespace: default}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: one, creationTimestamp: "2026-01-01T00:00:00Z"}
spec: {gatewayClassName: eg, listeners: [{name: http, protocol: HTTP, port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: two, creationTimestamp: "2026-01-02T00:00:00Z"}
spec: {gatewayClassName: eg, listeners: [{name: http, protocol: HTTP, port: 8080}]}
`

const fleetRoute = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec: {parentRefs: [{name: one}], hostnames: [%s], rules: [{backendRefs: [{name: web, port: 80}]}]}`

func proxySpec(spec string) string {
	return "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyProxy\nmetadata: {name: proxy}\nspec: " + spec
}

// living is a translator, and what its consumers have put together.
type living struct {
	t  *testing.T
	tr *translate.Translator
	*state
}

func newLiving(t *testing.T, s translate.Settings, objects ...string) *living {
	l := &living{t, translate.New(s), newState()}
	l.put(objects...)
	return l
}

// put applies objects and returns what changes by them.
func (l *living) put(objects ...string) translate.Changes {
	l.t.Helper()
	var changes []store.Change
	for _, o := range decode(l.t, []byte(strings.Join(objects, "\n---\n"))) {
		changes = append(changes, store.Put(o))
	}
	return l.apply(changes...)
}

func (l *living) apply(changes ...store.Change) translate.Changes {
	l.tr.Store.Apply(changes...)
	ch := l.tr.Update()
	l.state.apply(ch)
	return ch
}

func (l *living) fleetNames() string {
	var names []string
	for _, k := range sortedKeys(l.fleets) {
		names = append(names, translate.FleetName(k))
	}
	return strings.Join(names, " ")
}

var (
	classKey = store.ID{Kind: store.GatewayClass, Name: "eg"}.Key()
	oneKey   = store.ID{Kind: store.Gateway, Namespace: "default", Name: "one"}.Key()
	proxyKey = store.ID{Kind: store.EnvoyProxy, Namespace: "default", Name: "proxy"}.Key()
)

// TestEditsReachTheirConsumer: a route is nothing to the infrastructure, and a
// label nothing to Envoy.
func TestEditsReachTheirConsumer(t *testing.T) {
	for _, merge := range []string{"{}", "{mergeGateways: true}"} {
		l := newLiving(t, settings(), fleetWorld, proxySpec(merge), fmt.Sprintf(fleetRoute, "a.example.com"))
		if ch := l.put(fmt.Sprintf(fleetRoute, "b.example.com")); len(ch.Snapshots) != 1 || len(ch.Fleets) != 0 {
			t.Errorf("%s: a route changes %d snapshots and %d fleets, want 1 and none", merge, len(ch.Snapshots), len(ch.Fleets))
		}
		labelled := strings.ReplaceAll(fleetWorld, "port: 80}", "port: 80}], infrastructure: {labels: {a: b}}, addresses: [{value: 192.0.2.1}")
		if ch := l.put(labelled); len(ch.Snapshots) != 0 || len(ch.Fleets) != 1 {
			t.Errorf("%s: a label changes %d snapshots and %d fleets, want none and 1", merge, len(ch.Snapshots), len(ch.Fleets))
		}
		if ch := l.put(proxySpec(strings.Replace(merge, "{", "{concurrency: 3, ", 1))); len(ch.Snapshots) != 0 || len(ch.Fleets) == 0 {
			t.Errorf("%s: the EnvoyProxy changes %d snapshots and %d fleets, want none and some", merge, len(ch.Snapshots), len(ch.Fleets))
		}
	}
}

// TestInvalidParametersFreeze: what runs keeps its listeners, still learns of
// routes, and is not changed until the parameters are good again.
func TestInvalidParametersFreeze(t *testing.T) {
	for name, bad := range map[string]store.Change{
		"invalid": store.Put(&v1alpha1.EnvoyProxy{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "proxy"}, Spec: v1alpha1.EnvoyProxySpec{IPFamily: ptr.To[v1alpha1.IPFamily]("IPv5")}}),
		"gone":    store.Delete(proxyKey),
	} {
		l := newLiving(t, settings(), fleetWorld, proxySpec("{}"), fmt.Sprintf(fleetRoute, "a.example.com"))
		if ch := l.apply(bad); len(ch.Snapshots) != 0 || l.fleets[oneKey].Frozen == "" {
			t.Errorf("%s: %d snapshots change, the fleet is frozen for %q", name, len(ch.Snapshots), l.fleets[oneKey].Frozen)
		}
		status := l.reports[oneKey].Status.(*gateway.GatewayStatus)
		if c := meta.FindStatusCondition(status.Conditions, "Accepted"); c == nil || c.Status != "False" || c.Reason != "InvalidParameters" {
			t.Errorf("%s: condition %+v", name, c)
		}
		if ch := l.put(fmt.Sprintf(fleetRoute, "b.example.com")); len(ch.Snapshots) != 1 || len(ch.Fleets) != 0 {
			t.Errorf("%s: a route changes %d snapshots and %d fleets, want 1 and none", name, len(ch.Snapshots), len(ch.Fleets))
		}
		if l.put(proxySpec("{}")); l.fleets[oneKey].Frozen != "" {
			t.Errorf("%s: mended, and still frozen: %s", name, l.fleets[oneKey].Frozen)
		}
	}
}

// TestParametersNamespace: what an EnvoyProxy names without a namespace is beside it,
// wherever the Gateway is.
func TestParametersNamespace(t *testing.T) {
	in := func(namespace, object string) string {
		return strings.Replace(object, "metadata: {", "metadata: {namespace: "+namespace+", ", 1)
	}
	const gw = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: %s}\nspec: {gatewayClassName: eg%s, listeners: [{name: http, protocol: HTTP, port: 80}]}"
	own := ", infrastructure: {parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: proxy}}"
	l := newLiving(t, settings(), fleetWorld, proxySpec("{}"), in("shop", fmt.Sprintf(gw, "classes", "")),
		in("shop", fmt.Sprintf(gw, "own", own)), in("shop", proxySpec("{}")))
	for name, want := range map[string]string{"classes": "default", "own": "shop"} {
		f := l.fleets[store.ID{Kind: store.Gateway, Namespace: "shop", Name: name}.Key()]
		if f == nil || f.ParametersNamespace != want {
			t.Errorf("%s: fleet %+v, want parameters of namespace %s", name, f, want)
		}
	}
	l.put(proxySpec("{mergeGateways: true}"))
	if f := l.fleets[classKey]; f == nil || f.ParametersNamespace != "default" {
		t.Errorf("merged: fleet %+v", f)
	}
	l.apply(store.Delete(proxyKey))
	if f := l.fleets[oneKey]; f == nil || f.ParametersNamespace != "" {
		t.Errorf("lost: fleet %+v", f)
	}
}

// TestMergeFlips follows a class that merges its Gateways, and no longer does.
func TestMergeFlips(t *testing.T) {
	l := newLiving(t, settings(), fleetWorld, proxySpec("{}"))
	for _, step := range []struct {
		name  string
		apply func()
		want  string
	}{
		{"apart", func() {}, "default/one default/two"},
		{"together", func() { l.put(proxySpec("{mergeGateways: true}")) }, "eg"},
		{"together, and invalid", func() { l.put(proxySpec("{mergeGateways: true, provider: {type: Odd}}")) }, "eg"},
		{"lost while nothing runs", func() { l.apply(store.Delete(proxyKey)) }, "default/one default/two"},
		{"together again, and running", func() {
			l.put(proxySpec("{mergeGateways: true}"))
			l.apply(store.PutValue(translate.InfrastructureKey(classKey), translate.Infrastructure{Ready: true}))
		}, "eg"},
		{"lost while it runs", func() { l.apply(store.Delete(proxyKey)) }, "eg"},
		{"apart again", func() { l.put(proxySpec("{}")) }, "default/one default/two"},
	} {
		if step.apply(); l.fleetNames() != step.want {
			t.Errorf("%s: fleets %s, want %s", step.name, l.fleetNames(), step.want)
		}
	}
}

// TestGatewayNamespaceMode: proxies of several namespaces cannot be one fleet.
func TestGatewayNamespaceMode(t *testing.T) {
	s := settings()
	s.GatewayNamespaceMode = true
	l := newLiving(t, s, fleetWorld, proxySpec("{mergeGateways: true}"))
	status := l.reports[classKey].Status.(*gateway.GatewayClassStatus)
	if c := meta.FindStatusCondition(status.Conditions, "Accepted"); c == nil || c.Status != "False" || c.Reason != "InvalidParameters" {
		t.Errorf("class: %+v", c)
	}
	if l.fleetNames() != "default/one default/two" || l.fleets[oneKey].Frozen == "" {
		t.Errorf("fleets %s, frozen for %q", l.fleetNames(), l.fleets[oneKey].Frozen)
	}
}

// TestParameterLayers tells which of three EnvoyProxies counts: the default, the
// class's, the Gateway's. Each sets a field of its own, and all set the arguments.
func TestParameterLayers(t *testing.T) {
	for _, row := range []struct{ class, own, want string }{
		{"none", "none", "default:d"},
		{"", "none", "class:c"},
		{"StrategicMerge", "none", "default class:c"},
		{"", "Replace", "own:o"},
		{"StrategicMerge", "", "own:o"},
		{"", "JSONMerge", "default class own:o"},
		{"StrategicMerge", "JSONMerge", "default class own:o"},
		{"none", "JSONMerge", "default own:o"},
		{"none", "", "own:o"},
	} {
		s := settings()
		s.DefaultProxy = &v1alpha1.EnvoyProxySpec{ExtraArgs: []string{"d"}, Concurrency: ptr.To[int32](1)}
		world := fleetWorld
		objects := []string{}
		if row.class == "none" {
			world = strings.Replace(world, "  parametersRef:", "  #", 1)
		} else {
			objects = append(objects, proxySpec(layerSpec(row.class, "extraArgs: [c], ipFamily: IPv6")))
		}
		if row.own != "none" {
			world = strings.Replace(world, "port: 80}]", "port: 80}], infrastructure: {parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: own}}", 1)
			objects = append(objects, strings.Replace(proxySpec(layerSpec(row.own, "extraArgs: [o], preserveRouteOrder: true")), "name: proxy", "name: own", 1))
		}
		l := newLiving(t, s, append(objects, world)...)
		p := l.fleets[oneKey].Parameters
		var have []string
		for name, set := range map[string]bool{"default": p.Concurrency != nil, "class": p.IPFamily != nil, "own": p.PreserveRouteOrder != nil} {
			if set {
				have = append(have, name)
			}
		}
		slices.SortFunc(have, func(a, b string) int {
			return strings.Index("default class own", a) - strings.Index("default class own", b)
		})
		if got := strings.Join(have, " ") + ":" + strings.Join(p.ExtraArgs, ","); got != row.want {
			t.Errorf("class %q, Gateway %q: %s, want %s", row.class, row.own, got, row.want)
		}
	}
}

func layerSpec(merge, fields string) string {
	if merge == "" {
		return "{" + fields + "}"
	}
	return "{mergeType: " + merge + ", " + fields + "}"
}

// TestManyAddresses: the status of a Gateway has room for 16.
func TestManyAddresses(t *testing.T) {
	s := settings()
	s.AssumeProgrammed = false
	l := newLiving(t, s, fleetWorld, proxySpec("{}"))
	infra := translate.Infrastructure{Ready: true, Message: "1 of 1 proxies are ready"}
	for i := range 20 {
		infra.Addresses = append(infra.Addresses, translate.Address{Value: fmt.Sprintf("192.0.2.%d", i+1)})
	}
	l.apply(store.PutValue(translate.InfrastructureKey(oneKey), infra))
	status := l.reports[oneKey].Status.(*gateway.GatewayStatus)
	c := meta.FindStatusCondition(status.Conditions, "Programmed")
	if len(status.Addresses) != 16 || c.Status != "True" || c.Message != "1 of 1 proxies are ready; 4 more addresses are left out." {
		t.Errorf("%d addresses, %+v", len(status.Addresses), c)
	}
}

// TestCheckProxy asks whoever runs proxies whether they can run so.
func TestCheckProxy(t *testing.T) {
	s := settings()
	s.CheckProxy = func(p *v1alpha1.EnvoyProxySpec) error {
		if p.Bootstrap == nil {
			return nil
		}
		return errors.New("spec.bootstrap: dynamic_resources cannot be changed")
	}
	l := newLiving(t, s, fleetWorld, proxySpec("{}"))
	if f := l.fleets[oneKey].Frozen; f != "" {
		t.Errorf("frozen: %s", f)
	}
	l.put(proxySpec("{bootstrap: {value: x}}"))
	if f := l.reports[proxyKey].Findings; len(f) != 1 || f[0].Path != "spec.bootstrap" || f[0].Message != "dynamic_resources cannot be changed" {
		t.Errorf("findings %v", f)
	}
	if f := l.fleets[oneKey].Frozen; !strings.Contains(f, "dynamic_resources") {
		t.Errorf("the fleet is frozen for %q", f)
	}
}
