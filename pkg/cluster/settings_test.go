package cluster

import (
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/controller/infra/kube/render"
	"github.com/egctl/egctl/pkg/translate"
)

// TestCheckProxy sees mistakes that only rendering finds, and says nothing of the
// Gateway that was made up to find them.
func TestCheckProxy(t *testing.T) {
	o, c := Options{Namespace: "system", ClusterDomain: "cluster.local"}, &v1alpha1.EnvoyGateway{}
	check := checkProxy(render.Config{
		Namespace: o.Namespace, ClusterDomain: o.ClusterDomain, ProxyImage: ProxyImage, ShutdownManagerImage: "egctl", Command: []string{"egctl"},
		Bootstrap: func(f *translate.Fleet) (string, error) { return bootstrap(o, c, f) },
	})
	for spec, want := range map[string]string{
		"{}": "",
		"bootstrap: {type: Merge, value: 'stats_flush_interval: 1s'}":                                                                        "",
		"bootstrap: {type: Merge, value: 'stats_flush_interval: 0s'}":                                                                        "spec.bootstrap: not a bootstrap of Envoy: invalid Bootstrap.StatsFlushInterval: value must be inside range [1ms, 5m0s)",
		"provider: {type: Kubernetes, kubernetes: {envoyDeployment: {patch: {type: StrategicMerge, value: {metadata: {name: other}}}}}}":     "EnvoyProxy: patch of Deployment: it changes name or namespace",
		"provider: {type: Kubernetes, kubernetes: {envoyDeployment: {pod: {volumes: [{name: a, secret: {secretName: envoy-gateway-ca}}]}}}}": "EnvoyProxy: Deployment: spec.template.spec.volumes[3].secret.secretName: Secret envoy-gateway-ca holds a key of the controller",
	} {
		s := &v1alpha1.EnvoyProxySpec{}
		if err := yaml.UnmarshalStrict([]byte(spec), s); err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := check(s); err != nil {
			got = err.Error()
		}
		if len(got) < len(want) || got[:len(want)] != want || want == "" && got != "" {
			t.Errorf("%s:\n got %q\nwant %q", spec, got, want)
		}
	}
}

// TestLoopback: profiles are for this machine only, by whatever name.
func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{"127.0.0.1": true, "127.8.0.1": true, "::1": true, "localhost": true, "0.0.0.0": false, "::": false, "10.0.0.1": false, "": false} {
		if loopback(host) != want {
			t.Errorf("%q: %v", host, !want)
		}
	}
}
