package configdump

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"sigs.k8s.io/yaml"

	"github.com/egctl/egctl/pkg/translate/xds"
)

func source(s string) *core.DataSource {
	return &core.DataSource{Specifier: &core.DataSource_InlineString{InlineString: s}}
}

func TestRedact(t *testing.T) {
	const secret = "s3cr3t"
	inAny, err := anypb.New(&tls.DownstreamTlsContext{
		CommonTlsContext: &tls.CommonTlsContext{TlsCertificates: []*tls.TlsCertificate{{
			CertificateChain: source("public"), PrivateKey: source(secret), Password: source(secret),
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]proto.Message{
		"private key":      &tls.TlsCertificate{PrivateKey: source(secret), CertificateChain: source("public")},
		"key as bytes":     &tls.TlsCertificate{PrivateKey: &core.DataSource{Specifier: &core.DataSource_InlineBytes{InlineBytes: []byte(secret)}}, CertificateChain: source("public")},
		"generic":          &tls.Secret{Name: "public", Type: &tls.Secret_GenericSecret{GenericSecret: &tls.GenericSecret{Secret: source(secret)}}},
		"tickets":          &tls.Secret{Name: "public", Type: &tls.Secret_SessionTicketKeys{SessionTicketKeys: &tls.TlsSessionTicketKeys{Keys: []*core.DataSource{source(secret)}}}},
		"deep inside Any":  &listener.Filter{Name: "public", ConfigType: &listener.Filter_TypedConfig{TypedConfig: inAny}},
		"list of messages": &listener.Listener{Name: "public", FilterChains: []*listener.FilterChain{{TransportSocket: &core.TransportSocket{ConfigType: &core.TransportSocket_TypedConfig{TypedConfig: inAny}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			m := proto.Clone(m)
			found, err := redact(m)
			if err != nil || !found {
				t.Fatalf("found %v, %v", found, err)
			}
			text, err := marshal.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			wire, err := proto.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(wire, []byte(secret)) || !bytes.Contains(wire, []byte(redacted)) || !bytes.Contains(text, []byte("public")) {
				t.Errorf("%s", text)
			}
		})
	}
	public := &tls.TlsCertificate{CertificateChain: source("public")}
	if found, err := redact(public); found || err != nil {
		t.Errorf("found a secret in what has none: %v", err)
	}
}

// FuzzFormats checks that JSON of any content survives both writers.
func FuzzFormats(f *testing.F) {
	for _, seed := range []string{
		`{}`, `[]`, `{"a":[],"b":{},"c":[[1,[2]],[{}]],"d":[{"x":1,"y":[{"z":null}]}]}`,
		`"yes"`, `["y","No","1","1s","0x1","1e3","-","- a","a: b","a #b","*","http://a:80/b","::1","2001-01-01",""," ","~","null","Null","@type","a:"]`,
		`{"":1,"a b":2,"true":3,"1":4,"q\"\\":"\\\"\n\u0085\u2028\ufeff"}`, `"\ud83d\ude00 \u007f"`, `[1.5,-0,1e-7,true,false,null]`, "\"\u0085\ufffe\"",
		`{"a":"x\\","b":"\\\\\"y"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		var want any
		if json.Unmarshal(src, &want) != nil {
			t.Skip()
		}
		compact, err := json.Marshal(want) // valid UTF-8, no repeated keys: what protojson gives
		if err != nil {
			t.Skip()
		}
		var b bytes.Buffer
		w := bufio.NewWriter(&b)
		writeIndented(w, compact, 0)
		flush(t, w)
		var expected bytes.Buffer
		if err := json.Indent(&expected, compact, "", "  "); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b.Bytes(), expected.Bytes()) {
			t.Errorf("JSON\n%s\nwant\n%s", b.Bytes(), expected.Bytes())
		}
		b.Reset()
		(&yamlWriter{w: w, src: compact}).value(0, false)
		flush(t, w)
		var got any
		if err := yaml.Unmarshal(b.Bytes(), &got); err != nil {
			t.Fatalf("%v in YAML of %s\n%s", err, compact, b.Bytes())
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("YAML\n%s\ngives %#v, want %#v", b.Bytes(), got, want)
		}
	})
}

func flush(t *testing.T, w *bufio.Writer) {
	t.Helper()
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}

func resource(t *testing.T, typ xds.Type, name string, m proto.Message) *xds.Resource {
	t.Helper()
	r, err := xds.Encode(typ, name, m)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func table(t *testing.T, hosts ...*route.VirtualHost) *Dump {
	t.Helper()
	r := resource(t, xds.RouteType, "http-80", &route.RouteConfiguration{Name: "http-80", VirtualHosts: hosts})
	return Of("default/eg", nil, &xds.Snapshot{Routes: []*xds.Resource{r}}, nil)
}

func host(name, cluster string) *route.VirtualHost {
	return &route.VirtualHost{Name: name, Domains: []string{name}, Routes: []*route.Route{{
		Action: &route.Route_Route{Route: &route.RouteAction{ClusterSpecifier: &route.RouteAction_Cluster{Cluster: cluster}}},
	}}}
}

func TestDiffOfTables(t *testing.T) {
	before := table(t, host("a", "one"), host("b", "one"), host("c", "one"))
	for name, c := range map[string]struct {
		after *Dump
		want  Summary
		has   string
	}{
		"same":         {table(t, host("a", "one"), host("b", "one"), host("c", "one")), Summary{}, ""},
		"other order":  {table(t, host("c", "one"), host("b", "one"), host("a", "one")), Summary{}, ""},
		"one changed":  {table(t, host("a", "one"), host("b", "two"), host("c", "one")), Summary{Changed: 1}, "~ route http-80, virtual host b\n"},
		"field shown":  {table(t, host("a", "one"), host("b", "two"), host("c", "one")), Summary{Changed: 1}, "  -     cluster: one\n  +     cluster: two\n"},
		"one added":    {table(t, host("a", "one"), host("b", "one"), host("c", "one"), host("d", "one")), Summary{Added: 1}, "+ route http-80, virtual host d\n"},
		"all but one":  {table(t, host("b", "one")), Summary{Removed: 2}, "- route http-80, virtual host a\n- route http-80, virtual host c\n"},
		"another name": {func() *Dump { d := table(t); d.Gateway = "x/y"; return d }(), Summary{Added: 1, Removed: 1}, "Gateway default/eg\n- route http-80\n\nGateway x/y\n+ route http-80\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			got, err := Diff(&b, All, []*Dump{before}, []*Dump{c.after})
			if err != nil || got != c.want || !strings.Contains(b.String(), c.has) || c.has == "" && b.Len() > 0 {
				t.Errorf("%v, %v, want %v\n%s", got, err, c.want, b.String())
			}
		})
	}
}

// TestWriteIsStable writes one dump many times: protojson varies its spacing
// between builds, and processors finish in any order.
func TestWriteIsStable(t *testing.T) {
	endpoints := map[string]*xds.Resource{}
	s := &xds.Snapshot{}
	for i := range 500 {
		name := fmt.Sprintf("backend-%03d", i)
		s.Assignments = append(s.Assignments, name)
		endpoints[name] = resource(t, xds.EndpointType, name, &endpoint.ClusterLoadAssignment{ClusterName: name})
	}
	d := Of("default/eg", nil, s, endpoints)
	var first bytes.Buffer
	if err := Write(&first, JSON, All, d); err != nil {
		t.Fatal(err)
	}
	if i, j := bytes.Index(first.Bytes(), []byte("backend-007")), bytes.Index(first.Bytes(), []byte("backend-008")); i < 0 || j < i {
		t.Errorf("backend-007 at %d, backend-008 at %d", i, j)
	}
	for range 5 {
		var again bytes.Buffer
		if err := Write(&again, JSON, All, d); err != nil || !bytes.Equal(first.Bytes(), again.Bytes()) {
			t.Fatalf("differs; %v", err)
		}
	}
}

func TestWriteKeysGateways(t *testing.T) {
	a, b := table(t), table(t)
	b.Gateway = "shop/second"
	for n, want := range map[int]string{0: "xds:", 1: "configs:", 2: "xds:"} {
		for _, f := range []Format{YAML, JSON} {
			var out bytes.Buffer
			if err := Write(&out, f, All, []*Dump{a, b}[:n]...); err != nil {
				t.Fatal(err)
			}
			var m map[string]any
			if err := yaml.Unmarshal(out.Bytes(), &m); err != nil {
				t.Fatalf("%v in\n%s", err, out.Bytes())
			}
			if _, ok := m[strings.TrimSuffix(want, ":")]; !ok || len(m) != 1 {
				t.Errorf("%d Gateways as %s: %v", n, f, m)
			}
			if gateways, ok := m["xds"].(map[string]any); ok && len(gateways) != n {
				t.Errorf("%d Gateways as %s: %v", n, f, gateways)
			}
		}
	}
}

// TestEncodeTable compares with protojson, which encodes a table in one go.
func TestEncodeTable(t *testing.T) {
	var hosts []*route.VirtualHost
	for i := range 200 {
		hosts = append(hosts, host(fmt.Sprintf("host-%d", i), "one"))
	}
	for name, m := range map[string]*route.RouteConfiguration{
		"empty":    {},
		"no hosts": {Name: "a", IgnorePortInHostMatching: true},
		"no name":  {VirtualHosts: hosts[:1]},
		"full":     {Name: "a", VirtualHosts: hosts, IgnorePortInHostMatching: true, RequestHeadersToRemove: []string{"x"}},
	} {
		got, err := encodeTable(resource(t, xds.RouteType, "a", m))
		if err != nil {
			t.Fatal(err)
		}
		whole, err := marshal.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var a, b any
		if json.Unmarshal(got, &a) != nil || json.Unmarshal(whole, &b) != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("%s: %s\nwant %s", name, got, whole)
		}
	}
}
