package install

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/release"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/egctl/egctl/charts"
	"github.com/egctl/egctl/pkg/manifest"
)

func parsed(t *testing.T, text string) map[string]any {
	t.Helper()
	var out map[string]any
	if err := yaml.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// Charts of the same name are told apart.
func TestIsEgctl(t *testing.T) {
	own, err := charts.LoadGateway("v1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	envoyGateway := &chart.Chart{Metadata: &chart.Metadata{Name: charts.Gateway, Home: "https://gateway.envoyproxy.io/"}}
	if !isEgctl(own) || isEgctl(envoyGateway) || isEgctl(nil) || isEgctl(&chart.Chart{}) {
		t.Error("charts are mixed up")
	}
}

func TestMovedValues(t *testing.T) {
	before := parsed(t, `
global:
  images:
    envoyGateway: {image: registry.example.com/envoyproxy/gateway:v1.9.1, pullPolicy: Always}
    envoyProxy: {image: registry.example.com/envoy:v1.39.0}
deployment:
  replicas: 3
  envoyGateway: {image: {repository: registry.example.com/gateway, tag: v1.9.1}}
config:
  envoyGateway:
    provider: {type: Kubernetes, kubernetes: {shutdownManager: {image: registry.example.com/gateway:v1.9.1}, leaderElection: {disable: true}}}
`)
	kept, notes := moved(before)
	want := `config:
  envoyGateway:
    provider:
      kubernetes:
        leaderElection:
          disable: true
        shutdownManager: {}
      type: Kubernetes
deployment:
  envoyGateway: {}
  replicas: 3
global:
  images:
    envoyGateway:
      pullPolicy: Always
    envoyProxy:
      image: registry.example.com/envoy:v1.39.0
`
	if got, err := yaml.Marshal(kept); err != nil || string(got) != want {
		t.Errorf("kept %s\nwant %s\nerror %v", got, want, err)
	}
	for i, part := range []string{
		"global.images.envoyGateway.image (registry.example.com/envoyproxy/gateway:v1.9.1) is left out",
		"deployment.envoyGateway.image (repository registry.example.com/gateway, tag v1.9.1) is left out",
		"shutdownManager.image (registry.example.com/gateway:v1.9.1) is left out",
		"global.images.envoyProxy.image (registry.example.com/envoy:v1.39.0) is kept",
	} {
		if i >= len(notes) || !strings.Contains(notes[i], part) {
			t.Errorf("notes are %q, want as number %d: %s", notes, i, part)
		}
	}
	if image, _, _ := unstructured.NestedString(before, "global", "images", "envoyGateway", "image"); image == "" {
		t.Error("the values of the release before were changed")
	}
	if kept, notes := moved(nil); len(kept) > 0 || len(notes) > 0 {
		t.Errorf("of no values: %v, %q", kept, notes)
	}
}

func TestStaleHooks(t *testing.T) {
	object := func(kind, name string) string {
		return "apiVersion: v1\nkind: " + kind + "\nmetadata: {name: " + name + ", namespace: ns}\n"
	}
	previous := &release.Release{Manifest: object("Secret", "gone-by-helm-itself"), Hooks: []*release.Hook{
		{Path: "a", Manifest: object("ConfigMap", "forgotten")},
		{Path: "b", Manifest: object("ConfigMap", "now-of-the-release")},
		{Path: "c", Manifest: object("ConfigMap", "still-a-hook")},
	}}
	next := &release.Release{Manifest: object("ConfigMap", "now-of-the-release"), Hooks: []*release.Hook{{Path: "d", Manifest: object("ConfigMap", "still-a-hook")}}}
	got, err := stale(previous, next)
	if err != nil || len(got) != 1 || got["ConfigMap ns/forgotten"] != object("ConfigMap", "forgotten") {
		t.Errorf("stale are %q, error %v", got, err)
	}
}

// The kinds that stand in the way are those that egctl says of that it does not
// read them: one that it comes to read has to leave the list.
func TestUnsupportedKinds(t *testing.T) {
	for _, kind := range append(UnsupportedKinds(), "EnvoyProxy") {
		text := "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: " + kind + "\nmetadata: {name: a, namespace: b}\nspec: {}\n"
		unread := false
		for _, f := range manifest.Parse("object.yaml", []byte(text), "default")[0].Findings() {
			unread = unread || f.Code == manifest.CodeNotSupported
		}
		if listed := kind != "EnvoyProxy"; unread != listed {
			t.Errorf("%s stands in the way: %t; egctl does not read it: %t", kind, listed, unread)
		}
	}
}

func TestRefusal(t *testing.T) {
	many := Unsupported{Kind: "SecurityPolicy", Objects: []string{"a/1", "a/2", "a/3", "a/4", "a/5"}}
	backend := Unsupported{Kind: "Backend", Objects: []string{"a/b"}}
	for name, test := range map[string]struct {
		plan Plan
		want []string // nothing: no refusal
	}{
		"nothing without effect":    {Plan{Takeover: true}, nil},
		"egctl runs already":        {Plan{Unsupported: []Unsupported{many}}, nil},
		"to be egctl":               {Plan{Takeover: true, Unsupported: []Unsupported{many, backend}}, []string{"5 SecurityPolicy: a/1, a/2, a/3 and 2 more", "1 Backend: a/b", "--ignore-unsupported SecurityPolicy,Backend"}},
		"only some kinds are named": {Plan{Takeover: true, Unsupported: []Unsupported{many, backend}, Request: Request{IgnoreUnsupported: []string{"Backend"}}}, []string{"--ignore-unsupported SecurityPolicy"}},
		"all are named":             {Plan{Takeover: true, Unsupported: []Unsupported{backend}, Request: Request{IgnoreUnsupported: UnsupportedKinds()}}, nil},
	} {
		err := test.plan.Refusal()
		if (err == nil) != (test.want == nil) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, part := range test.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: no %q in: %v", name, part, err)
			}
		}
	}
}

