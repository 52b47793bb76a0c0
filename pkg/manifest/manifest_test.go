package manifest_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/manifest"
	"github.com/egctl/egctl/pkg/store"
)

func configMap(name string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\n"
}

// names lists what was read as "name@line".
func names(docs []*manifest.Document) string {
	var s []string
	for _, d := range docs {
		n := d.Key.Name
		if d.Object == nil {
			n = "!" + n
		}
		s = append(s, fmt.Sprintf("%s@%d", n, d.Line))
	}
	return strings.Join(s, " ")
}

func TestDocumentsOfAFile(t *testing.T) {
	a, b, c := configMap("a"), configMap("b"), configMap("c")
	for name, test := range map[string]struct{ in, want string }{
		"one":                              {a, "a@1"},
		"nothing":                          {"", ""},
		"only comments":                    {"# nothing\n---\n\n# here\n---\n", ""},
		"two":                              {a + "---\n" + b, "a@1 b@6"},
		"leading and trailing marks":       {"---\n" + a + "---\n---\n" + b + "---\n", "a@2 b@8"},
		"comments first":                   {"# x\n\n" + a + "--- # y\n# z\n" + b, "a@3 b@9"},
		"end marks":                        {a + "...\n# between\n---\n" + b + "...\n", "a@1 b@8"},
		"end mark alone separates":         {a + "...\n" + b, "a@1 b@6"},
		"content after the mark":           {"--- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n--- \n" + b, "a@1 b@3"},
		"directive":                        {"%YAML 1.1\n---\n" + a + "...\n%YAML 1.1\n---\n" + b, "a@3 b@10"},
		"dashes that are no mark":          {a + "data:\n  x: |\n    ---\n    y\n  ---z: w\n---\n" + b, "a@1 b@11"},
		"mark inside a block scalar":       {a + "data:\n  x: |\n    y\n---\n" + b, "a@1 b@9"},
		"windows lines":                    {strings.ReplaceAll(a+"---\n"+b, "\n", "\r\n"), "a@1 b@6"},
		"byte order mark":                  {"\uFEFF" + a + "---\n\uFEFF" + b, "a@1 b@6"},
		"no final newline":                 {strings.TrimSuffix(a+"---\n"+b, "\n"), "a@1 b@6"},
		"a mark at the very end":           {a + "---", "a@1"},
		"malformed between":                {a + "---\nx: [\n---\n" + b, "a@1 !@6 b@8"},
		"malformed first":                  {"a: b: c\n---\n" + b, "!@1 b@3"},
		"unclosed quote":                   {"x: \"\n---\n" + b, "!@1 b@3"},
		"not an object":                    {"- a\n---\njust text\n---\n" + b, "!@1 !@3 b@5"},
		"json":                             {`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}`, "a@1"},
		"json values in a row":             {"{\"apiVersion\":\"v1\",\n\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"}}\n\n{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"b\"}}", "a@1 b@4"},
		"json with tabs":                   {"{\n\t\"apiVersion\":\"v1\",\n\t\"kind\":\"ConfigMap\",\n\t\"metadata\":{\"name\":\"a\"}}", "a@1"},
		"flow mapping that is no json":     {"{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}", "a@1"},
		"list":                             {"apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: a}\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: b}\n---\n" + c, "a@4 b@7 c@11"},
		"typed list":                       {"apiVersion: v1\nkind: ConfigMapList\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n", "a@4"},
		"list in a list":                   {"apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n  items:\n  - {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n", "a@7"},
		"one bad item":                     {"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: 7}}\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n", "!@4 b@5"},
		"empty list":                       {"apiVersion: v1\nkind: List\nitems: []\n---\n" + b, "b@5"},
		"kinds that are not read":          {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {nonsense: 1}\n---\n" + b, "!d@1 b@6"},
		"anchors and merge keys":           {"x: &x {name: a}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  <<: &m {name: z, namespace: q}\n  name: a\n", "!@1 a@3"},
		"keys that YAML 1.1 calls boolean": {a + "data: {\"y\": yes please, \"on\": \"off\"}\n", "a@1"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := names(manifest.Parse("f", []byte(test.in), "default")); got != test.want {
				t.Errorf("read %q, want %q", got, test.want)
			}
		})
	}
}

