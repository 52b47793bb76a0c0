package complete_test

import (
	"strings"
	"testing"

	discovery "k8s.io/api/discovery/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/complete"
	"github.com/egctl/egctl/pkg/manifest"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

// route is a route of a kind with a parentRef, as flow YAML.
func route(kind, name, parent, rest string) string {
	return `---
apiVersion: gateway.networking.k8s.io/v1
kind: ` + kind + `
metadata: {name: ` + name + `}
spec:
  parentRefs: [{` + parent + `}]
  rules: [{` + rest + `}]
`
}

const (
	class = `---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: mine}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
`
	otherClass = `---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: other}
spec: {controllerName: example.com/other}
`
	certificate = `---
apiVersion: v1
kind: Secret
metadata: {name: cert}
type: kubernetes.io/tls
data: {tls.crt: "", tls.key: ""}
`
	web = `---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{name: http, port: 80, targetPort: 8080}]}
`
	slice = `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: []
ports: []
`
	toWeb = "backendRefs: [{name: web, port: 80}]"
)

func TestObjects(t *testing.T) {
	all := complete.Options{Endpoints: true}
	for name, c := range map[string]struct {
		in      string
		options complete.Options
		want    []string // notes
	}{
		"nothing to do": {class + web, all, nil},
		"HTTPRoute alone": {route("HTTPRoute", "r", "name: gw", toWeb), all, []string{
			"made up Gateway default/gw of class eg with listener http (HTTP 80)",
			"made up GatewayClass eg of controller " + translate.DefaultControllerName,
		}},
		"class that is there": {class + otherClass + route("HTTPRoute", "r", "name: gw", toWeb), all, []string{
			"made up Gateway default/gw of class mine with listener http (HTTP 80)",
		}},
		"Gateway without class": {`---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: fast, listeners: [{name: http, port: 80, protocol: HTTP}]}
`, all, []string{"made up GatewayClass fast of controller " + translate.DefaultControllerName}},
		"every kind of route": {class +
			route("HTTPRoute", "a", "name: gw", toWeb) + route("GRPCRoute", "b", "name: gw", toWeb) + route("TLSRoute", "c", "name: gw", toWeb) +
			route("TCPRoute", "d", "name: gw", "backendRefs: [{name: web, port: 5432}]") + route("UDPRoute", "e", "name: gw", "backendRefs: [{name: web, port: 53}]"),
			complete.Options{}, []string{
				"made up Gateway default/gw of class mine with listeners http (HTTP 80), tls (TLS 443 passthrough), tcp-5432 (TCP 5432), udp-53 (UDP 53)",
			}},
		"sections and ports": {class +
			route("HTTPRoute", "a", "name: gw, sectionName: one", toWeb) + route("HTTPRoute", "b", "name: gw, sectionName: two", toWeb) +
			route("HTTPRoute", "c", "name: gw", toWeb) + route("HTTPRoute", "d", "name: gw, port: 8080", toWeb) +
			route("TCPRoute", "e", "name: gw, port: 9000", toWeb), complete.Options{}, []string{
			"made up Gateway default/gw of class mine with listeners one (HTTP 80), two (HTTP 81), http (HTTP 8080), tcp-9000 (TCP 9000)",
		}},
		"HTTPS with a certificate": {class + certificate + route("HTTPRoute", "a", "name: gw, port: 443", toWeb) + route("HTTPRoute", "b", "name: gw, sectionName: https", toWeb), complete.Options{}, []string{
			"made up Gateway default/gw of class mine with listener https (HTTPS 443, certificate of Secret cert)",
		}},
		"HTTPS without one": {class + route("HTTPRoute", "a", "name: gw, sectionName: https", toWeb), complete.Options{}, []string{
			"made up Gateway default/gw of class mine with listener https (HTTP 80)",
		}},
		"another namespace": {class + route("HTTPRoute", "a", "name: gw, namespace: infra", toWeb), complete.Options{}, []string{
			"made up Gateway infra/gw of class mine with listener http (HTTP 80)",
		}},
		"a Service as parent": {class + route("HTTPRoute", "a", `name: web, kind: Service, group: ""`, toWeb), complete.Options{}, nil},
		"ListenerSet": {class + `---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: set}
spec: {parentRef: {name: gw}, listeners: [{name: http, port: 80, protocol: HTTP}]}
`, complete.Options{}, []string{"made up Gateway default/gw of class mine with no listeners of its own"}},
		"endpoints": {class + web + route("HTTPRoute", "a", "name: gw", toWeb), all, []string{
			"made up Gateway default/gw of class mine with listener http (HTTP 80)", "made up endpoint 10.96.1.2 of Service default/web",
		}},
		"endpoints that are there": {class + web + slice + route("HTTPRoute", "a", "name: gw", toWeb), all, []string{
			"made up Gateway default/gw of class mine with listener http (HTTP 80)",
		}},
		"Services": {class + route("HTTPRoute", "a", "name: gw", "backendRefs: [{name: w1, port: 80}, {name: w2, port: 80}, {name: w3, port: 80}, {name: w4, port: 80}]"),
			complete.Options{Endpoints: true, Services: true, EndpointAddress: "127.0.0.1"}, []string{
				"made up Gateway default/gw of class mine with listener http (HTTP 80)",
				"made up 4 Services: default/w1, default/w2, default/w3, …",
				"made up endpoint 127.0.0.1 of 4 Services: default/w1, default/w2, default/w3, …",
			}},
	} {
		t.Run(name, func(t *testing.T) {
			set := read(t, c.in)
			_, notes := complete.Objects(set, c.options)
			if strings.Join(notes, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("notes\n%s\nwant\n%s", strings.Join(notes, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func read(t *testing.T, text string) []store.Object {
	t.Helper()
	set := manifest.NewSet(manifest.Parse("input.yaml", []byte(text), "default"))
	for _, f := range set.Findings() {
		t.Fatal(f)
	}
	return set.Objects()
}

// TestEndpointOfNamedPort checks what traffic would reach.
func TestEndpointOfNamedPort(t *testing.T) {
	added, _ := complete.Objects(read(t, class+web+route("HTTPRoute", "a", "name: gw", toWeb)), complete.Options{Endpoints: true, EndpointAddress: "fd00::1"})
	for _, o := range added {
		if s, ok := o.(*discovery.EndpointSlice); ok {
			if *s.Ports[0].Name != "http" || *s.Ports[0].Port != 8080 || s.AddressType != discovery.AddressTypeIPv6 || s.Endpoints[0].Addresses[0] != "fd00::1" {
				t.Errorf("%+v", s)
			}
			return
		}
	}
	t.Error("no EndpointSlice")
}

// TestMadeUpIsAccepted translates: nothing that is made up may be at fault.
func TestMadeUpIsAccepted(t *testing.T) {
	objects := read(t, web+route("HTTPRoute", "a", "name: gw", toWeb)+route("TLSRoute", "b", "name: gw", toWeb)+
		route("TCPRoute", "c", "name: gw", toWeb)+route("HTTPRoute", "d", "name: gw, namespace: infra, port: 8080", toWeb))
	added, _ := complete.Objects(objects, complete.Options{Endpoints: true})
	tr := translate.New(translate.DefaultSettings())
	for _, o := range append(objects, added...) {
		tr.Store.Apply(store.Put(o))
	}
	attached := int32(0)
	for k, r := range tr.Update().Reports {
		for _, f := range r.Findings {
			t.Errorf("%s: %s", k, f)
		}
		if s, ok := r.Status.(*gateway.GatewayStatus); ok {
			for _, l := range s.Listeners {
				attached += l.AttachedRoutes
			}
		}
	}
	if attached != 4 {
		t.Errorf("%d routes are attached, want 4", attached)
	}
}
