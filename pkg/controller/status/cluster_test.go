package status_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/controller/internal/kubetest"
	"github.com/egctl/egctl/pkg/controller/source/kube"
	"github.com/egctl/egctl/pkg/controller/status"
	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

const (
	ours  = "example.org/status-test"
	group = "gateway.networking.k8s.io/v1"
)

// harness is a writer that is fed by a source, as in the controller, and whose
// reports come from the test.
type harness struct {
	*status.Writer
	c  *kubetest.Cluster
	ns string

	mu     sync.Mutex
	writes []error
	live   map[store.Key]store.Object
}

func newHarness(t *testing.T, manifests ...string) *harness {
	t.Helper()
	h := &harness{c: kubetest.New(t), ns: kubetest.Name(), live: map[store.Key]store.Object{}}
	h.c.Apply(t, "{apiVersion: v1, kind: Namespace, metadata: {name: "+h.ns+"}}")
	for _, m := range manifests {
		h.c.Apply(t, fmt.Sprintf(m, h.ns))
	}
	var source *kube.Source
	var err error
	h.Writer, err = status.NewWriter(status.Options{
		Config: h.c.Config, ControllerName: ours,
		Resource: func(k store.Kind) (schema.GroupVersionResource, bool) { return source.Resource(k) },
		OnWrite: func(_ store.Kind, _ time.Duration, err error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.writes = append(h.writes, err)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	source, err = kube.New(kube.Options{Config: h.c.Config, Scope: kube.Scope{Namespaces: []string{h.ns}}, Observe: h.Observe})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- source.Run(ctx, func(changes []store.Change) {
			h.mu.Lock()
			defer h.mu.Unlock()
			for _, ch := range changes {
				h.live[ch.Key] = ch.Object
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	<-source.Synced()
	return h
}

func (h *harness) lead(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Lead(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func (h *harness) count() (n, failed int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, err := range h.writes {
		if err != nil {
			failed++
		}
	}
	return len(h.writes), failed
}

func (h *harness) key(k store.Kind, name string) store.Key {
	return store.ID{Kind: k, Namespace: h.ns, Name: name}.Key()
}

func (h *harness) generation(k store.Key) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.live[k].GetGeneration()
}

func (h *harness) report(k store.Key, s any, fs ...finding.Finding) {
	h.Report(map[store.Key]translate.Report{k: {Status: s, Findings: fs}})
}

func routeStatus(generation int64, accepted metav1.ConditionStatus) *gateway.RouteStatus {
	return &gateway.RouteStatus{Parents: []gateway.RouteParentStatus{{
		ParentRef: gateway.ParentReference{Name: "web"}, ControllerName: ours,
		Conditions: []metav1.Condition{{Type: "Accepted", Status: accepted, Reason: "Tested", ObservedGeneration: generation}},
	}}}
}

func parents(t *testing.T, o *unstructured.Unstructured) []any {
	t.Helper()
	p, _, err := unstructured.NestedSlice(o.Object, "status", "parents")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const route = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: %s}
spec: {parentRefs: [{name: web}]}
`

const foreign = `{"controllerName":"example.org/theirs","parentRef":{"name":"other","group":"gateway.networking.k8s.io","kind":"Gateway"},` +
	`"conditions":[{"type":"Accepted","status":"True","reason":"Theirs","message":"m","observedGeneration":77,"lastTransitionTime":"2020-01-01T00:00:00Z"}]}`

// TestWritesWhatDiffers follows a route through its life: nothing is written
// before this replica leads, then once, and then only what differs; entries of
// others are not touched.
func TestWritesWhatDiffers(t *testing.T) {
	h := newHarness(t, route)
	k := h.key(store.HTTPRoute, "web")
	get := func() *unstructured.Unstructured { return h.c.Get(t, group, "HTTPRoute", h.ns, "web") }
	h.report(k, routeStatus(1, metav1.ConditionTrue))
	time.Sleep(300 * time.Millisecond)
	if len(parents(t, get())) != 0 {
		t.Error("wrote without leading")
	}
	stop := h.lead(t)
	kubetest.Eventually(t, 5*time.Second, "the status is written", func() bool { return len(parents(t, get())) == 1 })

	// Another controller adds its entry before ours.
	own, err := json.Marshal(parents(t, get())[0])
	if err != nil {
		t.Fatal(err)
	}
	h.c.Patch(t, group, "HTTPRoute", h.ns, "web", `{"status":{"parents":[`+foreign+`,`+string(own)+`]}}`, "status")
	version := get().GetResourceVersion()
	time.Sleep(500 * time.Millisecond)
	if get().GetResourceVersion() != version {
		t.Error("something was written although nothing of ours differs")
	}
	if n, failed := h.count(); n != 1 || failed != 0 {
		t.Errorf("%d writes, %d of which failed, want one", n, failed)
	}

	theirs := func() string {
		b, err := json.Marshal(parents(t, get())[0])
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	before := theirs()
	h.report(k, routeStatus(1, metav1.ConditionFalse))
	kubetest.Eventually(t, 5*time.Second, "the new status is written", func() bool {
		p := parents(t, get())
		c := p[1].(map[string]any)["conditions"].([]any)[0].(map[string]any)
		return c["status"] == "False"
	})
	if after := theirs(); after != before {
		t.Errorf("the entry of another controller was\n%s, is\n%s", before, after)
	}

	// What somebody else makes of our entry is put right.
	h.c.Patch(t, group, "HTTPRoute", h.ns, "web", `{"status":{"parents":[`+foreign+`]}}`, "status")
	kubetest.Eventually(t, 5*time.Second, "our entry is back", func() bool { return len(parents(t, get())) == 2 })

	// A new leader finds nothing to do.
	stop()
	n, _ := h.count()
	h.lead(t)
	time.Sleep(500 * time.Millisecond)
	if again, _ := h.count(); again != n {
		t.Errorf("a new leader wrote %d times", again-n)
	}
	h.report(k, nil)
	kubetest.Eventually(t, 5*time.Second, "our entry is gone", func() bool { return len(parents(t, get())) == 1 })
	if after := theirs(); after != before {
		t.Errorf("the entry of another controller was\n%s, is\n%s", before, after)
	}
}

// TestReportsOfAnotherGeneration demands that no status claims to be of a
// generation that was not looked at.
func TestReportsOfAnotherGeneration(t *testing.T) {
	h := newHarness(t, route)
	k := h.key(store.HTTPRoute, "web")
	h.lead(t)
	h.c.Patch(t, group, "HTTPRoute", h.ns, "web", `{"spec":{"hostnames":["a.example"]}}`)
	kubetest.Eventually(t, 5*time.Second, "the edit is seen", func() bool { return h.generation(k) == 2 })
	h.report(k, routeStatus(1, metav1.ConditionTrue))
	time.Sleep(300 * time.Millisecond)
	if n, _ := h.count(); n != 0 {
		t.Error("a report about an older generation was written")
	}
	h.report(k, routeStatus(2, metav1.ConditionTrue))
	kubetest.Eventually(t, 5*time.Second, "the newer report is written", func() bool {
		n, failed := h.count()
		return n == 1 && failed == 0
	})
}

// TestBusyObject has others write to an object all the time while reports come:
// the last one must be there in the end, after a bearable number of requests.
func TestBusyObject(t *testing.T) {
	h := newHarness(t, route)
	k := h.key(store.HTTPRoute, "web")
	h.lead(t)
	end := time.Now().Add(2 * time.Second)
	i := 0
	for ; time.Now().Before(end); i++ {
		h.c.Patch(t, group, "HTTPRoute", h.ns, "web", fmt.Sprintf(`{"metadata":{"annotations":{"n":"%d"}}}`, i))
		s := metav1.ConditionTrue
		if i%2 == 0 {
			s = metav1.ConditionFalse
		}
		h.report(k, routeStatus(1, s))
	}
	h.report(k, routeStatus(1, metav1.ConditionUnknown))
	kubetest.Eventually(t, 5*time.Second, "the last report is written", func() bool {
		p := parents(t, h.c.Get(t, group, "HTTPRoute", h.ns, "web"))
		return len(p) == 1 && p[0].(map[string]any)["conditions"].([]any)[0].(map[string]any)["status"] == "Unknown"
	})
	n, failed := h.count()
	t.Logf("%d requests for %d reports, %d in vain", n, i, failed)
	if n > 90 {
		t.Errorf("%d requests in two seconds", n)
	}
}

// TestClassIsKept demands the finalizer of the API, and its removal.
func TestClassIsKept(t *testing.T) {
	name := kubetest.Name()
	h := newHarness(t, `{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: `+name+`, labels: {ns: %s}}, spec: {controllerName: `+ours+`}}`,
		`{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: web, namespace: %s}, spec: {gatewayClassName: `+name+`, listeners: [{name: http, port: 80, protocol: HTTP}]}}`)
	h.report(store.ID{Kind: store.GatewayClass, Name: name}.Key(), &gateway.GatewayClassStatus{
		Conditions:        []metav1.Condition{{Type: "Accepted", Status: metav1.ConditionTrue, Reason: "Accepted", ObservedGeneration: 1}},
		SupportedFeatures: []gateway.SupportedFeature{{Name: "Gateway"}},
	})
	h.lead(t)
	finalizers := func() int {
		if o := h.c.Get(t, group, "GatewayClass", "", name); o != nil {
			return len(o.GetFinalizers())
		}
		return -1
	}
	kubetest.Eventually(t, 5*time.Second, "the class has a finalizer", func() bool { return finalizers() == 1 })
	h.c.Delete(t, group, "GatewayClass", "", name)
	time.Sleep(300 * time.Millisecond)
	if finalizers() != 1 {
		t.Error("the class is gone before its Gateways")
	}
	h.c.Delete(t, group, "Gateway", h.ns, "web")
	kubetest.Eventually(t, 5*time.Second, "the class is gone", func() bool { return finalizers() < 0 })
}

// TestEvents demands one Event for an error that lasts.
func TestEvents(t *testing.T) {
	h := newHarness(t, route)
	k := h.key(store.HTTPRoute, "web")
	h.lead(t)
	f := finding.Finding{Code: "EG0000", Severity: finding.Error, Object: k.Object(), Path: "spec.rules", Message: "nothing works"}
	h.report(k, routeStatus(1, metav1.ConditionFalse), f)
	events := func() []unstructured.Unstructured {
		l, err := h.c.Dynamic.Resource(schema.GroupVersionResource{Version: "v1", Resource: "events"}).Namespace(h.ns).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return l.Items
	}
	kubetest.Eventually(t, 10*time.Second, "there is an Event", func() bool { return len(events()) == 1 })
	if m, _, _ := unstructured.NestedString(events()[0].Object, "message"); m != "spec.rules: nothing works" {
		t.Errorf("the Event says %q", m)
	}
	h.report(k, routeStatus(1, metav1.ConditionTrue), f)
	time.Sleep(2500 * time.Millisecond)
	if n := len(events()); n != 1 {
		t.Errorf("%d Events for one error", n)
	}
}
