package validate_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/egctl/egctl/pkg/crds"
	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/manifest"
	"github.com/egctl/egctl/pkg/validate"
)

// verdicts are specs in flow style, by kind, and what is wrong with each: parts
// of findings written as "path: message", one a line. Empty means valid.
var verdicts = []struct{ kind, name, spec, want string }{
	{"HTTPRoute", "empty", `{}`, ""},
	{"HTTPRoute", "path without slash", `{rules: [{matches: [{path: {type: PathPrefix, value: foo}}]}]}`, `spec.rules[0].matches[0].path: value must be an absolute path and start with '/'`},
	{"HTTPRoute", "path with two slashes", `{rules: [{matches: [{path: {type: Exact, value: /a//b}}]}]}`, `path: must not contain '//'`},
	{"HTTPRoute", "path with dots", `{rules: [{matches: [{path: {value: /a/../b}}]}]}`, `path: must not contain '/../'`},
	{"HTTPRoute", "path with a fragment", `{rules: [{matches: [{path: {value: "/a#b"}}]}]}`, `path: must not contain '#'`},
	{"HTTPRoute", "path with odd characters", `{rules: [{matches: [{path: {value: "/a b"}}]}]}`, `path: must only contain valid characters`},
	{"HTTPRoute", "regular expressions are free", `{rules: [{matches: [{path: {type: RegularExpression, value: "a//b"}}]}]}`, ""},
	{"HTTPRoute", "unknown path type", `{rules: [{matches: [{path: {type: Glob, value: /}}]}]}`, `spec.rules[0].matches[0].path.type: "Glob": supported values: "Exact", "PathPrefix", "RegularExpression"`},
	{"HTTPRoute", "path too long", `{rules: [{matches: [{path: {value: /` + strings.Repeat("a", 1100) + `}}]}]}`, `path.value: "/aaa`},
	{"HTTPRoute", "unknown method", `{rules: [{matches: [{method: FETCH}]}]}`, `method: "FETCH": supported values`},
	{"HTTPRoute", "same header twice", `{rules: [{matches: [{headers: [{name: a, value: b}, {name: a, value: c}]}]}]}`, `spec.rules[0].matches[0].headers[1]: is given twice: {"name":"a"}`},
	{"HTTPRoute", "header name", `{rules: [{matches: [{headers: [{name: "a b", value: c}]}]}]}`, `headers[0].name: "a b": should match '^[A-Za-z0-9!#$%&'`},
	{"HTTPRoute", "header without value", `{rules: [{matches: [{headers: [{name: a}]}]}]}`, `headers[0].value: is required`},
	{"HTTPRoute", "hostname", `{hostnames: ["*.example.com", a.example.com]}`, ""},
	{"HTTPRoute", "hostname with port", `{hostnames: ["example.com:80"]}`, `spec.hostnames[0]: "example.com:80": should match`},
	{"HTTPRoute", "wildcard inside", `{hostnames: ["a.*.example.com"]}`, `spec.hostnames[0]: "a.*.example.com": should match`},
	{"HTTPRoute", "too many hostnames", `{hostnames: [` + strings.TrimSuffix(strings.Repeat("a.b, ", 17), ", ") + `]}`, `spec.hostnames: must have at most 16 items`},
	{"HTTPRoute", "same parent twice", `{parentRefs: [{name: a}, {name: a}]}`, `spec.parentRefs: sectionName or port must be unique when parentRefs includes 2 or more references to the same parent`},
	{"HTTPRoute", "same parent, two sections", `{parentRefs: [{name: a, sectionName: x}, {name: a, sectionName: z}]}`, ""},
	{"HTTPRoute", "same parent, one section", `{parentRefs: [{name: a, sectionName: x}, {name: a}]}`, `spec.parentRefs: sectionName or port must be specified when`},
	{"HTTPRoute", "same parent, two ports", `{parentRefs: [{name: a, port: 80}, {name: a, port: 81}]}`, ""},
	{"HTTPRoute", "port out of range", `{parentRefs: [{name: a, port: 70000}]}`, `spec.parentRefs[0].port: 70000: should be less than or equal to 65535`},
	{"HTTPRoute", "redirect with backends", `{rules: [{filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}], backendRefs: [{name: a, port: 80}]}]}`, `spec.rules[0]: RequestRedirect filter must not be used together with backendRefs`},
	{"HTTPRoute", "redirect and rewrite", `{rules: [{filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}, {type: URLRewrite, urlRewrite: {hostname: a.b}}]}]}`, `spec.rules[0].filters: May specify either httpRouteFilterRequestRedirect or httpRouteFilterRequestRewrite, but not both`},
	{"HTTPRoute", "two redirects", `{rules: [{filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}, {type: RequestRedirect, requestRedirect: {port: 1}}]}]}`, `filters: RequestRedirect filter cannot be repeated`},
	{"HTTPRoute", "two rewrites", `{rules: [{filters: [{type: URLRewrite, urlRewrite: {hostname: a}}, {type: URLRewrite, urlRewrite: {hostname: b}}]}]}`, `filters: URLRewrite filter cannot be repeated`},
	{"HTTPRoute", "two header modifiers", `{rules: [{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [a]}}, {type: RequestHeaderModifier, requestHeaderModifier: {remove: [b]}}]}]}`, `filters: RequestHeaderModifier filter cannot be repeated`},
	{"HTTPRoute", "two mirrors are fine", `{rules: [{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: a, port: 1}}}, {type: RequestMirror, requestMirror: {backendRef: {name: b, port: 1}}}]}]}`, ""},
	{"HTTPRoute", "mirror percent and fraction", `{rules: [{filters: [{type: RequestMirror, requestMirror: {percent: 5, fraction: {numerator: 1}, backendRef: {name: a, port: 1}}}]}]}`, `requestMirror: Only one of percent or fraction may be specified`},
	{"HTTPRoute", "fraction over one", `{rules: [{filters: [{type: RequestMirror, requestMirror: {fraction: {numerator: 3, denominator: 2}, backendRef: {name: a, port: 1}}}]}]}`, `fraction: numerator must be less than or equal to denominator`},
	{"HTTPRoute", "filter without its part", `{rules: [{filters: [{type: URLRewrite}]}]}`, `spec.rules[0].filters[0]: filter.urlRewrite must be specified for URLRewrite filter.type`},
	{"HTTPRoute", "filter with another's part", `{rules: [{filters: [{type: URLRewrite, urlRewrite: {hostname: a}, requestMirror: {backendRef: {name: a, port: 1}}}]}]}`, `spec.rules[0].filters[0]: filter.requestMirror must be nil if the filter.type is not RequestMirror`},
	{"HTTPRoute", "unknown filter", `{rules: [{filters: [{type: Magic}]}]}`, `filters[0].type: "Magic": supported values`},
	{"HTTPRoute", "prefix rewrite of an exact match", `{rules: [{matches: [{path: {type: Exact, value: /a}}], filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}}]}]}`, `spec.rules[0]: When using URLRewrite filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified`},
	{"HTTPRoute", "prefix redirect of two matches", `{rules: [{matches: [{path: {value: /a}}, {path: {value: /b}}], filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /c}}}]}]}`, `spec.rules[0]: When using RequestRedirect filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified`},
	{"HTTPRoute", "rewrite type and value disagree", `{rules: [{filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replacePrefixMatch: /c}}}]}]}`, `urlRewrite.path: replaceFullPath must be specified when type is set to 'ReplaceFullPath'`},
	{"HTTPRoute", "redirect status", `{rules: [{filters: [{type: RequestRedirect, requestRedirect: {statusCode: 200}}]}]}`, `statusCode: 200: supported values`},
	{"HTTPRoute", "header set twice", `{rules: [{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: b}, {name: a, value: c}]}}]}]}`, `requestHeaderModifier.set[1]: is given twice: {"name":"a"}`},
	{"HTTPRoute", "filters of a backend", `{rules: [{backendRefs: [{name: a, port: 80, filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}, {type: URLRewrite, urlRewrite: {hostname: a.b}}]}]}]}`, `backendRefs[0].filters: May specify either httpRouteFilterRequestRedirect or httpRouteFilterRequestRewrite, but not both`},
	{"HTTPRoute", "service without port", `{rules: [{backendRefs: [{name: a}]}]}`, `spec.rules[0].backendRefs[0]: Must have port for Service reference`},
	{"HTTPRoute", "other backend without port", `{rules: [{backendRefs: [{name: a, group: x.y, kind: Z}]}]}`, ""},
	{"HTTPRoute", "negative weight", `{rules: [{backendRefs: [{name: a, port: 1, weight: -1}]}]}`, `weight: -1: should be greater than or equal to 0`},
	{"HTTPRoute", "backend timeout over request timeout", `{rules: [{timeouts: {request: 1s, backendRequest: 2s}}]}`, `spec.rules[0].timeouts: backendRequest timeout cannot be longer than request timeout`},
	{"HTTPRoute", "timeout in days", `{rules: [{timeouts: {request: 1d}}]}`, `timeouts.request: "1d": should match`},
	{"HTTPRoute", "retry codes", `{rules: [{retry: {codes: [500, 503], attempts: 2, backoff: 10ms}}]}`, ""},
	{"HTTPRoute", "retry code out of range", `{rules: [{retry: {codes: [399]}}]}`, `retry.codes[0]: 399: should be greater than or equal to 400`},
	{"HTTPRoute", "rule named twice", `{rules: [{name: a}, {name: a}]}`, `spec.rules: Rule name must be unique within the route`},
	{"HTTPRoute", "permanent cookie without time", `{rules: [{sessionPersistence: {cookie: {lifetimeType: Permanent}}}]}`, `sessionPersistence: AbsoluteTimeout must be specified when cookie lifetimeType is Permanent`},
	{"HTTPRoute", "too many rules", `{rules: [` + strings.TrimSuffix(strings.Repeat("{}, ", 17), ", ") + `]}`, `spec.rules: must have at most 16 items`},
	{"HTTPRoute", "two errors", `{hostnames: ["_"], rules: [{matches: [{path: {value: x}}]}]}`, "spec.hostnames[0]: \"_\": should match\npath: value must be an absolute path"},

	{"GRPCRoute", "method", `{rules: [{matches: [{method: {service: a.B, method: C}}]}]}`, ""},
	{"GRPCRoute", "nothing in method", `{rules: [{matches: [{method: {type: Exact}}]}]}`, `spec.rules[0].matches[0].method: One or both of 'service' or 'method' must be specified`},
	{"GRPCRoute", "service with slash", `{rules: [{matches: [{method: {service: a/b}}]}]}`, `method: service must only contain valid characters`},
	{"GRPCRoute", "two header modifiers", `{rules: [{filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {remove: [a]}}, {type: ResponseHeaderModifier, responseHeaderModifier: {remove: [b]}}]}]}`, `filters: ResponseHeaderModifier filter cannot be repeated`},
	{"GRPCRoute", "an HTTP filter", `{rules: [{filters: [{type: URLRewrite}]}]}`, `filters[0].type: "URLRewrite": supported values`},

	{"TLSRoute", "valid", `{hostnames: [a.b], rules: [{backendRefs: [{name: a, port: 1}]}]}`, ""},
	{"TLSRoute", "no hostnames", `{rules: [{backendRefs: [{name: a, port: 1}]}]}`, `spec.hostnames: is required`},
	{"TLSRoute", "address as hostname", `{hostnames: [1.2.3.4], rules: [{backendRefs: [{name: a, port: 1}]}]}`, `spec.hostnames: Hostnames cannot contain an IP`},
	{"TCPRoute", "no backends", `{rules: [{}]}`, `spec.rules[0].backendRefs: is required`},
	{"UDPRoute", "no rules", `{}`, `spec.rules: is required`},

	{"Gateway", "valid", `{gatewayClassName: eg, listeners: [{name: a, port: 80, protocol: HTTP}, {name: b, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: c}]}}]}`, ""},
	{"Gateway", "no class", `{listeners: [{name: a, port: 80, protocol: HTTP}]}`, `spec.gatewayClassName: is required`},
	{"Gateway", "name twice", `{gatewayClassName: eg, listeners: [{name: a, port: 80, protocol: HTTP}, {name: a, port: 81, protocol: HTTP}]}`, `spec.listeners[1]: is given twice: {"name":"a"}`},
	{"Gateway", "port, protocol and host twice", `{gatewayClassName: eg, listeners: [{name: a, port: 80, protocol: HTTP}, {name: b, port: 80, protocol: HTTP}]}`, `spec.listeners: Combination of port, protocol and hostname must be unique for each listener`},
	{"Gateway", "port shared by hosts", `{gatewayClassName: eg, listeners: [{name: a, port: 80, protocol: HTTP, hostname: a.b}, {name: b, port: 80, protocol: HTTP}]}`, ""},
	{"Gateway", "TLS on HTTP", `{gatewayClassName: eg, listeners: [{name: a, port: 80, protocol: HTTP, tls: {certificateRefs: [{name: c}]}}]}`, `spec.listeners: tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']`},
	{"Gateway", "HTTPS passthrough", `{gatewayClassName: eg, listeners: [{name: a, port: 80, protocol: HTTPS, tls: {mode: Passthrough}}]}`, `spec.listeners: tls mode must be Terminate for protocol HTTPS`},
	{"Gateway", "terminate without certificate", `{gatewayClassName: eg, listeners: [{name: a, port: 80, protocol: HTTPS, tls: {mode: Terminate}}]}`, `certificateRefs or options must be specified when mode is Terminate`},
	{"Gateway", "hostname on TCP", `{gatewayClassName: eg, listeners: [{name: a, port: 80, protocol: TCP, hostname: a.b}]}`, `spec.listeners: hostname must not be specified for protocols ['TCP', 'UDP']`},
	{"Gateway", "no listener", `{gatewayClassName: eg, listeners: []}`, `spec.listeners: should have at least 1 items`},
	{"Gateway", "address", `{gatewayClassName: eg, addresses: [{type: IPAddress, value: 1.2.3}], listeners: [{name: a, port: 80, protocol: HTTP}]}`, `spec.addresses[0]`},
	{"Gateway", "selector without from", `{gatewayClassName: eg, listeners: [{name: a, port: 0, protocol: HTTP}]}`, `spec.listeners[0].port: 0: should be greater than or equal to 1`},
	{"Gateway", "frontend port twice", `{gatewayClassName: eg, tls: {frontend: {default: {}, perPort: [{port: 1, tls: {}}, {port: 1, tls: {}}]}}, listeners: [{name: a, port: 80, protocol: HTTP}]}`, `perPort[1]: is given twice`},

	{"ListenerSet", "valid", `{parentRef: {name: g}, listeners: [{name: a, port: 80, protocol: HTTP}]}`, ""},
	{"ListenerSet", "no parent", `{listeners: [{name: a, port: 80, protocol: HTTP}]}`, `spec.parentRef: is required`},
	{"ListenerSet", "TLS on UDP", `{parentRef: {name: g}, listeners: [{name: a, port: 80, protocol: UDP, tls: {mode: Passthrough}}]}`, `spec.listeners: tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']`},

	{"BackendTLSPolicy", "system certificates", `{targetRefs: [{group: "", kind: Service, name: a}], validation: {hostname: a.b, wellKnownCACertificates: System}}`, ""},
	{"BackendTLSPolicy", "neither", `{targetRefs: [{group: "", kind: Service, name: a}], validation: {hostname: a.b}}`, `spec.validation: exactly one of the fields in [caCertificateRefs wellKnownCACertificates] must be set`},
	{"BackendTLSPolicy", "both", `{targetRefs: [{group: "", kind: Service, name: a}], validation: {hostname: a.b, wellKnownCACertificates: System, caCertificateRefs: [{group: "", kind: ConfigMap, name: c}]}}`, `spec.validation: exactly one of the fields in [caCertificateRefs wellKnownCACertificates] must be set`},
	{"BackendTLSPolicy", "target twice", `{targetRefs: [{group: "", kind: Service, name: a}, {group: "", kind: Service, name: a}], validation: {hostname: a.b, wellKnownCACertificates: System}}`, `spec.targetRefs: sectionName must be unique when targetRefs includes 2 or more references to the same target`},
	{"BackendTLSPolicy", "no hostname", `{targetRefs: [{group: "", kind: Service, name: a}], validation: {wellKnownCACertificates: System}}`, `spec.validation.hostname: is required`},
	{"BackendTLSPolicy", "alternative name of the wrong type", `{targetRefs: [{group: "", kind: Service, name: a}], validation: {hostname: a.b, wellKnownCACertificates: System, subjectAltNames: [{type: URI, hostname: a}]}}`, `subjectAltNames[0]: SubjectAltName element must contain URI, if Type is set to URI`},

	{"ReferenceGrant", "valid", `{from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: a}], to: [{group: "", kind: Secret}]}`, ""},
	{"ReferenceGrant", "nobody", `{from: [], to: [{group: "", kind: Secret}]}`, `spec.from: should have at least 1 items`},
	{"GatewayClass", "valid", `{controllerName: gateway.envoyproxy.io/gatewayclass-controller}`, ""},
	{"GatewayClass", "controller name", `{controllerName: eg}`, `spec.controllerName: "eg": should match`},
}

