package status

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/store"
)

const ours = "example.org/ours"

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func cond(kind string, ok bool, message string, generation int64) metav1.Condition {
	c := metav1.Condition{Type: kind, Status: metav1.ConditionFalse, Reason: "Bad", Message: message, ObservedGeneration: generation}
	if ok {
		c.Status, c.Reason = metav1.ConditionTrue, kind
	}
	return c
}

func parentOf(name string, cs ...metav1.Condition) gateway.RouteParentStatus {
	return gateway.RouteParentStatus{ParentRef: gateway.ParentReference{Name: gateway.ObjectName(name)}, ControllerName: ours, Conditions: cs}
}

func route(parents ...gateway.RouteParentStatus) *gateway.RouteStatus {
	return &gateway.RouteStatus{Parents: parents}
}

func many(n int) *gateway.RouteStatus {
	s := &gateway.RouteStatus{}
	for i := range n {
		s.Parents = append(s.Parents, parentOf(fmt.Sprintf("g%02d", i), cond("Accepted", true, "Yes.", 1)))
	}
	return s
}

func foreign(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  - {controllerName: example.org/theirs, parentRef: {name: t%d}, conditions: []}\n", i)
	}
	return b.String()
}

// Each case is a live object as the API server has it, fields that no type of
// ours knows included, and what should be written.
var cases = []struct {
	name    string
	kind    store.Kind
	live    string // status and other fields
	desired any
	patch   []string // operations, or one merge patch
	note    string
}{
	{
		name: "a route without status gets one", kind: store.HTTPRoute,
		desired: route(parentOf("web", cond("Accepted", true, "Yes.", 1))),
		patch: []string{`{"metadata":{"resourceVersion":"7"},"status":{"parents":[{"parentRef":{"name":"web"},"controllerName":"example.org/ours","conditions":[` +
			`{"type":"Accepted","status":"True","observedGeneration":1,"lastTransitionTime":"2026-11-24T12:00:00Z","reason":"Accepted","message":"Yes."}]}]}}`},
	},
	{name: "a route that is not ours stays without", kind: store.HTTPRoute},
	{
		name: "entries of others keep their places, unknown fields included", kind: store.HTTPRoute,
		live: `status:
  invented: {some: day}
  parents:
  - {controllerName: example.org/theirs, parentRef: {name: web}, conditions: [], invented: 1}
  - {controllerName: example.org/ours, parentRef: {name: gone}, conditions: []}
  - {controllerName: example.org/theirs, parentRef: {name: gone}, conditions: [], invented: 2}
`,
		desired: route(parentOf("web")),
		patch: []string{
			`{"op":"remove","path":"/status/parents/1"}`,
			`{"op":"add","path":"/status/parents/-","value":{"parentRef":{"name":"web"},"controllerName":"example.org/ours"}}`,
		},
	},
	{
		name: "the time of a transition is kept while the status is the same", kind: store.GRPCRoute,
		live: `status:
  parents:
  - controllerName: example.org/ours
    parentRef: {group: gateway.networking.k8s.io, kind: Gateway, namespace: default, name: web}
    conditions:
    - {type: Accepted, status: "True", reason: Accepted, message: "Yes.", observedGeneration: 1, lastTransitionTime: "2020-01-01T00:00:00Z"}
    - {type: ResolvedRefs, status: "True", reason: ResolvedRefs, message: "Yes.", observedGeneration: 1, lastTransitionTime: "2020-01-01T00:00:00Z"}
    - {type: PartiallyInvalid, status: "True", reason: UnsupportedValue, message: "Old.", observedGeneration: 1, lastTransitionTime: "2020-01-01T00:00:00Z"}
`,
		desired: route(parentOf("web", cond("Accepted", true, "Yes.", 2), cond("ResolvedRefs", false, "No.", 2))),
		patch: []string{`{"op":"replace","path":"/status/parents/0","value":{"parentRef":{"group":"gateway.networking.k8s.io","kind":"Gateway","namespace":"default","name":"web"},"controllerName":"example.org/ours","conditions":[` +
			`{"type":"Accepted","status":"True","observedGeneration":2,"lastTransitionTime":"2020-01-01T00:00:00Z","reason":"Accepted","message":"Yes."},` +
			`{"type":"ResolvedRefs","status":"False","observedGeneration":2,"lastTransitionTime":"2026-11-24T12:00:00Z","reason":"Bad","message":"No."}]}}`},
	},
	{
		name: "nothing is written that is there", kind: store.HTTPRoute,
		live: `status:
  parents:
  - controllerName: example.org/ours
    parentRef: {name: web}
    conditions: [{type: Accepted, status: "True", reason: Accepted, message: "Yes.", observedGeneration: 1, lastTransitionTime: "2020-01-01T00:00:00Z"}]
`,
		desired: route(parentOf("web", cond("Accepted", true, "Yes.", 1))),
	},
	{
		name: "what is ours goes with the last of our Gateways", kind: store.TLSRoute,
		live: `status:
  parents:
  - {controllerName: example.org/ours, parentRef: {name: a}, conditions: []}
  - {controllerName: example.org/theirs, parentRef: {name: a}, conditions: []}
  - {controllerName: example.org/ours, parentRef: {name: b}, conditions: []}
`,
		patch: []string{`{"op":"remove","path":"/status/parents/2"}`, `{"op":"remove","path":"/status/parents/0"}`},
	},
	{
		name: "of an entry that is there twice, one goes", kind: store.HTTPRoute,
		live: `status:
  parents:
  - {controllerName: example.org/ours, parentRef: {name: a}, conditions: []}
  - {controllerName: example.org/ours, parentRef: {name: a}, conditions: []}
`,
		desired: route(parentOf("a")),
		patch:   []string{`{"op":"remove","path":"/status/parents/1"}`},
	},
	{
		name: "more parents than the API allows", kind: store.HTTPRoute,
		live: "status:\n  parents:\n" + foreign(31), desired: many(3),
		patch: []string{`{"op":"add","path":"/status/parents/-","value":{"parentRef":{"name":"g00"},"controllerName":"example.org/ours","conditions":[` +
			`{"type":"Accepted","status":"True","observedGeneration":1,"lastTransitionTime":"2026-11-24T12:00:00Z","reason":"Accepted","message":"Yes. 2 more parents are not listed: the API allows 32."}]}}`},
	},
	{
		name: "no room for any parent", kind: store.HTTPRoute,
		live: "status:\n  parents:\n" + foreign(32), desired: many(1), note: "1 more parents are not listed: the API allows 32.",
	},
	{
		name: "a Gateway keeps conditions of others and loses listeners that it has no more", kind: store.Gateway,
		live: `status:
  conditions:
  - {type: Accepted, status: Unknown, reason: Pending, message: Waiting, lastTransitionTime: "1970-01-01T00:00:00Z"}
  - {type: example.org/Audited, status: "True", reason: Seen, message: "", lastTransitionTime: "2020-01-01T00:00:00Z", invented: 1}
  - {type: ResolvedRefs, status: "True", reason: ResolvedRefs, message: "", lastTransitionTime: "2020-01-01T00:00:00Z"}
  listeners:
  - {name: old, attachedRoutes: 1, supportedKinds: [], conditions: []}
  - name: http
    attachedRoutes: 1
    supportedKinds: []
    conditions: [{type: example.org/Seen, status: "True", reason: Seen, message: "", lastTransitionTime: "2020-01-01T00:00:00Z"}]
  addresses: [{type: IPAddress, value: 10.0.0.1}]
`,
		desired: &gateway.GatewayStatus{
			Conditions: []metav1.Condition{cond("Accepted", true, "Yes.", 1)},
			Listeners:  []gateway.ListenerStatus{{Name: "http", AttachedRoutes: 2, SupportedKinds: []gateway.RouteGroupKind{}}, {Name: "new", Conditions: []metav1.Condition{cond("Accepted", false, "No.", 1)}}},
		},
		patch: []string{
			`{"op":"replace","path":"/status/conditions/0","value":{"type":"Accepted","status":"True","observedGeneration":1,"lastTransitionTime":"2026-11-24T12:00:00Z","reason":"Accepted","message":"Yes."}}`,
			`{"op":"remove","path":"/status/conditions/2"}`,
			`{"op":"remove","path":"/status/addresses"}`,
			`{"op":"replace","path":"/status/listeners/1","value":{"name":"http","supportedKinds":[],"attachedRoutes":2,"conditions":[{"type":"example.org/Seen","status":"True","lastTransitionTime":"2020-01-01T00:00:00Z","reason":"Seen","message":""}]}}`,
			`{"op":"remove","path":"/status/listeners/0"}`,
			`{"op":"add","path":"/status/listeners/-","value":{"name":"new","attachedRoutes":0,"conditions":[{"type":"Accepted","status":"False","observedGeneration":1,"lastTransitionTime":"2026-11-24T12:00:00Z","reason":"Bad","message":"No."}]}}`,
		},
	},
	{
		name: "a Gateway of another controller is left alone", kind: store.Gateway,
		live: "status: {conditions: [{type: Accepted, status: 'True', reason: Accepted, message: '', lastTransitionTime: '2020-01-01T00:00:00Z'}]}",
	},
	{
		name: "a class", kind: store.GatewayClass,
		live: "status: {conditions: [{type: Accepted, status: Unknown, reason: Pending, message: '', lastTransitionTime: '1970-01-01T00:00:00Z'}]}",
		desired: &gateway.GatewayClassStatus{
			Conditions:        []metav1.Condition{cond("Accepted", true, "Yes.", 1)},
			SupportedFeatures: []gateway.SupportedFeature{{Name: "Gateway"}},
		},
		patch: []string{
			`{"op":"replace","path":"/status/conditions/0","value":{"type":"Accepted","status":"True","observedGeneration":1,"lastTransitionTime":"2026-11-24T12:00:00Z","reason":"Accepted","message":"Yes."}}`,
			`{"op":"add","path":"/status/supportedFeatures","value":[{"name":"Gateway"}]}`,
		},
	},
	{
		name: "a policy", kind: store.BackendTLSPolicy,
		live:    "status: {ancestors: [{controllerName: example.org/theirs, ancestorRef: {name: web}, conditions: []}]}",
		desired: &gateway.PolicyStatus{Ancestors: []gateway.PolicyAncestorStatus{{AncestorRef: gateway.ParentReference{Name: "web"}, ControllerName: ours}}},
		patch:   []string{`{"op":"add","path":"/status/ancestors/-","value":{"ancestorRef":{"name":"web"},"controllerName":"example.org/ours"}}`},
	},
}