func TestDisowned(t *testing.T) {
	const accepted = "conditions: [{type: Accepted, status: 'True', reason: Accepted}, {type: Other, status: 'True'}]"
	for name, test := range map[string]struct {
		object  string
		changed bool
		want    []string // the Accepted statuses, in order
	}{
		"ours and another's": {`{kind: SecurityPolicy, status: {ancestors: [{controllerName: mine, ` + accepted + `}, {controllerName: other, ` + accepted + `}]}}`, true, []string{"False", "True"}},
		"another's only":     {`{kind: SecurityPolicy, status: {ancestors: [{controllerName: other, ` + accepted + `}]}}`, false, []string{"True"}},
		"no status":          {`{kind: HTTPRouteFilter}`, false, nil},
		"said already":       {`{kind: SecurityPolicy, status: {ancestors: [{controllerName: mine, conditions: [{type: Accepted, status: 'False', reason: Invalid}]}]}}`, false, []string{"False"}},
		"a Backend":          {`{kind: Backend, status: {` + accepted + `}}`, true, []string{"False"}},
	} {
		o := &unstructured.Unstructured{Object: parsed(t, test.object)}
		if got := disowned(o, "mine"); got != test.changed {
			t.Errorf("%s: changed %t", name, got)
		}
		var got []string
		status, _, _ := unstructured.NestedMap(o.Object, "status")
		entries, _, _ := unstructured.NestedSlice(status, "ancestors")
		for _, e := range append(entries, any(status)) {
			m, _ := e.(map[string]any)
			conditions, _, _ := unstructured.NestedSlice(m, "conditions")
			for _, c := range conditions {
				if c, _ := c.(map[string]any); c["type"] == "Accepted" {
					got = append(got, c["status"].(string))
				}
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: Accepted is %v, want %v", name, got, test.want)
		}
	}
}

// TestUnknownIsRefused: who may not see whether a policy would be lost does not
// lose it unknowingly.
func TestUnknownIsRefused(t *testing.T) {
	p := &Plan{Takeover: true, Unsupported: []Unsupported{{Kind: "SecurityPolicy", Unknown: errors.New("forbidden")}}}
	err := p.Refusal()
	if err == nil || !strings.Contains(err.Error(), "SecurityPolicy: cannot tell whether there are any: forbidden") || !strings.Contains(err.Error(), "--ignore-unsupported SecurityPolicy") {
		t.Errorf("error is %v", err)
	}
	p.Request.IgnoreUnsupported = []string{"SecurityPolicy"}
	if err := p.Refusal(); err != nil {
		t.Error(err)
	}
}
