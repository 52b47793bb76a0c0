package validate_test

import (
	"strings"
	"testing"

	"github.com/egctl/egctl/pkg/crds"
	"github.com/egctl/egctl/pkg/manifest"
	"github.com/egctl/egctl/pkg/validate"
)

func kubernetes(spec string) string {
	return `{provider: {type: Kubernetes, kubernetes: ` + spec + `}}`
}

// tracing is an EnvoyProxy with settings for the backend of its tracing.
func tracing(settings string) string {
	return `{telemetry: {tracing: {provider: {backendRefs: [{name: a, port: 80}], backendSettings: ` + settings + `}}}}`
}

func accessLog(setting string) string {
	return `{telemetry: {accessLog: {settings: [` + setting + `]}}}`
}

// extensionVerdicts are as verdicts, for the kinds of the extension.
var extensionVerdicts = []struct{ kind, name, spec, want string }{
	{"EnvoyProxy", "empty", `{}`, ""},
	{"EnvoyProxy", "what people write", kubernetes(`{envoyDeployment: {replicas: 2, container: {resources: {limits: {memory: 1Gi}}}, patch: {type: JSONMerge, value: {spec: {paused: true}}}}, envoyService: {type: NodePort, annotations: {a: b}}, envoyPDB: {minAvailable: 50%}, envoyHpa: {maxReplicas: 3, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}]}}`), ""},
	{"EnvoyProxy", "unknown provider", `{provider: {type: Docker}}`, `spec.provider.type: "Docker": supported values: "Kubernetes", "Host"`},
	{"EnvoyProxy", "no provider type", `{provider: {kubernetes: {}}}`, `spec.provider.type: is required`},
	{"EnvoyProxy", "host with the cluster's settings", `{provider: {type: Host, kubernetes: {}}}`, `kubernetes is only for type Kubernetes`},
	{"EnvoyProxy", "two workloads", kubernetes(`{envoyDeployment: {}, envoyDaemonSet: {}}`), `only one of envoyDeployment and envoyDaemonSet can be set`},
	{"EnvoyProxy", "scaled daemons", kubernetes(`{envoyDaemonSet: {}, envoyHpa: {maxReplicas: 2}}`), `envoyHpa cannot be used with envoyDaemonSet`},
	{"EnvoyProxy", "unknown service type", kubernetes(`{envoyService: {type: ExternalName}}`), `envoyService.type: "ExternalName": supported values`},
	{"EnvoyProxy", "load balancer of a default service", kubernetes(`{envoyService: {loadBalancerIP: 1.2.3.4, loadBalancerSourceRanges: [10.0.0.0/8]}}`), ""},
	{"EnvoyProxy", "load balancer of another service", kubernetes(`{envoyService: {type: ClusterIP, loadBalancerIP: 1.2.3.4}}`), `loadBalancerIP is only for type LoadBalancer`},
	{"EnvoyProxy", "scaling down to more than up", kubernetes(`{envoyHpa: {minReplicas: 3, maxReplicas: 2}}`), `maxReplicas must not be below minReplicas`},
	{"EnvoyProxy", "scaling without a bound", kubernetes(`{envoyHpa: {minReplicas: 3}}`), `envoyHpa.maxReplicas: is required`},
	{"EnvoyProxy", "two budgets", kubernetes(`{envoyPDB: {minAvailable: 1, maxUnavailable: 1}}`), `only one of minAvailable and maxUnavailable can be set`},
	{"EnvoyProxy", "patch without value", kubernetes(`{envoyService: {patch: {type: JSONMerge}}}`), `patch.value: is required`},
	{"EnvoyProxy", "merged twice", `{mergeGateways: true, mergeBackends: {}}`, `mergeBackends cannot be used together with mergeGateways`},
	{"EnvoyProxy", "merged once", `{mergeGateways: false, mergeBackends: {}}`, ""},
	{"EnvoyProxy", "log level", `{logging: {level: {default: verbose}}}`, `spec.logging.level.default: "verbose": supported values`},
	{"EnvoyProxy", "bootstrap without value", `{bootstrap: {type: Merge}}`, `spec.bootstrap: type JSONPatch needs jsonPatches; the other types need value`},
	{"EnvoyProxy", "bootstrap patch", `{bootstrap: {type: JSONPatch, jsonPatches: [{op: add, path: /admin, value: {}}]}}`, ""},
	{"EnvoyProxy", "bootstrap patch as text", `{bootstrap: {type: JSONPatch, value: "a"}}`, `type JSONPatch needs jsonPatches`},
	{"EnvoyProxy", "duration", `{shutdown: {drainTimeout: 1 minute}}`, `spec.shutdown.drainTimeout: "1 minute": should match`},
	{"EnvoyProxy", "filter nowhere", `{filterOrder: [{name: envoy.filters.http.cors}]}`, `spec.filterOrder[0]: exactly one of before and after must be set`},
	{"EnvoyProxy", "filter unknown", `{filterOrder: [{name: envoy.filters.http.router, before: envoy.filters.http.cors}]}`, `spec.filterOrder[0].name: "envoy.filters.http.router": supported values`},
	{"EnvoyProxy", "same module twice", `{dynamicModules: [{name: a, source: {local: {path: /a}}}, {name: a, source: {local: {path: /b}}}]}`, `spec.dynamicModules[1]: is given twice: {"name":"a"}`},
	{"EnvoyProxy", "module without a place", `{dynamicModules: [{name: a, source: {type: Remote}}]}`, `type Remote needs remote alone`},
	{"EnvoyProxy", "no database", `{geoIP: {provider: {type: MaxMind, maxMind: {}}}}`, `at least one database must be set`},
	{"EnvoyProxy", "TLS versions", `{backendTLS: {minVersion: "1.3", maxVersion: "1.2"}}`, `spec.backendTLS: minVersion (default 1.2) must not be above maxVersion`},
	{"EnvoyProxy", "TLS version below the default", `{backendTLS: {maxVersion: "1.1"}}`, `minVersion (default 1.2) must not be above maxVersion`},
	{"EnvoyProxy", "ciphers of TLS 1.3", `{backendTLS: {minVersion: "1.3", ciphers: [a]}}`, `ciphers have no effect`},

	{"EnvoyProxy", "access log as people write it", accessLog(`{format: {type: Text, text: "%START_TIME%\n"}, matches: ["response.code >= 400"], sinks: [{type: File, file: {path: /dev/stdout}}, {type: ALS, als: {type: HTTP, backendRefs: [{name: a, port: 80}], http: {requestHeaders: [a]}}}]}`), ""},
	{"EnvoyProxy", "access log to nowhere", accessLog(`{format: {type: Text, text: a}}`), `settings[0].sinks: is required`},
	{"EnvoyProxy", "text without text", accessLog(`{format: {type: Text}, sinks: [{type: File, file: {path: /a}}]}`), `settings[0].format: type Text needs text, and no json`},
	{"EnvoyProxy", "sink without its part", accessLog(`{sinks: [{type: OpenTelemetry, file: {path: /a}}]}`), `sinks[0]: type OpenTelemetry needs openTelemetry`},
	{"EnvoyProxy", "log service of a deprecated ref", accessLog(`{sinks: [{type: ALS, als: {type: TCP, backendRef: {name: a, port: 1}}}]}`), `backendRefs must be set, and backendRef is not supported`},
	{"EnvoyProxy", "log service of a foreign kind", accessLog(`{sinks: [{type: ALS, als: {type: TCP, backendRefs: [{name: a, kind: Pod, port: 1}]}}]}`), `backendRefs can only be of kind Service or Backend`},
	{"EnvoyProxy", "log service of a foreign group", accessLog(`{sinks: [{type: ALS, als: {type: TCP, backendRefs: [{name: a, kind: Backend}]}}]}`), `that of Backend gateway.envoyproxy.io`},
	{"EnvoyProxy", "log service of a Backend", accessLog(`{sinks: [{type: ALS, als: {type: TCP, backendRefs: [{name: a, group: gateway.envoyproxy.io, kind: Backend}]}}]}`), ""},
	{"EnvoyProxy", "headers of connections", accessLog(`{sinks: [{type: ALS, als: {type: TCP, backendRefs: [{name: a, port: 1}], http: {}}}]}`), `http is only for type HTTP`},
	{"EnvoyProxy", "attributes twice", accessLog(`{sinks: [{type: OpenTelemetry, openTelemetry: {host: a, resources: {a: b}, resourceAttributes: {a: b}}}]}`), `resources cannot be used together with resourceAttributes`},
	{"EnvoyProxy", "collector nowhere", `{telemetry: {metrics: {sinks: [{openTelemetry: {port: 1}}]}}}`, `host or backendRefs must be set`},
	{"EnvoyProxy", "sampling twice", `{telemetry: {tracing: {samplingRate: 1, samplingFraction: {numerator: 1}, provider: {host: a}}}}`, `spec.telemetry.tracing: only one of samplingRate and samplingFraction can be set`},
	{"EnvoyProxy", "sampling over all", `{telemetry: {tracing: {samplingFraction: {numerator: 101}, provider: {host: a}}}}`, `samplingFraction: numerator must not exceed denominator`},
	{"EnvoyProxy", "sampler's ratio", `{telemetry: {tracing: {provider: {host: a, openTelemetry: {sampler: {samplingPercentage: {numerator: 1}}}}}}}`, `samplingPercentage is only for types TraceIdRatio and ParentBasedTraceIdRatio`},
	{"EnvoyProxy", "tag without value", `{telemetry: {tracing: {customTags: {a: {type: RequestHeader}}, provider: {host: a}}}}`, `type RequestHeader needs requestHeader`},
	{"EnvoyProxy", "tag without type", `{telemetry: {tracing: {customTags: {a: {literal: {value: b}}}, provider: {host: a}}}}`, ""},

	{"EnvoyProxy", "hash without its part", tracing(`{loadBalancer: {type: ConsistentHash}}`), `consistentHash must be set if and only if type is ConsistentHash`},
	{"EnvoyProxy", "hash of cookie without cookie", tracing(`{loadBalancer: {type: ConsistentHash, consistentHash: {type: Cookie}}}`), `cookie must be set if and only if type is Cookie`},
	{"EnvoyProxy", "slow start at random", tracing(`{loadBalancer: {type: Random, slowStart: {window: 1s}}}`), `slowStart is only for types`},
	{"EnvoyProxy", "zones both ways", tracing(`{loadBalancer: {type: Random, zoneAware: {preferLocal: {}, weightedZones: []}}}`), `only one of preferLocal and weightedZones can be set`},
	{"EnvoyProxy", "local zone of a hash", tracing(`{loadBalancer: {type: ConsistentHash, consistentHash: {type: SourceIP}, zoneAware: {preferLocal: {}}}}`), `zoneAware.preferLocal cannot be used with types`},
	{"EnvoyProxy", "preconnection", tracing(`{connection: {preconnect: {predictivePercent: 150}}}`), `predictivePercent needs a load balancer of type Random or RoundRobin`},
	{"EnvoyProxy", "preconnection in turn", tracing(`{loadBalancer: {type: RoundRobin}, connection: {bufferLimit: 32Ki, preconnect: {predictivePercent: 150}}}`), ""},
	{"EnvoyProxy", "no reports", tracing(`{loadBalancer: {type: BackendUtilization, backendUtilization: {outOfBand: {reportingPeriod: 0s}}}}`), `reportingPeriod must be greater than 0`},
	{"EnvoyProxy", "health of HTTP", tracing(`{healthCheck: {active: {type: HTTP, tcp: {}}}}`), "http must be set if and only if type is HTTP\ntcp must be set if and only if type is TCP"},
	{"EnvoyProxy", "health timeout", tracing(`{healthCheck: {active: {type: GRPC, timeout: 3s}}}`), `timeout must be shorter than interval`},
	{"EnvoyProxy", "health body", tracing(`{healthCheck: {active: {type: HTTP, http: {path: /, requestBody: {type: Text, text: a}}}}}`), `requestBody needs method POST or PUT`},
	{"EnvoyProxy", "health payload", tracing(`{healthCheck: {active: {type: TCP, tcp: {send: {type: Text, binary: YQ==}}}}}`), `type Text needs text alone`},
	{"EnvoyProxy", "health log of one side", `{telemetry: {healthCheckLog: {matches: [Failure]}}}`, `matches needs one of Failure and FailureSeriesStart together with`},
	{"EnvoyProxy", "breaker", tracing(`{circuitBreaker: {maxConnections: 4294967296}}`), `maxConnections: 4294967296: should be less than or equal to 4294967295`},
}

func TestExtensionVerdicts(t *testing.T) {
	for _, channel := range []crds.Channel{crds.Standard, crds.Experimental} {
		v, err := validate.New(validate.Channel(channel))
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range extensionVerdicts {
			t.Run(string(channel)+"/"+test.kind+"/"+test.name, func(t *testing.T) {
				docs := manifest.Parse("f.yaml", []byte("apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: "+test.kind+"\nmetadata: {name: test}\nspec: "+test.spec+"\n"), "default")
				if f := docs[0].Findings(); len(f) > 0 {
					t.Fatalf("reading: %v", f)
				}
				got := lines(v.ValidateAll(docs))
				if test.want == "" && got != "" {
					t.Fatalf("valid object refused:\n%s", got)
				}
				for want := range strings.SplitSeq(test.want, "\n") {
					if !strings.Contains(got, want) {
						t.Errorf("found\n%swant %s", got, want)
					}
				}
			})
		}
	}
}
