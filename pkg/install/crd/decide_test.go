package crd

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egctl/egctl/pkg/crds"
)

// definition reads "v1.5.0 standard v1:a,b v1beta1:a stored=v1beta1". The group
// is the Gateway API's, unless the release is "other".
func definition(t *testing.T, s string) *unstructured.Unstructured {
	t.Helper()
	if s == "" {
		return nil
	}
	u := &unstructured.Unstructured{Object: map[string]any{}}
	u.SetName("things.gateway.networking.k8s.io")
	group, annotations := "gateway.networking.k8s.io", map[string]string{}
	var list, stored []any
	for _, word := range strings.Fields(s) {
		name, fields, isVersion := strings.Cut(word, ":")
		switch {
		case word == "other":
			group = "gateway.envoyproxy.io"
		case word == "none":
		case word == Standard, word == Experimental:
			annotations[ChannelAnnotation] = word
		case strings.HasPrefix(word, "stored="):
			stored = append(stored, strings.TrimPrefix(word, "stored="))
		case isVersion:
			properties := map[string]any{}
			for _, f := range strings.Split(fields, ",") {
				properties[f] = map[string]any{"type": "string"}
			}
			list = append(list, map[string]any{"name": name, "served": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "properties": properties}}})
		default:
			annotations[BundleAnnotation] = word
		}
	}
	u.SetAnnotations(annotations)
	for _, err := range []error{
		unstructured.SetNestedField(u.Object, group, "spec", "group"),
		unstructured.SetNestedSlice(u.Object, list, "spec", "versions"),
		unstructured.SetNestedSlice(u.Object, stored, "status", "storedVersions"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return u
}

func TestDecide(t *testing.T) {
	for _, c := range []struct {
		name, live, wanted string
		policy             Policy
		action             Action
		risk               Risk
		lost               string
		reason             string
	}{
		{name: "nothing there", wanted: "v1.7.0 standard v1:a", action: Create},
		{name: "the same", live: "v1.7.0 standard v1:a stored=v1", wanted: "v1.7.0 standard v1:a", action: Same},
		{name: "same release, other content", live: "v1.7.0 standard v1:a", wanted: "v1.7.0 standard v1:a,b", action: Update},
		{name: "older", live: "v1.5.1 standard v1:a", wanted: "v1.7.0 standard v1:a,b", action: Update},
		{name: "older with a field that is gone", live: "v1.5.1 experimental v1:a,x", wanted: "v1.7.0 experimental v1:a,b",
			action: Refuse, risk: FieldLoss, lost: "v1 x", reason: "lacks v1 x"},
		{name: "and it is allowed", live: "v1.5.1 experimental v1:a,x", wanted: "v1.7.0 experimental v1:a,b",
			policy: Policy{Allow: []Risk{FieldLoss}}, action: Update, lost: "v1 x"},
		{name: "a served version is gone", live: "v1.5.1 standard v1:a v1beta1:a", wanted: "v1.7.0 standard v1:a,b",
			action: Refuse, risk: FieldLoss, lost: "v1beta1"},
		{name: "a stored version is gone, which nothing allows", live: "v1.5.1 standard v1:a v1beta1:a stored=v1beta1", wanted: "v1.7.0 standard v1:a,b",
			policy: Policy{Allow: Risks()}, action: Refuse, reason: "v1beta1"},
		{name: "newer", live: "v1.8.0 standard v1:a,b", wanted: "v1.7.0 standard v1:a", action: Keep, reason: "newer"},
		{name: "newer by a digit more", live: "v1.10.0 standard v1:a", wanted: "v1.7.0 standard v1:a,b", action: Keep, reason: "newer"},
		{name: "a release candidate is older", live: "v1.7.0-rc.1 standard v1:a", wanted: "v1.7.0 standard v1:a,b", action: Update},
		{name: "downgrade is allowed", live: "v1.8.0 standard v1:a,b", wanted: "v1.7.0 standard v1:a",
			policy: Policy{Allow: []Risk{Downgrade}}, action: Update, lost: "v1 b"},
		{name: "experimental stays", live: "v1.5.0 experimental v1:a,x", wanted: "v1.7.0 standard v1:a,b", action: Keep, reason: "experimental"},
		{name: "experimental stays unless allowed, though asked for", live: "v1.5.0 experimental v1:a,x", wanted: "v1.7.0 standard v1:a,b",
			policy: Policy{Explicit: true}, action: Refuse, risk: Channel, lost: "v1 x", reason: "lacks v1 x"},
		{name: "experimental goes when allowed", live: "v1.5.0 experimental v1:a,x", wanted: "v1.7.0 standard v1:a,b",
			policy: Policy{Explicit: true, Allow: []Risk{Channel}}, action: Update, lost: "v1 x"},
		{name: "channel is allowed, downgrade is not", live: "v1.8.0 experimental v1:a,x", wanted: "v1.7.0 standard v1:a,b",
			policy: Policy{Allow: []Risk{Channel}}, action: Keep, reason: "newer"},
		{name: "standard stays", live: "v1.7.0 standard v1:a", wanted: "v1.7.0 experimental v1:a,b", action: Keep, reason: "standard"},
		{name: "somebody's own, good enough", live: "none v1:a,b", wanted: "v1.7.0 standard v1:a", action: Keep},
		{name: "somebody's own, not enough", live: "none v1:a", wanted: "v1.7.0 standard v1:a,b", action: Refuse, risk: Unmanaged},
		{name: "a development version has no order", live: "v0.0.0-dev standard v1:a", wanted: "v1.7.0 standard v1:a,b", action: Refuse, risk: Unmanaged},
		{name: "somebody's own, allowed", live: "none v1:a", wanted: "v1.7.0 standard v1:a,b", policy: Policy{Allow: []Risk{Unmanaged}}, action: Update},
		{name: "an extension kind", live: "other v1alpha1:a", wanted: "other v1alpha1:a,b", action: Update},
		{name: "an extension kind that knows more", live: "other v1alpha1:a,b", wanted: "other v1alpha1:a", action: Keep},
		{name: "an extension kind that has something else", live: "other v1alpha1:a,x", wanted: "other v1alpha1:a,b", action: Refuse, risk: FieldLoss, lost: "v1alpha1 x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Decide(definition(t, c.live), definition(t, c.wanted), c.policy)
			if d.Action != c.action || d.Risk != c.risk || strings.Join(d.Lost, " ") != c.lost || !strings.Contains(d.Reason, c.reason) {
				t.Errorf("%+v", d)
			}
			if (d.Action == Keep || d.Action == Refuse) != (d.Reason != "") {
				t.Errorf("%s, reason %q", d.Action, d.Reason)
			}
		})
	}
}

