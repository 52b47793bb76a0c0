package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/manifest"
)

// supported lists what the controller heeds; each name stands for all below it.
// Whatever else a file says is a warning.
var supported = []string{
	"apiVersion",
	"kind",
	"gateway",
	"provider.type",
	"provider.kubernetes.deploy",
	"provider.kubernetes.watch",
	"provider.kubernetes.leaderElection",
	"provider.kubernetes.client",
	"provider.kubernetes.shutdownManager",
	"provider.custom", // refused as a whole, see check
	"logging",
	"admin.address",
	"admin.enablePprof",
	"telemetry.metrics.prometheus",
	"xdsServer",
	"envoyProxy",
}

// groups hold unsupported settings that are named one by one.
var groups = []string{"telemetry.traces", "extensionApis", "gatewayAPI", "runtimeFlags"}

// supports is false for a field that is none of the supported ones, nor
// anything around them or a group.
func supports(path string) bool {
	for _, s := range supported {
		if covers(s, path) || covers(path, s) {
			return true
		}
	}
	return slices.ContainsFunc(groups, func(g string) bool { return covers(path, g) })
}

// covers says whether path is outer or something in it. All is in "".
func covers(outer, path string) bool {
	if outer == "" || outer == path {
		return true
	}
	rest, ok := strings.CutPrefix(path, outer)
	return ok && (rest[0] == '.' || rest[0] == '[')
}

// enums has the values of the types that are enumerations.
var enums = map[reflect.Type][]string{
	reflect.TypeFor[v1alpha1.ProviderType]():                 {"Kubernetes", "Custom"},
	reflect.TypeFor[v1alpha1.KubernetesDeployModeType]():     {"ControllerNamespace", "GatewayNamespace"},
	reflect.TypeFor[v1alpha1.KubernetesWatchModeType]():      {"Namespaces", "NamespaceSelector"},
	reflect.TypeFor[v1alpha1.ResourceProviderType]():         {"File", "Kubernetes"},
	reflect.TypeFor[v1alpha1.InfrastructureProviderType]():   {"Host", "Remote"},
	reflect.TypeFor[v1alpha1.LogLevel]():                     {"debug", "info", "warn", "error"},
	reflect.TypeFor[v1alpha1.LogEncoder]():                   {"Text", "JSON"},
	reflect.TypeFor[v1alpha1.MetricSinkType]():               {"OpenTelemetry"},
	reflect.TypeFor[v1alpha1.OTLPProtocol]():                 {"grpc", "http"},
	reflect.TypeFor[v1alpha1.RateLimitDatabaseBackendType](): {"Redis"},
	reflect.TypeFor[v1alpha1.RateLimitTracingProviderType](): {"OpenTelemetry"},
	reflect.TypeFor[v1alpha1.XDSTranslatorHook]():            {"VirtualHost", "Route", "HTTPListener", "Translation", "Cluster", "Endpoints"},
	reflect.TypeFor[v1alpha1.GatewayAPIKind]():               {"XBackendTrafficPolicy"},
	reflect.TypeFor[v1alpha1.RuntimeFlag]():                  {"XDSNameSchemeV2", "EndpointSliceIndex", "PerResourceSystemCASecret"},
	reflect.TypeFor[v1alpha1.EnvoyGatewayLogComponent]():     {"default", "provider", "gateway-api", "xds-translator", "xds-server", "xds", "infrastructure", "global-ratelimit"},
}

type fieldInfo struct {
	typ      reflect.Type
	required bool
}

// fieldsOf returns the fields of a struct by their names in JSON. In the types
// of the gateway APIs, those that are written even when empty are required.
func fieldsOf(t reflect.Type) map[string]fieldInfo {
	fields := map[string]fieldInfo{}
	strict := strings.Contains(t.PkgPath(), "egctl/api/") || strings.Contains(t.PkgPath(), "gateway-api/apis/")
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "" && f.Anonymous:
			for k, v := range fieldsOf(f.Type) {
				fields[k] = v
			}
		case name != "" && name != "-":
			fields[name] = fieldInfo{typ: f.Type, required: strict && !strings.Contains(options, "omit")}
		}
	}
	return fields
}

// join is the path of a field, in the notation of package manifest.
func join(path, field string) string {
	switch {
	case strings.ContainsFunc(field, func(c rune) bool {
		plain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("_-$", c)
		return !plain
	}):
		return path + "[" + field + "]"
	case path == "":
		return field
	default:
		return path + "." + field
	}
}

func hint(name string, known []string) string {
	if h := manifest.DidYouMean(name, known); h != "" {
		return "; " + h
	}
	return ""
}

// meant is the one value that looks like another, if there is one.
func meant(value string, known []string) string {
	if h := manifest.DidYouMean(value, known); strings.HasPrefix(h, "did you mean") {
		return h
	}
	return ""
}

func empty(v any) bool {
	switch x := v.(type) {
	case map[string]any:
		for _, item := range x {
			if !empty(item) {
				return false
			}
		}
		return true
	case []any:
		return len(x) == 0
	case nil:
		return true
	default:
		return v == "" || v == false || v == int64(0)
	}
}

func describe(v any) string {
	switch x := v.(type) {
	case map[string]any:
		return "a mapping"
	case []any:
		return "a list"
	default:
		return show(x)
	}
}

func show(v any) string {
	switch x := v.(type) {
	case string:
		return fmt.Sprintf("the text %q", x)
	case bool:
		return fmt.Sprint(x)
	case nil:
		return "nothing"
	case map[string]any, []any:
		return describe(x)
	default:
		return fmt.Sprintf("the number %v", x)
	}
}

func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "text (in quotes if it looks like a number)"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Struct:
		return "a quantity such as 4Mi"
	default:
		return "a " + t.Kind().String()
	}
}

// duration reads Gateway API's form of durations and Go's, which has it in it.
func duration(d gwapiv1.Duration) (time.Duration, error) { return time.ParseDuration(string(d)) }