func TestUTF16(t *testing.T) {
	for name, order := range map[string]binary.AppendByteOrder{"little": binary.LittleEndian, "big": binary.BigEndian} {
		var b []byte
		for _, u := range utf16.Encode([]rune("\uFEFF" + configMap("a"))) {
			b = order.AppendUint16(b, u)
		}
		if got := names(manifest.Parse("f", b, "")); got != "a@1" {
			t.Errorf("%s endian: read %q", name, got)
		}
	}
}

const route = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: web
  labels:
    app.example/name: x
spec:
`

// said gives findings one a line, as "code path@line:column message; hint".
func said(set *manifest.Set) string {
	var b strings.Builder
	for _, f := range set.Findings() {
		p, _ := set.Position(f.Object, f.Path)
		fmt.Fprintf(&b, "%s %s@%d:%d %s", f.Code, f.Path, p.Line, p.Column, f.Message)
		if f.Hint != "" {
			b.WriteString("; " + f.Hint)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestFindings(t *testing.T) {
	for name, test := range map[string]struct {
		in, want  string
		undecoded bool
	}{
		"unknown field": {route + "  rules:\n  - backendRef:\n    - name: a\n",
			"EG1004 spec.rules[0].backendRef@9:5 unknown field \"backendRef\" has no effect; did you mean \"backendRefs\"?\n", false},
		"unknown field at the top": {route + "  parentRefs: []\nstats: {}\n",
			"EG1004 stats@9:1 unknown field \"stats\" has no effect; did you mean \"status\"?\n", false},
		"field with the wrong case": {route + "  parentrefs: []\n",
			"EG1004 spec.parentrefs@8:3 unknown field \"parentrefs\" has no effect; did you mean \"parentRefs\"?\n", false},
		"field unlike any": {route + "  parentRefs:\n  - name: a\n    zzzzzzzz: 1\n",
			"EG1004 spec.parentRefs[0].zzzzzzzz@10:5 unknown field \"zzzzzzzz\" has no effect; known here: group, kind, name, namespace, port, sectionName\n", false},
		"duplicate field": {route + "  hostnames: [a]\n  hostnames: [b]\n",
			"EG1005 spec.hostnames@9:3 is given on line 8 and again on line 9; the last one counts; remove one of them\n", false},
		"duplicate label": {"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  labels: {a.b/c: x, a.b/c: z}\n",
			"EG1005 metadata.labels[a.b/c]@5:22 is given on line 5 and again on line 5; the last one counts; remove one of them\n", false},
		"number for text": {route + "  hostnames: [1]\n",
			"EG1003 spec.hostnames[0]@8:15 must be text, not the number 1; write it in quotes: \"1\"\n", true},
		"yes is a boolean": {route + "  hostnames: [yes]\n",
			"EG1003 spec.hostnames[0]@8:15 must be text, not the boolean true (written yes); write it in quotes: \"yes\"\n", true},
		"text for number": {route + "  parentRefs: [{name: a, port: \"80\"}]\n",
			"EG1003 spec.parentRefs[0].port@8:26 must be a whole number, not the text \"80\"\n", true},
		"number out of range": {route + "  parentRefs: [{name: a, port: 99999999999}]\n",
			"EG1003 spec.parentRefs[0].port@8:26 the number 99999999999 does not fit in 32 bits\n", true},
		"mapping for list": {route + "  rules:\n    matches: []\n",
			"EG1003 spec.rules@8:3 must be a list, not a mapping\n", true},
		"list for mapping": {route + "- a\n", "EG1003 spec@7:1 must be a mapping, not a list\n", true},
		"bad time": {"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  creationTimestamp: soon\n",
			"EG1003 metadata.creationTimestamp@5:3 the text \"soon\" cannot be read: parsing time \"soon\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"soon\" as \"2006\"\n", true},
		"a secret's value is never repeated": {"apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData:\n  pin: 4711\ndata:\n  x: \"%%%\"\n",
			"EG1003 stringData.pin@5:3 must be text; text that looks like something else is written in quotes\n" +
				"EG1003 data.x@7:3 is not base64: at input byte 0; data of a Secret is encoded with base64; plain text belongs in stringData\n", true},
		"syntax": {"a: 1\n---\n# comment\nb: 1\nc: [1, 2\nd: 3\n",
			"EG1002 @1:1 the document has no apiVersion that is text; every object starts with apiVersion and kind\n" +
				"EG1001 @5:1 did not find expected ',' or ']'\n", true},
		"wrong indentation far down":    {route + "  rules:\n  - matches:\n    - path:\n        value: /x\n     filters: []\n", "EG1001 @12:1 did not find expected key\n", true},
		"item indented less":            {route + "  hostnames:\n    - a\n   - b\n", "EG1001 @10:1 did not find expected key\n", true},
		"tab":                           {"b:\n\tc: 1\n", "EG1001 @2:1 found character that cannot start any token\n", true},
		"no name":                       {"apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: x-}\n", "EG1002 metadata.name@3:1 the ConfigMap has no name; set metadata.name\n", true},
		"number as name":                {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 1}\n", "EG1002 metadata.name@3:12 the name must be text, not the number 1; write it in quotes: \"1\"\n", true},
		"unknown gateway kind":          {"apiVersion: gateway.networking.k8s.io/v1\nkind: HttpRoute\nmetadata: {name: a}\n", "EG1008 kind@2:1 the Gateway API has no kind \"HttpRoute\", so the object has no effect; did you mean \"HTTPRoute\"?\n", true},
		"unknown version":               {"apiVersion: gateway.networking.k8s.io/v2\nkind: HTTPRoute\nmetadata: {name: a}\n", "EG1009 apiVersion@1:1 HTTPRoute.gateway.networking.k8s.io has no version \"v2\", so the object has no effect; use gateway.networking.k8s.io/v1\n", true},
		"extension":                     {"apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: Backend\nmetadata: {name: a}\n", "EG1007 kind@2:1 Backend.gateway.envoyproxy.io is not supported yet; the object has no effect\n", true},
		"somebody else's":               {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n", "", true},
		"cluster-scoped":                {"apiVersion: v1\nkind: Namespace\nmetadata: {name: a, namespace: b}\n", "EG1010 metadata.namespace@3:21 a Namespace has no namespace; \"b\" is ignored; remove it\n", false},
		"given twice":                   {configMap("a") + "---\n" + configMap("a"), "EG1006 @6:1 is given at f:1 and again at f:6; the later one counts; remove one, or give it another name or namespace\n", false},
		"merged keys are no duplicates": {"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  labels:\n    <<: {a: b}\n    a: c\n", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			set := manifest.NewSet(manifest.Parse("f", []byte(test.in), "default"))
			if got := said(set); got != test.want {
				t.Errorf("found\n%swant\n%s", got, test.want)
			}
			if got := len(set.Objects()) == 0; got != test.undecoded {
				t.Errorf("no objects: %v, want %v", got, test.undecoded)
			}
		})
	}
}

func TestPosition(t *testing.T) {
	set := manifest.NewSet(manifest.Parse("f.yaml", []byte("# first\n---\n"+route+`  rules:
  - matches:
    - path: {type: Exact, value: /x}
    - path:
        value: /y
