package translate_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	bootstrap "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/egctl/egctl/internal/testenvoy"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
	"github.com/egctl/egctl/pkg/translate/xds"
)

const readyGateways = class + `
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: one}
spec: {gatewayClassName: eg, listeners: [{name: http, protocol: HTTP, port: 80}, {name: mine, protocol: HTTP, port: READY}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: idle}
spec: {gatewayClassName: eg, listeners: [{name: tcp, protocol: TCP, port: 9000}]}`

// TestReadyListener demands the listener for probes in each fleet, also in one
// that serves nothing yet, and that no Gateway takes its port.
func TestReadyListener(t *testing.T) {
	s := settings()
	s.ReadyPort = 19003
	tr := translate.New(s)
	for _, o := range decode(t, []byte(strings.NewReplacer("READY", "19003").Replace(readyGateways))) {
		tr.Store.Apply(store.Put(o))
	}
	ch := tr.Update()
	key := func(name string) store.Key {
		return store.ID{Kind: store.Gateway, Namespace: "default", Name: name}.Key()
	}
	for name, want := range map[string][]string{
		"one": {"envoy-gateway-proxy-ready-0.0.0.0-19003", "tcp-80"}, "idle": {"envoy-gateway-proxy-ready-0.0.0.0-19003"},
	} {
		var have []string
		for _, r := range ch.Snapshots[key(name)].Of(xds.ListenerType) {
			have = append(have, r.Name)
		}
		if !slices.Equal(have, want) {
			t.Errorf("listeners of %s are %v, want %v", name, have, want)
		}
	}
	if n := findingsAbout(ch, "spec.listeners[1].port"); n != 1 {
		t.Errorf("%d findings about the listener on the port for probes, want 1", n)
	}
	if ports := ch.Fleets[key("one")].Ports; len(ports) != 1 {
		t.Errorf("ports %v, want 80 only: probes are not for clients", ports)
	}
}

// TestReadyEnvoy asks a real Envoy: ready while it serves, not ready once it is
// told to fail health checks, and an error on every other path.
func TestReadyEnvoy(t *testing.T) {
	envoy := testenvoy.Path(t)
	ready, admin, port := testenvoy.FreePort(t), testenvoy.FreePort(t), testenvoy.FreePort(t)
	s := settings()
	s.ListenAddress, s.ReadyPort = "127.0.0.1", int32(ready)
	tr := translate.New(s)
	objects := strings.NewReplacer("READY", fmt.Sprint(port), "port: 80}", fmt.Sprintf("port: %d}", testenvoy.FreePort(t))).Replace(readyGateways)
	for _, o := range decode(t, []byte(objects)) {
		if o.GetName() != "idle" {
			tr.Store.Apply(store.Put(o))
		}
	}
	boot := newStatic(t)
	boot.add("", tr.Update(), nil)
	boot.Admin = &bootstrap.Admin{Address: &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
		Address: "127.0.0.1", PortSpecifier: &core.SocketAddress_PortValue{PortValue: uint32(admin)},
	}}}}
	run(t, envoy, boot.write(), fmt.Sprintf("127.0.0.1:%d", ready))
	status := func(path string) int {
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", ready, path))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for path, want := range map[string]int{"/ready": 200, "/": 500, "/readyz": 500, "/stats": 500} {
		if got := status(path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	resp, err := http.Post(fmt.Sprintf("http://127.0.0.1:%d/healthcheck/fail", admin), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for deadline := time.Now().Add(5 * time.Second); status("/ready") != 503; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("/ready is not 503 though health checks are to fail")
		}
	}
}
