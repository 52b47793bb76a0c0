package controller

import (
	"testing"

	ads "github.com/egctl/egctl/pkg/controller/xds"
	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// TestStandingRefusals follows a refusal of two listeners from its beginning to
// its end.
func TestStandingRefusals(t *testing.T) {
	gw := finding.Object{Group: "gateway.networking.k8s.io", Kind: "Gateway", Namespace: "a", Name: "gw"}
	listener := func(name string) *xds.Resource {
		return &xds.Resource{Type: xds.ListenerType, Name: name, Origins: []finding.Object{gw}}
	}
	state := ads.TypeState{Refused: []string{"tcp-80", "tcp-81"}}
	s := &standing{refused: map[refusedKey]refusedValue{}, synced: func(string) []ads.ProxyState {
		return []ads.ProxyState{{Types: map[xds.Type]ads.TypeState{xds.ListenerType: state}}}
	}}
	st := translate.New(translate.DefaultSettings()).Store
	said := func(changes []store.Change) map[string]string {
		st.Apply(changes...)
		out := map[string]string{}
		if v, ok := st.Peek(translate.RefusalKey(keyOf(gw))).(*store.Value[translate.Refusal]); ok {
			for _, r := range v.V.Resources {
				out[r.Name] = r.Message
			}
		}
		return out
	}
	message := "Error adding/updating listener(s) tcp-80: cannot bind: in use\ntcp-81: cannot bind: not permitted\n"
	got := said(s.refuse(&ads.Rejection{Gateway: "a/gw", Type: xds.ListenerType, Message: message, Resources: []*xds.Resource{listener("tcp-80"), listener("tcp-81")}}))
	if len(got) != 2 || got["tcp-80"] != "cannot bind: in use" || got["tcp-81"] != "cannot bind: not permitted" {
		t.Errorf("after the refusal: %v", got)
	}
	state = ads.TypeState{Refused: []string{"tcp-81"}, Pending: 1}
	if got := said(s.review("a/gw", xds.ListenerType)); len(got) != 2 {
		t.Errorf("while an answer is awaited: %v", got)
	}
	state.Pending = 0
	if got := said(s.review("a/gw", xds.ClusterType)); len(got) != 2 {
		t.Errorf("after clusters were accepted: %v", got)
	}
	if got := said(s.review("a/other", xds.ListenerType)); len(got) != 2 {
		t.Errorf("after another Gateway's were accepted: %v", got)
	}
	if got := said(s.review("a/gw", xds.ListenerType)); len(got) != 1 || got["tcp-81"] == "" {
		t.Errorf("after one was accepted: %v", got)
	}
	if got := said(s.gone("a/gw")); len(got) != 0 {
		t.Errorf("after the Gateway went: %v", got)
	}
}