// decode reads a document as the source of objects would.
func decode(t *testing.T, kind store.Kind, doc []byte) store.Object {
	t.Helper()
	info, _ := store.Info(kind)
	o := info.New()
	if err := json.Unmarshal(doc, o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestPatches(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			doc, err := yaml.YAMLToJSON([]byte("metadata: {namespace: default, name: o, resourceVersion: '7', generation: 1}\n" + c.live))
			if err != nil {
				t.Fatal(err)
			}
			live := decode(t, c.kind, doc)
			p, note, err := statusPatch(live, c.desired, ours, now)
			if err != nil {
				t.Fatal(err)
			}
			if note != c.note {
				t.Errorf("noted %q, want %q", note, c.note)
			}
			if want := body(c.patch); want != "" || p != nil {
				if p == nil || string(p.body) != want {
					t.Fatalf("got\n%s\nwant\n%s", text(p), want)
				}
				doc = apply(t, doc, p)
			}
			// Once written, there is nothing more to write.
			if p, _, err := statusPatch(decode(t, c.kind, doc), c.desired, ours, now.Add(time.Hour)); p != nil || err != nil {
				t.Errorf("is written again: %s (%v)", text(p), err)
			}
		})
	}
}

func body(patch []string) string {
	switch {
	case len(patch) == 0:
		return ""
	case strings.HasPrefix(patch[0], `{"metadata"`):
		return patch[0]
	default:
		return `[{"op":"test","path":"/metadata/resourceVersion","value":"7"},` + strings.Join(patch, ",") + "]"
	}
}