// What the standard channel lacks, from the real definitions: fields at any
// depth, and nothing the other way round.
func TestMissing(t *testing.T) {
	read := func(c crds.Channel) *unstructured.Unstructured {
		t.Helper()
		b, err := crds.YAML(c, "gateway.networking.k8s.io_httproutes.yaml")
		if err != nil {
			t.Fatal(err)
		}
		all, err := Parse(b)
		if err != nil || len(all) != 1 {
			t.Fatalf("%d definitions, %v", len(all), err)
		}
		return all[0]
	}
	standard, experimental := read(crds.Standard), read(crds.Experimental)
	lost := Missing(experimental, standard)
	for _, want := range []string{"v1 spec.rules[].filters[].externalAuth", "v1 spec.rules[].sessionPersistence"} {
		if !slices.Contains(lost, want) {
			t.Errorf("%s is not among %q", want, lost)
		}
	}
	if slices.ContainsFunc(lost, func(s string) bool { return strings.HasPrefix(s, "v1 spec.rules[].filters[].externalAuth.") }) {
		t.Errorf("lists what is below a missing field: %q", lost)
	}
	if extra := Missing(standard, experimental); len(extra) != 0 {
		t.Errorf("the standard channel has what the experimental lacks: %q", extra)
	}
	if d := Decide(standard, standard.DeepCopy(), Policy{}); d.Action != Same {
		t.Errorf("%+v", d)
	}
}
