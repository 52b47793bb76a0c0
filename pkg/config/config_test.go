package config_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/config"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const head = "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyGateway\n"

// A file as a whole: what is read from it, and what is said about it.
func TestGoldens(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c, warnings, err := config.Parse(filepath.Base(file), data)
			var b bytes.Buffer
			for _, w := range warnings {
				b.WriteString("warning: " + w + "\n")
			}
			if err != nil {
				for line := range strings.SplitSeq(err.Error(), "\n") {
					b.WriteString("error: " + line + "\n")
				}
			} else {
				text, err := yaml.Marshal(c)
				if err != nil {
					t.Fatal(err)
				}
				b.Write(text)
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(b.Bytes(), want) {
				t.Errorf("%s has\n%s\nand the file says now\n%s", golden, want, b.Bytes())
			}
		})
	}
}

// What is refused, and what the message has to name. An empty want is accepted
// without a word.
func TestVerdicts(t *testing.T) {
	kubernetes := func(s string) string { return head + "provider: {type: Kubernetes, kubernetes: " + s + "}\n" }
	for name, test := range map[string]struct{ text, want string }{
		"nothing":               {head, ""},
		"as the chart makes it": {head + "gateway: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}\nprovider: {type: Kubernetes, kubernetes: {shutdownManager: {image: a}}}\nlogging: {level: {default: info}}\nextensionApis: {}\n", ""},
		"switched off":          {head + "extensionApis: {enableBackend: false}\nrateLimit: null\ntelemetry: {metrics: {sinks: []}}\n", ""},
		"empty":                 {"", "f: the file is empty"},
		"comments":              {"# a\n", "the file is empty"},
		"no mapping":            {"- a\n", "f:1: the file is no mapping"},
		"no YAML":               {head + "a: [\n", "f:3: "},
		"two documents":         {head + "---\n" + head, "f:4: there is a second document"},
		"no version":            {"kind: EnvoyGateway\n", "there is no apiVersion; set apiVersion: gateway.envoyproxy.io/v1alpha1"},
		"other version":         {"apiVersion: gateway.envoyproxy.io/v1\nkind: EnvoyGateway\n", "f:1: apiVersion: is the text \"gateway.envoyproxy.io/v1\""},
		"other kind":            {"apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyProxy\n", "f:2: kind: is the text \"EnvoyProxy\""},

		"custom provider":        {head + "provider: {type: Custom, custom: {resource: {type: File, file: {paths: [a]}}}}\n", "provider.type: Custom is not supported yet; use Kubernetes, or"},
		"no namespaces":          {kubernetes("{watch: {type: Namespaces}}"), "f:3: provider.kubernetes.watch: type Namespaces names no namespaces"},
		"namespaces for no type": {kubernetes("{watch: {namespaces: [a]}}"), "watch: there is no type"},
		"namespace of that name": {kubernetes("{watch: {type: Namespaces, namespaces: [a, A_b]}}"), `watch.namespaces[1]: "A_b" is no name of a namespace`},
		"no selector":            {kubernetes("{watch: {type: NamespaceSelector}}"), "type NamespaceSelector has no selector"},
		"bad selector":           {kubernetes("{watch: {type: NamespaceSelector, namespaceSelector: {matchExpressions: [{key: a, operator: Like}]}}}"), `namespaceSelector: "Like" is not a valid label selector operator`},
		"selector":               {kubernetes("{watch: {type: NamespaceSelector, namespaceSelector: {matchLabels: {a: b}}}}"), ""},
		"rate of calls":          {kubernetes("{client: {rateLimit: {qps: 0}}}"), "provider.kubernetes.client.rateLimit.qps: is 0; use 1 or more"},
		"burst of calls":         {kubernetes("{client: {rateLimit: {burst: -1}}}"), "client.rateLimit.burst: is -1"},
		"no time to renew":       {kubernetes("{leaderElection: {leaseDuration: 10s}}"), "leaderElection.leaseDuration: is 10s, not longer than the renewDeadline of 10s"},
		"no time to retry":       {kubernetes("{leaderElection: {retryPeriod: 9s}}"), "leaderElection.renewDeadline: is 10s, not more than 1.2 times the retryPeriod of 9s"},
		"retries at once":        {kubernetes("{leaderElection: {retryPeriod: 0s}}"), "leaderElection.retryPeriod: is 0s"},
		"duration of Go":         {kubernetes("{leaderElection: {retryPeriod: 1.5s}}"), ""},
		"negative duration":      {kubernetes("{leaderElection: {retryPeriod: -1s}}"), `"-1s" is no duration`},

		"port":                  {head + "admin: {address: {port: 70000}}\n", "admin.address.port: 70000 is no TCP port"},
		"connections of no age": {head + "xdsServer: {maxConnectionAge: 0s}\n", "xdsServer.maxConnectionAge: is 0s"},
		"messages of no size":   {head + "xdsServer: {maxReceiveMessageSize: 0}\n", "xdsServer.maxReceiveMessageSize: 0 is no size"},
		"messages too big":      {head + "xdsServer: {maxReceiveMessageSize: 4Gi}\n", "4Gi is no size"},

		"no address of Redis":    {head + "rateLimit: {backend: {type: Redis, redis: {}}}\n", "rateLimit.backend.redis: there is no address"},
		"two addresses of Redis": {head + "rateLimit: {backend: {type: Redis, redis: {url: a, urlRef: {secretKeyRef: {name: a, key: b}}}}}\n", "there are both url and urlRef"},
		"optional address":       {head + "rateLimit: {backend: {type: Redis, redis: {urlRef: {secretKeyRef: {name: a, key: b, optional: true}}}}}\n", "secretKeyRef.optional: the address cannot be optional"},
		"no backend":             {head + "rateLimit: {}\n", "rateLimit: there is no backend; set rateLimit.backend"},
		"both extensions":        {head + "extensionManager: {hooks: {}, service: {fqdn: {hostname: a, port: 1}}}\nextensionManagers: [{name: a, hooks: {}, service: {unix: {path: /a}}}]\n", "extensionManager: cannot be used together with extensionManagers"},
		"extension nowhere":      {head + "extensionManager: {hooks: {}, service: {}}\n", "extensionManager.service: there are 0 addresses"},
		"extension of no name":   {head + "extensionManagers: [{hooks: {}, service: {host: a}}]\n", "extensionManagers[0]: there is no name"},
		"extensions of one name": {head + "extensionManagers: [{name: a, hooks: {}, service: {host: a}}, {name: a, hooks: {}, service: {host: a}}]\n", `extensionManagers[1].name: "a" is the name of another extension`},
		"Lua on and off":         {head + "extensionApis: {enableLua: true, disableLua: true}\n", "extensionApis.disableLua: disableLua and enableLua are both true"},

		"proxy against the rules": {head + "envoyProxy:\n  provider:\n    type: Kubernetes\n    kubernetes: {envoyDaemonSet: {}, envoyHpa: {maxReplicas: 1}}\n", "f:6: envoyProxy.provider.kubernetes: envoyHpa cannot be used with envoyDaemonSet"},
	} {
		t.Run(name, func(t *testing.T) {
			_, warnings, err := config.Parse("f", []byte(test.text))
			switch {
			case test.want == "" && (err != nil || len(warnings) > 0):
				t.Errorf("warnings %q, error %v, want neither", warnings, err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}

func TestDefaultIsWhatAnEmptyFileMeans(t *testing.T) {
	got, _, err := config.Parse("f", []byte(head))
	if err != nil {
		t.Fatal(err)
	}
	a, _ := yaml.Marshal(got)
	b, _ := yaml.Marshal(config.Default())
	if !bytes.Equal(a, b) {
		t.Errorf("an empty file is\n%s\nthe default\n%s", a, b)
	}
}

func TestFieldGivenTwice(t *testing.T) {
	c, warnings, err := config.Parse("f", []byte(head+"admin:\n  enablePprof: false\n  enablePprof: true\n"))
	if err != nil {
		t.Fatal(err)
	}
	if !c.Admin.EnablePprof || len(warnings) != 1 || warnings[0] != "f:5: enablePprof: is given twice; the last one counts" {
		t.Errorf("pprof %v, warnings %q", c.Admin.EnablePprof, warnings)
	}
}

// Envoy Gateway's chart writes the field to the top of the file.
func TestInjectorAtTheTop(t *testing.T) {
	c, warnings, err := config.Parse("f", []byte(head+"proxyTopologyInjector: {disabled: true}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if i := c.Provider.Kubernetes.ProxyTopologyInjector; i == nil || i.Disabled == nil || !*i.Disabled {
		t.Errorf("the injector is %v, want it disabled", i)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "f:3: proxyTopologyInjector: is not supported yet") {
		t.Errorf("warnings %q", warnings)
	}
}

// Fields are read by their exact names, like an API server does.
func TestNamesOfFieldsHaveCase(t *testing.T) {
	c, warnings, err := config.Parse("f", []byte(head+"gateway: {ControllerName: a}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Gateway.ControllerName != v1alpha1.GatewayControllerName || len(warnings) != 1 || !strings.Contains(warnings[0], `did you mean "controllerName"?`) {
		t.Errorf("controller %q, warnings %q", c.Gateway.ControllerName, warnings)
	}
}

func FuzzParse(f *testing.F) {
	for _, file := range []string{"testdata/full.yaml", "testdata/wrong.yaml"} {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(head + "envoyProxy: &a {logging: *a}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, _, err := config.Parse("f", data)
		if (c == nil) == (err == nil) {
			t.Fatalf("configuration %v, error %v", c, err)
		}
		if err != nil {
			return
		}
		// What was accepted is accepted again, and means the same.
		text, err := yaml.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := config.Parse("f", text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if b, _ := yaml.Marshal(again); !reflect.DeepEqual(text, b) {
			t.Fatalf("became\n%s\nfrom\n%s", b, text)
		}
	})
}