func document(kind, spec string) []*manifest.Document {
	return manifest.Parse("f.yaml", []byte("apiVersion: gateway.networking.k8s.io/v1\nkind: "+kind+"\nmetadata: {name: test}\nspec: "+spec+"\n"), "default")
}

func lines(found []finding.Finding) string {
	var b strings.Builder
	for _, f := range found {
		fmt.Fprintf(&b, "%s: %s\n", f.Path, f.Message)
	}
	return b.String()
}

func TestVerdicts(t *testing.T) {
	v, err := validate.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range verdicts {
		t.Run(test.kind+"/"+test.name, func(t *testing.T) {
			docs := document(test.kind, test.spec)
			if f := docs[0].Findings(); len(f) > 0 {
				t.Fatalf("reading: %v", f)
			}
			got := lines(v.ValidateAll(docs))
			if test.want == "" && got != "" {
				t.Fatalf("valid object refused:\n%s", got)
			}
			for _, want := range strings.Split(test.want, "\n") {
				if !strings.Contains(got, want) {
					t.Errorf("found\n%swant %s", got, want)
				}
			}
		})
	}
}

// The examples of the Gateway API are accepted by its CRDs, so they must be here.
func TestExamplesAreValid(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api").Output()
	if err != nil {
		t.Fatalf("find the module: %v", err)
	}
	v, err := validate.New()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = filepath.WalkDir(filepath.Join(strings.TrimSpace(string(out)), "examples"), func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !manifest.IsManifest(p) {
			return err
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		docs := manifest.Parse(filepath.Base(p), data, "default")
		n += len(docs)
		for _, f := range v.ValidateAll(docs) {
			t.Errorf("%s: %s", p, f)
		}
		return nil
	})
	if err != nil || n < 100 {
		t.Fatalf("%d documents, error %v", n, err)
	}
}

