package envoy

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoregistry"
	"sigs.k8s.io/yaml"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/internal/testcert"
)

// parameters are EnvoyProxy specs of the variants, by name.
var parameters = map[string]string{
	"ipv6":          "ipFamily: IPv6",
	"dual":          "ipFamily: DualStack",
	"no-prometheus": "telemetry: {metrics: {prometheus: {disable: true}}}",
	"brotli":        "telemetry: {metrics: {prometheus: {compression: {type: Brotli}}}}",
	"zstd":          "telemetry: {metrics: {prometheus: {compression: {type: Zstd}}}}",
	"metrics": `
telemetry:
  metrics:
    prometheus: {compression: {type: Gzip, minContentLength: 1Ki}}
    matches:
    - {value: server.uptime}
    - {type: Prefix, value: cluster.}
    - {type: Suffix, value: .cx_active}
    - {type: RegularExpression, value: 'http\..*\.rq_total'}
    sinks:
    - type: OpenTelemetry
      openTelemetry: {host: 192.0.2.7, reportCountersAsDeltas: true}
    - type: OpenTelemetry
      openTelemetry:
        backendRefs: [{name: otel, port: 4317}, {name: otel, namespace: other, port: 4318, weight: 3}]
        reportHistogramsAsDeltas: true
        headers: [{name: x-tenant, value: a}]
        resourceAttributes: {service.name: eg}
`,
	"replace": `
bootstrap:
  value: |
    admin: {address: {socket_address: {address: 127.0.0.1, port_value: 19000}}, access_log: [{name: file, typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: /dev/null}}]}
    dynamic_resources:
      ads_config: {api_type: DELTA_GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: xds_cluster}}], set_node_on_first_message_only: true}
      lds_config: {ads: {}, resource_api_version: V3, initial_fetch_timeout: 5s}
      cds_config: {ads: {}, resource_api_version: V3}
    static_resources:
      clusters:
      - name: xds_cluster
        type: STRICT_DNS
        load_assignment:
          cluster_name: xds_cluster
          endpoints:
          - load_balancing_weight: 1
            lb_endpoints:
            - load_balancing_weight: 1
              endpoint: {address: {socket_address: {address: envoy-gateway.envoy-gateway-system.svc.cluster.local, port_value: 18000}}}
        typed_extension_protocol_options:
          envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
            "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
            explicit_http_config: {http2_protocol_options: {}}
`,
	"merge": `
bootstrap:
  type: Merge
  value: |
    admin: {profile_path: /tmp/profile}
    stats_flush_interval: 10s
    layered_runtime: {layers: [{name: mine, static_layer: {envoy.restart_features.use_eds_cache_for_ads: true}}]}
    stats_sinks:
    - name: envoy.stat_sinks.graphite_statsd
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.stat_sinks.graphite_statsd.v3.GraphiteStatsdSink
        address: {socket_address: {address: 127.0.0.1, port_value: 9125}}
`,
	"jsonpatch": `
bootstrap:
  type: JSONPatch
  jsonPatches:
  - {op: add, path: /stats_flush_interval, value: 10s}
  - {op: replace, path: /admin/address/socket_address/port_value, value: 19999}
  - {op: replace, path: /dynamic_resources/lds_config/initial_fetch_timeout, value: 7s}
  - {op: replace, jsonPath: "$.static_resources.clusters[?@.name == 'prometheus_stats']", path: /load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address/port_value, value: 19999}
  - {op: replace, jsonPath: "$.static_resources.clusters[?@.name == 'xds_cluster']", path: /connect_timeout, value: 5s}
`,
}

// fleets are the variants of what proxies in a cluster start with.
func fleets(t *testing.T) map[string]FleetBootstrapOptions {
	t.Helper()
	base := FleetBootstrapOptions{Fleet: "default/eg", ControllerNamespace: "envoy-gateway-system", ParametersNamespace: "default"}
	all := map[string]FleetBootstrapOptions{"default": base}
	add := func(name string, change func(*FleetBootstrapOptions)) {
		o := base
		change(&o)
		all[name] = o
	}
	add("merged", func(o *FleetBootstrapOptions) { o.Fleet = "eg" })
	add("token", func(o *FleetBootstrapOptions) { o.Token, o.ClusterDomain = true, "example.org" })
	add("zones", func(o *FleetBootstrapOptions) { o.Zones = true })
	add("memory", func(o *FleetBootstrapOptions) { o.MemoryLimit, o.MaxConnections = 512<<20, 1000 })
	for name, text := range parameters {
		add(name, func(o *FleetBootstrapOptions) { o.Parameters = spec(t, text) })
	}
	return all
}