func text(p *patch) string {
	if p == nil {
		return "nothing"
	}
	return string(p.body)
}

func apply(t *testing.T, doc []byte, p *patch) []byte {
	t.Helper()
	if p.kind == types.MergePatchType {
		out, err := jsonpatch.MergePatch(doc, p.body)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	decoded, err := jsonpatch.DecodePatch(p.body)
	if err != nil {
		t.Fatal(err)
	}
	out, err := decoded.Apply(doc)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestAddressesThatDoNotFit demands that a Gateway with too many addresses says so.
func TestAddressesThatDoNotFit(t *testing.T) {
	g := &gateway.Gateway{}
	want := &gateway.GatewayStatus{Conditions: []metav1.Condition{cond("Programmed", true, "Fine.", 1)}}
	for i := range 18 {
		want.Addresses = append(want.Addresses, gateway.GatewayStatusAddress{Value: fmt.Sprintf("10.0.0.%d", i)})
	}
	p, _, err := statusPatch(g, want, ours, now)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(p.body); strings.Count(s, "10.0.0.") != maxAddresses || !strings.Contains(s, "Fine. 2 more addresses are not listed: the API allows 16.") {
		t.Errorf("wrote %s", s)
	}
	if len(want.Addresses) != 18 || want.Conditions[0].Message != "Fine." || !want.Conditions[0].LastTransitionTime.IsZero() {
		t.Error("the report was modified")
	}
}

// TestEnvoyProxy demands that an entry that Envoy Gateway left, which bears no
// name, is taken over rather than doubled.
func TestEnvoyProxy(t *testing.T) {
	p := &v1alpha1.EnvoyProxy{}
	p.Namespace, p.ResourceVersion = "default", "7"
	p.Status.Ancestors = []v1alpha1.EnvoyProxyAncestorStatus{
		{AncestorRef: gateway.ParentReference{Name: "theirs"}}, {AncestorRef: gateway.ParentReference{Name: "web"}},
	}
	got, _, err := statusPatch(p, &gateway.PolicyStatus{Ancestors: []gateway.PolicyAncestorStatus{
		{AncestorRef: gateway.ParentReference{Name: "web"}, ControllerName: ours},
	}}, ours, now)
	if err != nil {
		t.Fatal(err)
	}
	want := body([]string{`{"op":"replace","path":"/status/ancestors/1","value":{"ancestorRef":{"name":"web"},"controllerName":"example.org/ours"}}`})
	if text(got) != want {
		t.Errorf("got %s, want %s", text(got), want)
	}
}

// TestFinalizer demands that a class of ours is kept while it has Gateways, and
// that other finalizers are not touched.
func TestFinalizer(t *testing.T) {
	const own = gateway.GatewayClassFinalizerGatewaysExist
	deleted := metav1.NewTime(now)
	for _, c := range []struct {
		name       string
		finalizers []string
		deleted    *metav1.Time
		inUse      bool
		want       string
	}{
		{"in use", nil, nil, true, `{"op":"add","path":"/metadata/finalizers","value":["` + own + `"]}`},
		{"in use beside others", []string{"x"}, nil, true, `{"op":"add","path":"/metadata/finalizers/-","value":"` + own + `"}`},
		{"in use and marked", []string{own}, nil, true, ""},
		{"in use and being deleted", []string{"x"}, &deleted, true, ""},
		{"no longer in use", []string{"x", own}, &deleted, false, `{"op":"remove","path":"/metadata/finalizers/1"}`},
		{"not in use", nil, nil, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			class := &gateway.GatewayClass{}
			class.ResourceVersion, class.Finalizers, class.DeletionTimestamp = "7", c.finalizers, c.deleted
			class.Spec.ControllerName = ours
			p, err := finalizerPatch(class, ours, c.inUse)
			if err != nil {
				t.Fatal(err)
			}
			want := "nothing"
			if c.want != "" {
				want = body([]string{c.want})
			}
			if text(p) != want {
				t.Errorf("got %s, want %s", text(p), want)
			}
			if p, _ := finalizerPatch(class, "example.org/theirs", c.inUse); p != nil {
				t.Error("touches the class of another controller")
			}
		})
	}
}