func TestCodesAndHints(t *testing.T) {
	v, err := validate.New()
	if err != nil {
		t.Fatal(err)
	}
	check := func(docs []*manifest.Document, code finding.Code, hint string) {
		t.Helper()
		found := v.ValidateAll(docs)
		if len(found) != 1 || found[0].Code != code || !strings.Contains(found[0].Hint, hint) {
			t.Errorf("found %v, want one %s with hint %q", found, code, hint)
		}
	}
	check(document("HTTPRoute", `{parentRefs: [{name: a}, {name: a}]}`), validate.CodeRule, "self.all(p1, self.exists_one(p2")
	check(manifest.Parse("f", []byte("apiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: XBackendTrafficPolicy\nmetadata: {name: a}\nspec: {targetRefs: [{group: \"\", kind: Service, name: a}], nope: 1}\n"), "default"), manifest.CodeUnknownField, "")
	check(document("UDPRoute", `{}`), validate.CodeSchema, "once this is right")
	check(manifest.Parse("f", []byte("apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: GRPCRoute\nmetadata: {name: a}\n"), ""), validate.CodeNotServed, "gateway.networking.k8s.io/v1")
	// Rules are left out where metadata lacks something, too.
	check(manifest.Parse("f", []byte("apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a, ownerReferences: [{apiVersion: v1, kind: Pod, name: a}]}\nspec: {parentRefs: [{name: a}, {name: a}]}\n"), "x"), validate.CodeMetadata, "")
	check(manifest.Parse("f", []byte("apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: A_b}\nspec: {}\n"), "x"), validate.CodeMetadata, "")
	check(manifest.Parse("f", []byte("apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a, labels: {x: \"a b\"}}\nspec: {}\n"), "x"), validate.CodeMetadata, "")
}