func spec(t *testing.T, text string) *v1alpha1.EnvoyProxySpec {
	t.Helper()
	s := &v1alpha1.EnvoyProxySpec{}
	if err := yaml.UnmarshalStrict([]byte(text), s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFleetBootstrapGolden(t *testing.T) {
	for name, o := range fleets(t) {
		t.Run(name, func(t *testing.T) {
			got, err := FleetBootstrap(o)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "fleet-"+name+".yaml", got)
		})
	}
	for name, token := range map[string]bool{"certificate": false, "token": true} {
		t.Run("sds "+name, func(t *testing.T) {
			files, err := FleetSDSFiles(token, FleetPaths{})
			if err != nil {
				t.Fatal(err)
			}
			var all bytes.Buffer
			for _, file := range []string{SDSTrustedCA, SDSCertificate, SDSToken} {
				if text, ok := files[file]; ok {
					all.WriteString("-- " + file + " --\n" + text)
				}
			}
			golden(t, "fleet-sds-"+name+".txt", all.String())
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what it was; run with -update and read the difference. Now it is:\n%s", path, got)
	}
}

// mount puts into a folder what is mounted into the pods of a fleet.
func mount(t *testing.T, token bool) FleetPaths {
	t.Helper()
	dir := t.TempDir()
	p := FleetPaths{SDSDir: filepath.Join(dir, "sds"), CertsDir: filepath.Join(dir, "certs"), TokenPath: filepath.Join(dir, "token", "sa-token")}
	files, err := FleetSDSFiles(token, p)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		write(t, filepath.Join(p.SDSDir, name), text)
	}
	pair := testcert.SelfSigned("localhost")
	for name, text := range map[string][]byte{"ca.crt": pair.Certificate, "tls.crt": pair.Certificate, "tls.key": pair.Key} {
		write(t, filepath.Join(p.CertsDir, name), string(text))
	}
	write(t, p.TokenPath, "token")
	return p
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFleetBootstrapAcceptedByEnvoy(t *testing.T) {
	binary := realEnvoy(t)
	for name, o := range fleets(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.FleetPaths = mount(t, o.Token)
			text, err := FleetBootstrap(o)
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(binary, "--mode", "validate", "--log-level", "warning", "--service-cluster", o.Fleet, "--service-node", "pod", "--config-yaml", text)
			if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "deprecated") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestFleetBootstrapRefuses(t *testing.T) {
	for want, spoil := range map[string]func(*FleetBootstrapOptions){
		"the fleet and the controller's": func(o *FleetBootstrapOptions) { o.Fleet = "" },
		"fleet default/eg: envoy boot":   func(o *FleetBootstrapOptions) { o.ControllerNamespace = "" },
		"-1 is no limit for memory":      func(o *FleetBootstrapOptions) { o.MemoryLimit = -1 },
	} {
		o := fleets(t)["default"]
		spoil(&o)
		if _, err := FleetBootstrap(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
	for want, text := range map[string]string{
		`spec.ipFamily: "IPv5" is no IP family`: "ipFamily: IPv5",
		`prometheus: compression: "Lzma" is no`: "telemetry: {metrics: {prometheus: {compression: {type: Lzma}}}}",
		"minContentLength -1 is not between":    "telemetry: {metrics: {prometheus: {compression: {type: Gzip, minContentLength: -1}}}}",
		"matches[1]: \"(\" is no regular":       "telemetry: {metrics: {matches: [{value: a}, {type: RegularExpression, value: '('}]}}",
		`matches[0]: "Some" is no way`:          "telemetry: {metrics: {matches: [{type: Some, value: a}]}}",
		"sinks[0]: openTelemetry: it names":     "telemetry: {metrics: {sinks: [{type: OpenTelemetry, openTelemetry: {}}]}}",
		"backendRefs[0]: a Backend is not":      "telemetry: {metrics: {sinks: [{type: OpenTelemetry, openTelemetry: {backendRefs: [{kind: Backend, name: a}]}}]}}",
		"backendRefs[0]: a Service needs":       "telemetry: {metrics: {sinks: [{type: OpenTelemetry, openTelemetry: {backendRefs: [{name: a}]}}]}}",
		"every backend has the weight 0":        "telemetry: {metrics: {sinks: [{type: OpenTelemetry, openTelemetry: {backendRefs: [{name: a, port: 1, weight: 0}]}}]}}",

		"spec.bootstrap: the type Replace needs":          "bootstrap: {}",
		"the type JSONPatch needs jsonPatches":            "bootstrap: {type: JSONPatch, value: 'admin: {}'}",
		`"Other" is no type of a change`:                  "bootstrap: {type: Other, value: 'admin: {}'}",
		"value: not a bootstrap of Envoy: it is not":      "bootstrap: {type: Merge, value: 'text'}",
		`unknown field "nothing"`:                         "bootstrap: {type: Merge, value: 'nothing: 1'}",
		`key "admin" already set`:                         "bootstrap: {type: Merge, value: \"admin: {}\\nadmin: {}\"}",
		"not a bootstrap of Envoy: invalid":               "bootstrap: {type: Merge, value: 'stats_flush_interval: 0s'}",
		"dynamic_resources must stay as they are":         "bootstrap: {value: 'admin: {}'}",
		"jsonPatches: patch 0 (remove)":                   "bootstrap: {type: JSONPatch, jsonPatches: [{op: remove, path: /nothing}]}",
		"jsonPatches: the result is not a bootstrap":      "bootstrap: {type: JSONPatch, jsonPatches: [{op: add, path: /nothing, value: 1}]}",
		"two clusters xds_cluster; a type Merge":          "bootstrap: {type: Merge, value: 'static_resources: {clusters: [{name: xds_cluster}]}'}",
		"the endpoints of the cluster xds_cluster must":   "bootstrap: {type: JSONPatch, jsonPatches: [{op: remove, path: /static_resources/clusters/0}]}",
		"must stay envoy-gateway.envoy-gateway-system.sv": "bootstrap: {type: JSONPatch, jsonPatches: [{op: replace, path: /static_resources/clusters/0/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address/address, value: evil.example}]}",
	} {
		o := fleets(t)["default"]
		o.Parameters = spec(t, text)
		if _, err := FleetBootstrap(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want %q", text, err, want)
		}
	}
	// Each part of the way to the controller.
	for _, path := range []string{"/ads_config/api_type", "/ads_config/grpc_services", "/lds_config", "/cds_config/ads", "/ads_config"} {
		o := fleets(t)["default"]
		o.Parameters = spec(t, "bootstrap: {type: JSONPatch, jsonPatches: [{op: remove, path: /dynamic_resources"+path+"}]}")
		if _, err := FleetBootstrap(o); err == nil || !strings.Contains(err.Error(), "dynamic_resources") && !strings.Contains(err.Error(), "not a bootstrap") {
			t.Errorf("without %s: %v", path, err)
		}
	}
}

// TestForeignExtensionsStay uses an extension whose message is not linked in.
func TestForeignExtensionsStay(t *testing.T) {
	const url = "type.googleapis.com/envoy.extensions.network.dns_resolver.hickory.v3.HickoryDnsResolverConfig"
	if _, err := protoregistry.GlobalTypes.FindMessageByURL(url); err == nil {
		t.Fatal("it is linked in: take another")
	}
	for _, kind := range []string{"Merge", "JSONPatch"} {
		o := fleets(t)["default"]
		value := `{name: x, typed_config: {"@type": ` + url + `, number: 9007199254740993, deep: {"@type": other, a: [1]}}}`
		change := "value: 'typed_dns_resolver_config: " + value + "'"
		if kind == "JSONPatch" {
			change = "jsonPatches: [{op: add, path: /typed_dns_resolver_config, value: " + value + "}]"
		}
		o.Parameters = spec(t, "bootstrap: {type: "+kind+", "+change+"}")
		text, err := FleetBootstrap(o)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Config struct {
				Typed map[string]any `json:"typed_config"`
			} `json:"typed_dns_resolver_config"`
		}
		if err := yaml.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		if deep, _ := got.Config.Typed["deep"].(map[string]any); got.Config.Typed["@type"] != url || deep["@type"] != "other" {
			t.Errorf("%s: the extension is now %v", kind, got.Config)
		}
	}
}