---
{"apiVersion": "v1", "kind": "List", "items": [
  {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "😀"},
   "data": {"tls.crt": "\ud83d\ude00"}}]}
`), "default"))
	web := finding.Object{Group: gateway.GroupName, Kind: "HTTPRoute", Namespace: "default", Name: "web"}
	item := finding.Object{Kind: "ConfigMap", Namespace: "default", Name: "😀"}
	for _, test := range []struct {
		o            finding.Object
		path         string
		line, column int
	}{
		{web, "", 3, 1},
		{web, "spec", 9, 1},
		{web, "spec.rules[0].matches[0].path.value", 12, 27},
		{web, "spec.rules[0].matches[1]", 13, 7},
		{web, "spec.rules[0].matches[1].path.value", 14, 9},
		{web, "spec.rules[0].matches[1].path.type", 13, 7},
		{web, "spec.rules[0].matches[7].path", 11, 5},
		{web, "metadata.labels[app.example/name]", 8, 5},
		{web, "metadata.labels.app.example/name", 8, 5},
		{web, "status.x", 3, 1},
		{item, "", 17, 3},
		{item, "data.tls.crt", 18, 13},
		{item, "data[tls.crt]", 18, 13},
	} {
		got, ok := set.Position(test.o, test.path)
		if want := (manifest.Position{File: "f.yaml", Line: test.line, Column: test.column}); !ok || got != want {
			t.Errorf("%s %s: %v %v, want %v", test.o, test.path, got, ok, want)
		}
	}
	if _, ok := set.Position(finding.Object{Kind: "ConfigMap", Name: "none"}, ""); ok {
		t.Error("an object that is not in the set has a position")
	}
	if o := set.Objects()[1].(*core.ConfigMap); o.Data["tls.crt"] != "😀" {
		t.Errorf("surrogate pair in JSON read as %q", o.Data["tls.crt"])
	}
}

func TestBuiltInDefaults(t *testing.T) {
	set := manifest.NewSet(manifest.Parse("f", []byte(`