// What reading has reported is not reported again, and what cannot be checked is let be.
func TestNothingIsSaidTwice(t *testing.T) {
	v, err := validate.New()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"wrong type":                     "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a}\nspec: {hostnames: [1]}\n",
		"wrong type at a key with dots":  "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: a}\nspec: {gatewayClassName: a, infrastructure: {annotations: {a.b/c: 1}}, listeners: [{name: a, port: 80, protocol: HTTP}]}\n",
		"what an API server writes anew": "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a, managedFields: [{operation: x}]}\nspec: {}\n",
		"syntax":                         "a: [\n",
		"no name":                        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {}\nspec: {}\n",
		"unknown version":                "apiVersion: gateway.networking.k8s.io/v9\nkind: HTTPRoute\nmetadata: {name: a}\n",
		"unknown kind":                   "apiVersion: gateway.networking.k8s.io/v1\nkind: Route\nmetadata: {name: a}\n",
		"unknown field":                  "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a}\nspec: {hostname: x}\n",
		"another kind":                   "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 0}]}\n",
		"status":                         "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a}\nspec: {}\nstatus: {parents: [{}]}\n",
	} {
		if found := v.ValidateAll(manifest.Parse("f", []byte(text), "default")); len(found) > 0 {
			t.Errorf("%s: %v", name, found)
		}
	}
}

