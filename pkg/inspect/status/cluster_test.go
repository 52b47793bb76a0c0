package status

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/rest"

	"github.com/egctl/egctl/internal/testkube"
	"github.com/egctl/egctl/pkg/inspect/proxies"
)

func kind(resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: GatewayGroup, Version: "v1", Resource: resource}
}

// put makes the objects of a small world, in which the controller is the test.
func put(t *testing.T, c *testkube.Cluster) *Client {
	t.Helper()
	c.Apply(t, kind("gatewayclasses"), false, `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: `+c.Namespace+`}
spec: {controllerName: example.com/test}
status: {conditions: [{type: Accepted, status: "True", reason: Accepted, message: ok, observedGeneration: 1, lastTransitionTime: "2026-01-01T00:00:00Z"}]}`)
	setGateway(t, c, "False", "AddressNotAssigned")
	c.Apply(t, kind("httproutes"), true, `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec: {parentRefs: [{name: eg}], hostnames: [a.example.com], rules: [{backendRefs: [{name: echo, port: 80}]}]}
status:
  parents:
  - parentRef: {name: eg}
    controllerName: example.com/test
    conditions:
    - {type: Accepted, status: "True", reason: Accepted, message: ok, observedGeneration: 1, lastTransitionTime: "2026-01-01T00:00:00Z"}
    - {type: ResolvedRefs, status: "True", reason: ResolvedRefs, message: ok, observedGeneration: 1, lastTransitionTime: "2026-01-01T00:00:00Z"}`)
	client, err := NewClient(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func setGateway(t *testing.T, c *testkube.Cluster, programmed, reason string) {
	t.Helper()
	condition := func(kind, status, reason string) string {
		return "{type: " + kind + ", status: \"" + status + "\", reason: " + reason + ", message: as the test says, observedGeneration: 1, lastTransitionTime: \"2026-01-01T00:00:00Z\"}"
	}
	c.Apply(t, kind("gateways"), true, `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: eg}
spec: {gatewayClassName: `+c.Namespace+`, listeners: [{name: http, port: 80, protocol: HTTP}]}
status: {conditions: [`+condition("Accepted", "True", "Accepted")+","+condition("Programmed", programmed, reason)+`]}`)
}

func read(t *testing.T, client *Client, words string, q Query) *World {
	t.Helper()
	served, err := client.Resources(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	found, _ := Select(served, words)
	w, err := client.Read(context.Background(), found, q)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestRealObjects prints the tables and the tree of objects that an API server gives.
func TestRealObjects(t *testing.T) {
	c := testkube.New(t)
	client := put(t, c)
	c.Apply(t, kind("httproutes"), true, `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: lost}
spec: {parentRefs: [{name: typo}]}`)
	w := read(t, client, All, Query{Namespace: c.Namespace})
	var b bytes.Buffer
	for i, r := range w.Resources {
		if r.Family == Class || len(w.Objects[i]) == 0 {
			continue // there may be other classes
		}
		p := Printer{W: &b}
		if err := p.Table(NewTable(r, w.Objects[i], TableOptions{Kinds: true, Now: time.Now()})); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{
		"gateway/eg   " + c.Namespace + "   -         True       False (AddressNotAssigned)   0/1",
		"httproute/web    a.example.com   gateway/eg     True       True",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
	endpoints, err := client.Endpoints(context.Background(), c.Namespace)
	if err != nil {
		t.Fatal(err)
	}
	b.Reset()
	served, err := client.Resources(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	gone, err := client.FindGone(context.Background(), served, w, endpoints)
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteTree(&b, NewTree(w, TreeOptions{Namespace: c.Namespace, Endpoints: endpoints, Gone: gone}), TreePrint{}); err != nil {
		t.Fatal(err)
	}
	want := "gatewayclass/NS  example.com/test\n" +
		"└─ gateway/NS/eg  no address  [Programmed=False (AddressNotAssigned)]\n" +
		"   └─ listener http  HTTP :80\n" +
		"      └─ httproute/NS/web  a.example.com\n" +
		"         └─ service/NS/echo:80  [Service NS/echo does not exist]\n" +
		"gateway/NS/typo  [Gateway NS/typo does not exist]\n" +
		"└─ httproute/NS/lost\n"
	if have := strings.ReplaceAll(b.String(), c.Namespace, "NS"); have != want {
		t.Errorf("want\n%s\nhave\n%s", want, have)
	}
	if w := read(t, client, "httproute", Query{Namespace: c.Namespace, Names: []string{"other"}}); len(w.Objects[0]) != 0 {
		t.Errorf("another name: %v", w.Objects[0])
	}
}

// TestFollowing waits for a condition, and logs the rows that change, and no others.
func TestFollowing(t *testing.T) {
	c := testkube.New(t)
	client := put(t, c)
	q := Query{Namespace: c.Namespace}
	goal := Goal{"Programmed", "True"}
	served, err := client.Resources(context.Background())
	if err != nil {
		t.Fatal(err)
	}

	short, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	var timeout *TimeoutError
	err = client.Wait(short, served, read(t, client, "gateway", q), q, goal, nil)
	if !errors.As(err, &timeout) || !strings.Contains(err.Error(), "gateway "+c.Namespace+"/eg: Programmed=False, AddressNotAssigned: as the test says") {
		t.Errorf("%v", err)
	}

	// A parent that is not there is said to be so, as in the table.
	c.Apply(t, kind("httproutes"), true, `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: lost}
spec: {parentRefs: [{name: typo}]}`)
	for _, goal := range []Goal{{}, {"Accepted", "True"}} {
		short, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		err := client.Wait(short, served, read(t, client, "httproute", q), q, goal, nil)
		if want := "httproute " + c.Namespace + "/lost: gateway/typo: Gateway " + c.Namespace + "/typo does not exist"; err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}

	ctx, cancel := context.WithTimeout(context.Background(), testkube.Patience)
	defer cancel()
	world := read(t, client, All, q)
	var mu sync.Mutex
	var out bytes.Buffer
	said := func() string {
		mu.Lock()
		defer mu.Unlock()
		return out.String()
	}
	log := NewLog(&out, world, TableOptions{Now: time.Now()}, LogOptions{})
	var following sync.WaitGroup
	defer following.Wait()
	defer cancel()
	following.Go(func() {
		err := client.Follow(ctx, world, q, func(changes []Change) bool {
			mu.Lock()
			defer mu.Unlock()
			return log.Write(changes, time.Now()) == nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	waited := make(chan error, 1)
	go func() { waited <- client.Wait(ctx, served, read(t, client, "gateway", q), q, goal, nil) }()
	// A change that no column shows comes first: it is not to be printed.
	if _, err := c.Dynamic.Resource(kind("httproutes")).Namespace(c.Namespace).Patch(ctx, "web", "application/merge-patch+json",
		[]byte(`{"metadata":{"labels":{"a":"b"}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * settle)
	setGateway(t, c, "True", "Programmed")
	if err := <-waited; err != nil {
		t.Error(err)
	}
	testkube.Eventually(t, "the row of the Gateway", func() bool { return strings.Contains(said(), "True       True") })
	if strings.Contains(said(), "web") {
		t.Errorf("nothing that is shown of the route has changed:\n%s", said())
	}
	if err := c.Dynamic.Resource(kind("httproutes")).Namespace(c.Namespace).Delete(ctx, "web", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	testkube.Eventually(t, "the end of the route", func() bool { return strings.Contains(said(), "deleted") })
}

// TestWaitServing waits for the Gateway's status and for its proxies, and says which of the
// two is missing.
func TestWaitServing(t *testing.T) {
	c := testkube.New(t)
	put(t, c)
	ctx, cancel := context.WithTimeout(context.Background(), testkube.Patience)
	defer cancel()
	var mu sync.Mutex
	var progress []string
	type result struct {
		serving *Serving
		err     error
	}
	done := make(chan result, 1)
	asked := 0
	go func() {
		s, err := WaitServing(ctx, ServingOptions{
			Config: c.Config, Namespace: c.Namespace, Name: "eg", ControllerNamespace: c.Namespace,
			Progress: func(s string) {
				mu.Lock()
				defer mu.Unlock()
				progress = append(progress, s)
			},
			Acknowledged: func(context.Context, *proxies.Fleet, []core.Pod) (string, error) {
				if asked++; asked == 1 {
					return "pod x has an older configuration", nil
				}
				return "", nil
			},
		})
		done <- result{s, err}
	}()
	said := func(text string) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return strings.Contains(strings.Join(progress, "\n"), text)
		}
	}
	testkube.Eventually(t, "no proxies", said("has no proxies"))
	if _, err := c.Client.CoreV1().Services(c.Namespace).Create(ctx, &core.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "proxy", Labels: map[string]string{
			proxies.OwningGatewayName: "eg", proxies.OwningGatewayNamespace: c.Namespace,
		}},
		Spec: core.ServiceSpec{Selector: map[string]string{"app": "proxy"}, Ports: []core.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(3000)}}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	testkube.Eventually(t, "not programmed", said("Programmed=False, AddressNotAssigned"))
	setGateway(t, c, "True", "Programmed")
	testkube.Eventually(t, "no pods", said("there are no pods"))
	c.Echo(t, "proxy", 2)
	r := <-done
	if r.err != nil || len(r.serving.Pods) == 0 || r.serving.Fleet.Service.Name != "proxy" {
		t.Fatalf("%+v", r)
	}
	if !said("pod x has an older configuration")() {
		t.Errorf("%q", progress)
	}
}

// TestStuck finds out why the proxy of a Gateway does not run, and that there is no such
// namespace.
func TestStuck(t *testing.T) {
	c := testkube.New(t)
	client := put(t, c)
	ctx := context.Background()
	w := read(t, client, "gateway", Query{Namespace: c.Namespace})
	look := func() []Issue {
		t.Helper()
		stuck, err := client.FindStuck(ctx, w, c.Namespace)
		if err != nil {
			t.Fatal(err)
		}
		return stuck[c.Namespace+"/eg"]
	}
	if found := look(); len(found) > 0 {
		t.Errorf("there is no proxy, and it says %v", found)
	}
	if _, err := c.Client.CoreV1().Pods(c.Namespace).Create(ctx, &core.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "proxy", Labels: map[string]string{
			proxies.OwningGatewayName: "eg", proxies.OwningGatewayNamespace: c.Namespace,
		}},
		Spec: core.PodSpec{Containers: []core.Container{{Name: "envoy", Image: "missing.invalid/envoy:v1", ImagePullPolicy: core.PullNever}}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	testkube.Eventually(t, "the reason of the pod", func() bool {
		found := look()
		return len(found) == 1 && found[0].On == "pod "+c.Namespace+"/proxy" && found[0].Reason == "ErrImageNeverPull"
	})
	for namespace, want := range map[string]bool{c.Namespace: false, c.Namespace + "-typo": true} {
		q := Query{Namespace: namespace, Names: []string{"nothing"}}
		if gone, err := client.NamespaceGone(ctx, read(t, client, "gateway", q), q); err != nil || gone != want {
			t.Errorf("%s is gone: %t, %v", namespace, gone, err)
		}
	}
}

// TestUnattended looks for the controller behind statuses.
func TestUnattended(t *testing.T) {
	c := testkube.New(t)
	client := put(t, c)
	served, err := client.Resources(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	unattended := func() bool {
		t.Helper()
		w := read(t, client, "gateway", Query{Namespace: c.Namespace})
		alone, err := client.Unattended(context.Background(), served, w, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return alone
	}
	if unattended() {
		t.Error("the Gateway is another controller's")
	}
	own := c.Namespace + "-own"
	c.Apply(t, kind("gatewayclasses"), false, `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: `+own+`}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}`)
	c.Apply(t, kind("gateways"), true, `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: own}
spec: {gatewayClassName: `+own+`, listeners: [{name: http, port: 80, protocol: HTTP}]}
status: {conditions: [{type: Accepted, status: "True", reason: Accepted, message: ok, observedGeneration: 1, lastTransitionTime: "2026-01-01T00:00:00Z"}]}`)
	if !unattended() {
		t.Error("no controller is there, and its Gateway passes for healthy")
	}
	leases := schema.GroupVersionResource{Group: "coordination.k8s.io", Version: "v1", Resource: "leases"}
	lease := func(renewed time.Time) {
		c.Apply(t, leases, true, `
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: 5b9825d2.gateway.envoyproxy.io}
spec: {holderIdentity: laptop, leaseDurationSeconds: 15, renewTime: "`+renewed.UTC().Format("2006-01-02T15:04:05.000000Z07:00")+`"}`)
	}
	lease(time.Now())
	if unattended() {
		t.Error("a controller outside of the cluster is not seen")
	}
	lease(time.Now().Add(-time.Hour))
	if !unattended() {
		t.Error("who held the Lease an hour ago passes for a controller")
	}
	// What the API server refuses on the way to that is no reason to show nothing.
	for _, path := range []string{"/pods", "/leases", "/gatewayclasses"} {
		config := rest.CopyConfig(c.Config)
		config.Wrap(func(next http.RoundTripper) http.RoundTripper { return misspelt{next, path} })
		if client, err = NewClient(config); err != nil {
			t.Fatal(err)
		}
		if _, _, err := client.List(context.Background(), Resource{Version: "v1", Plural: "pods"}, Query{}); path == "/pods" && !apierrors.IsBadRequest(err) {
			t.Fatalf("the API server accepts what is misspelt: %v", err)
		}
		if unattended() {
			t.Errorf("what %s say is not known, and passes for known", path)
		}
	}
}

// misspelt garbles requests of a path, which the API server then refuses.
type misspelt struct {
	http.RoundTripper
	path string
}

func (m misspelt) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, m.path) {
		r = r.Clone(r.Context())
		r.URL.RawQuery += "&continue=misspelt"
	}
	return m.RoundTripper.RoundTrip(r)
}
