package modeldump

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/ir"
)

func TestPlain(t *testing.T) {
	gw := store.ID{Kind: store.Gateway, Namespace: "default", Name: "eg"}.Key()
	none, full := time.Duration(0), "/x"
	for name, c := range map[string]struct {
		in   any
		want string
	}{
		"keys": {ir.Listener{Source: ir.Source{Object: gw, Path: "spec.listeners[0]"}, Key: ir.ListenerKey{Owner: gw, Name: "http"}, Port: 80, Certificates: []store.Key{gw}},
			`{"certificates":["Gateway default/eg"],"key":"Gateway default/eg/http","object":"Gateway default/eg","path":"spec.listeners[0]","port":80}`},
		"cluster":      {ir.Destination{Cluster: ir.ClusterKey{Backend: store.ID{Kind: store.Service, Namespace: "a", Name: "b"}.Key(), Port: 80}, Weight: 1}, `{"cluster":"service/a/b/80","valid":false,"weight":1}`},
		"abbreviation": {ir.TLSUpstream{SNI: "a", CASecret: "b", DNSNames: []string{"c"}, URIs: []string{"d"}}, `{"caSecret":"b","dnsNames":["c"],"sni":"a","uris":["d"]}`},
		"duration":     {ir.Rule{Retry: &ir.Retry{Backoff: time.Second}}, `{"retry":{"backoff":"1s"}}`},
		"zero timeout": {ir.Rule{Timeout: &none}, `{"timeout":"0s"}`},
		"first kind":   {ir.Match{Kind: ir.PathExact, Path: "/"}, `{"kind":"exact","path":"/"}`},
		"pointer":      {ir.PathModifier{Full: &full}, `{"full":"/x"}`},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := json.Marshal(Plain(c.in))
			if err != nil {
				t.Fatal(err)
			}
			if string(b) != c.want {
				t.Errorf("%s, want %s", b, c.want)
			}
		})
	}
}