apiVersion: v1
kind: Service
metadata: {name: s}
spec:
  ports: [{port: 80}, {port: 81, targetPort: web, protocol: UDP}]
---
apiVersion: v1
kind: Namespace
metadata: {name: team}
---
apiVersion: v1
kind: Secret
metadata: {name: s, namespace: other}
data: {a: YQ==, b: Yg==}
stringData: {a: text}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: s-1}
addressType: IPv4
ports: [{port: 8080}]
endpoints: [{addresses: [10.0.0.1]}]
`), "here"))
	o := set.Objects()
	if len(o) != 4 {
		t.Fatalf("%d objects: %v", len(o), set.Findings())
	}
	s := o[0].(*core.Service)
	if s.Namespace != "here" || s.Generation != 1 || s.Spec.Type != core.ServiceTypeClusterIP {
		t.Errorf("service: %v", s)
	}
	if p := s.Spec.Ports; p[0].TargetPort.IntVal != 80 || p[0].Protocol != core.ProtocolTCP || p[1].TargetPort.StrVal != "web" || p[1].Protocol != core.ProtocolUDP {
		t.Errorf("ports: %v", p)
	}
	if n := o[1].(*core.Namespace); n.Namespace != "" || n.Labels["kubernetes.io/metadata.name"] != "team" {
		t.Errorf("namespace: %v", n)
	}
	if x := o[2].(*core.Secret); x.Namespace != "other" || x.Type != core.SecretTypeOpaque || string(x.Data["a"]) != "text" || string(x.Data["b"]) != "b" {
		t.Errorf("secret: %v", x)
	}
	if e := o[3].(*discovery.EndpointSlice); *e.Ports[0].Name != "" || *e.Ports[0].Protocol != core.ProtocolTCP {
		t.Errorf("endpoint slice: %v", e)
	}
}

func TestLaterDocumentCounts(t *testing.T) {
	a := manifest.Parse("a.yaml", []byte(configMap("x")+"data: {k: first}\n"), "default")
	b := manifest.Parse("b.yaml", []byte(configMap("other")+"---\n"+configMap("x")+"data: {k: second}\n"), "default")
	set := manifest.NewSet(a, b)
	o := set.Objects()
	if len(o) != 2 || o[0].GetName() != "other" || o[1].(*core.ConfigMap).Data["k"] != "second" {
		t.Errorf("objects: %v", o)
	}
	if f := set.Findings(); len(f) != 1 || !strings.Contains(f[0].Message, "a.yaml:1") || !strings.Contains(f[0].Message, "b.yaml:6") {
		t.Errorf("findings: %v", f)
	}
}

func TestVersionsAreOneKind(t *testing.T) {
	set := manifest.NewSet(manifest.Parse("f", []byte(strings.Replace(route, "/v1", "/v1beta1", 1)+"  parentRefs: [{name: eg}]\n"), "default"))
	r, ok := set.Objects()[0].(*gateway.HTTPRoute)
	if !ok || r.APIVersion != "gateway.networking.k8s.io/v1" || *r.Spec.ParentRefs[0].Kind != "Gateway" {
		t.Errorf("read %#v", set.Objects()[0])
	}
	if v := set.Documents[0].Version(); v != "v1beta1" {
		t.Errorf("version as written: %q", v)
	}
}

// A kilobyte of nested aliases must not become a gigabyte of values.
func TestAliasesCannotFillTheMemory(t *testing.T) {
	var b strings.Builder
	b.WriteString(configMap("bomb") + "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := range 12 {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	b.WriteString("metadata2: *a12\n")
	docs := manifest.Parse("f", []byte(b.String()), "")
	if _, err := docs[0].Value(); err == nil {
		t.Error("the value of an alias bomb was computed")
	}
	loop := manifest.Parse("f", []byte("apiVersion: v1\nkind: Secret\nmetadata: &m\n  name: a\n  labels: *m\n"), "")
	if loop[0].Object != nil || len(loop[0].Findings()) == 0 {
		t.Error("a mapping that contains itself was read")
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("b.yaml", configMap("b"))
	write("a.yml", configMap("a"))
	write("c.json", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}`)
	write("README.md", "not a manifest: [")
	write(".hidden.yaml", configMap("hidden"))
	write("sub/d.yaml", configMap("d"))
	write("sub/.git/e.yaml", configMap("e"))
	write("empty/README.md", "")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/u.yaml" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, configMap("u"))
	}))
	defer server.Close()
	for name, test := range map[string]struct {
		paths     []string
		recursive bool
		want, err string
	}{
		"file":          {paths: []string{dir + "/b.yaml"}, want: "b@1"},
		"any extension": {paths: []string{dir + "/README.md"}, want: "!@1"},
		"folder":        {paths: []string{dir}, want: "a@1 b@1 c@1"},
		"folders below": {paths: []string{dir}, recursive: true, want: "a@1 b@1 c@1 d@1"},
		"twice":         {paths: []string{dir + "/b.yaml", dir}, want: "b@1 a@1 c@1"},
		"stdin":         {paths: []string{"-"}, want: "stdin@1"},
		"url":           {paths: []string{server.URL + "/u.yaml"}, want: "u@1"},
		"url not found": {paths: []string{server.URL + "/v.yaml"}, err: "404"},
		"missing":       {paths: []string{dir + "/x.yaml"}, err: "x.yaml"},
		"nothing in it": {paths: []string{dir + "/empty"}, err: "holds no .yaml"},
		"none":          {err: "no manifest given"},
		"empty name":    {paths: []string{""}, err: "empty"},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := manifest.Read(context.Background(), manifest.Options{Paths: test.paths, Recursive: test.recursive, Stdin: bytes.NewReader([]byte(configMap("stdin")))})
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("error %v, want one with %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := names(set.Documents); got != test.want {
				t.Errorf("read %q, want %q", got, test.want)
			}
		})
	}
}

func TestSkipped(t *testing.T) {
	set := manifest.NewSet(manifest.Parse("f", []byte("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: b}\n---\n"+configMap("c")), ""))
	got := set.Skipped()
	if len(got) != 1 || got[store.Kind{Group: "apps", Kind: "Deployment"}] != 2 {
		t.Errorf("skipped %v", got)
	}
}

func TestEveryCodeIsExplained(t *testing.T) {
	docs := finding.Docs()
	for code := range 10 {
		name := finding.Code(fmt.Sprintf("EG10%02d", code+1))
		if !slices.ContainsFunc(docs, func(d finding.Doc) bool { return d.Code == name && len(d.Explanation) > 80 }) {
			t.Errorf("%s is not explained", name)
		}
	}
}