func TestStandardChannel(t *testing.T) {
	v, err := validate.New(validate.Channel(crds.Standard))
	if err != nil {
		t.Fatal(err)
	}
	docs := document("HTTPRoute", `{rules: [{sessionPersistence: {sessionName: a}}]}`)
	found := v.ValidateAll(docs)
	if len(found) != 1 || found[0].Code != validate.CodeChannel || found[0].Path != "spec.rules[0].sessionPersistence" || found[0].Severity != finding.Warning {
		t.Errorf("found %v", found)
	}
	found = v.ValidateAll(manifest.Parse("f", []byte("apiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: XBackendTrafficPolicy\nmetadata: {name: a}\n"), "default"))
	if len(found) != 1 || found[0].Code != validate.CodeNotServed || found[0].Path != "kind" {
		t.Errorf("a kind of the experimental channel: found %v", found)
	}
	if _, err := validate.New(validate.Channel("nightly")); err == nil {
		t.Error("a channel that does not exist was accepted")
	}
}

func FuzzValidate(f *testing.F) {
	for _, test := range verdicts {
		f.Add("apiVersion: gateway.networking.k8s.io/v1\nkind: " + test.kind + "\nmetadata: {name: test}\nspec: " + test.spec + "\n")
	}
	v, err := validate.New()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, found := range v.ValidateAll(manifest.Parse("f", []byte(text), "default")) {
			if found.Code == validate.CodeInternal {
				t.Fatal(found)
			}
		}
	})
}

func BenchmarkFirstDocument(b *testing.B) {
	docs := document("HTTPRoute", `{}`)
	for b.Loop() {
		v, err := validate.New()
		if err != nil {
			b.Fatal(err)
		}
		v.ValidateAll(docs)
	}
}

func BenchmarkHTTPRoute(b *testing.B) {
	docs := document("HTTPRoute", `{parentRefs: [{name: eg}], hostnames: [a.b], rules: [{matches: [{path: {value: /x}}], backendRefs: [{name: a, port: 80}]}]}`)
	v, err := validate.New()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		v.ValidateAll(docs)
	}
}
