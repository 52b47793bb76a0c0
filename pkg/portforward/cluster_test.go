package portforward

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/rest"

	"github.com/egctl/egctl/internal/testkube"
	"github.com/egctl/egctl/pkg/inspect/proxies"
)

// log is what is said while a test reads it.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start forwards until the test ends, and returns the open ports.
func start(t *testing.T, c *testkube.Cluster, target string, ports ...string) ([]ForwardedPort, *log) {
	t.Helper()
	o := Options{Config: c.Config, Namespace: c.Namespace, ControllerNamespace: c.Namespace, PodTimeout: testkube.Patience, Addresses: []string{"127.0.0.1"}}
	var err error
	if o.Target, err = ParseTarget(target); err != nil {
		t.Fatal(err)
	}
	for _, s := range ports {
		p, err := ParsePort(s)
		if err != nil {
			t.Fatal(err)
		}
		o.Ports = append(o.Ports, p)
	}
	said := &log{}
	o.Err = said
	ready := make(chan []ForwardedPort, 1)
	o.Ready = func(p []ForwardedPort) { ready <- p }
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Forward(ctx, o) }()
	select {
	case open := <-ready:
		t.Cleanup(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("%s: %v", target, err)
			}
		})
		return open, said
	case err := <-done:
		cancel()
		t.Fatalf("%s: %v\n%s", target, err, said)
		return nil, nil
	}
}

// ask sends a request on a connection of its own and returns the pod that answered.
func ask(p ForwardedPort) (string, error) {
	client := http.Client{Timeout: testkube.Patience, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(fmt.Sprintf("http://%s/", p.Local))
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return "", err
	}
	var answer struct{ Pod string }
	if err := json.Unmarshal(b, &answer); err != nil {
		return "", fmt.Errorf("%w: %s", err, b)
	}
	return answer.Pod, nil
}

// newGateway makes a Gateway whose proxies are two echo servers.
func newGateway(t *testing.T) *testkube.Cluster {
	t.Helper()
	c := testkube.New(t)
	c.Echo(t, "proxy", 2)
	c.Apply(t, schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"}, true, `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: eg}
spec: {gatewayClassName: none, listeners: [{name: plain, port: 80, protocol: HTTP}]}`)
	_, err := c.Client.CoreV1().Services(c.Namespace).Create(context.Background(), &core.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "envoy-x", Labels: map[string]string{
			proxies.OwningGatewayName: "eg", proxies.OwningGatewayNamespace: c.Namespace,
		}},
		Spec: core.ServiceSpec{Selector: map[string]string{"app": "proxy"}, Ports: []core.ServicePort{
			{Name: "http-80", Port: 80, TargetPort: intstr.FromInt32(3000)},
			{Name: "http-81", Port: 81, TargetPort: intstr.FromString("web")},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestPodsComeAndGo sends a request every few milliseconds while the pod that answers is
// deleted, and one while there is no pod at all. Not one fails.
func TestPodsComeAndGo(t *testing.T) {
	c := newGateway(t)
	open, said := start(t, c, "gateway/eg", ":80", ":plain", ":81")
	if len(open) != 3 || open[0].Container != 3000 || open[1].Port != 80 || open[2].Container != 3000 {
		t.Fatalf("%+v", open)
	}
	first, err := ask(open[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range open[1:] {
		if pod, err := ask(p); err != nil || pod != first {
			t.Errorf("%v: %s, %v", p, pod, err)
		}
	}
	if err := c.Client.CoreV1().Pods(c.Namespace).Delete(context.Background(), first, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	second := first
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		pod, err := ask(open[0])
		if err != nil {
			t.Fatalf("while %s went away: %v\n%s", first, err, said)
		}
		second = pod
	}
	if second == first {
		t.Errorf("%s answers still\n%s", first, said)
	}
	for _, want := range []string{first + " is going away: looking for another", "Forwarding to pod " + c.Namespace + "/" + second} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("%q is not in\n%s", want, said)
		}
	}

	c.Scale(t, "proxy", 0)
	testkube.Eventually(t, "no pod", func() bool { return strings.Contains(said.String(), "Waiting for a ready pod of gateway/eg") })
	held := make(chan error, 1)
	go func() {
		_, err := ask(open[0])
		held <- err
	}()
	time.Sleep(200 * time.Millisecond)
	c.Scale(t, "proxy", 1)
	if err := <-held; err != nil {
		t.Errorf("the request without a pod: %v\n%s", err, said)
	}
}

// TestTargets reaches the same pods by all names, and survives a port where nobody
// listens.
func TestTargets(t *testing.T) {
	c := newGateway(t)
	pods, err := c.Client.CoreV1().Pods(c.Namespace).List(context.Background(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	one := pods.Items[0].Name
	for target, port := range map[string]string{"svc/envoy-x": ":http-81", "deploy/proxy": ":web", one: ":3000"} {
		open, _ := start(t, c, target, port)
		if pod, err := ask(open[0]); err != nil || target == one && pod != one {
			t.Errorf("%s: %s, %v", target, pod, err)
		}
	}
	open, said := start(t, c, "pod/"+one, ":3000", ":9")
	for range 3 {
		if _, err := ask(open[1]); err == nil {
			t.Error("nobody listens on port 9, and somebody answers")
		}
		if _, err := ask(open[0]); err != nil {
			t.Errorf("the other port: %v", err)
		}
	}
	if !strings.Contains(said.String(), "port 9: ") || !strings.Contains(said.String(), "refused") {
		t.Errorf("the reason is not in\n%s", said)
	}
}

// TestProtocol goes over WebSocket to an API server that has it.
func TestProtocol(t *testing.T) {
	c := newGateway(t)
	pods, err := c.Client.CoreV1().Pods(c.Namespace).List(context.Background(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), testkube.Patience)
	defer cancel()
	l, err := dial(ctx, c.Config, &pods.Items[0])
	if err != nil {
		t.Fatal(err)
	}
	defer l.conn.Close()
	if l.spdy {
		t.Error("SPDY, though the API server has WebSocket")
	}
}

// TestFallback goes over SPDY where something between here and the API server does
// not let WebSocket through.
func TestFallback(t *testing.T) {
	c := newGateway(t)
	behind := rest.CopyConfig(c.Config)
	behind.NextProtos = []string{"http/1.1"} // HTTP/2 upgrades nothing
	transport, err := rest.TransportFor(behind)
	if err != nil {
		t.Fatal(err)
	}
	host, err := url.Parse(c.Config.Host)
	if err != nil {
		t.Fatal(err)
	}
	refused := atomic.Int32{}
	between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			refused.Add(1)
			http.Error(w, "no WebSocket here", http.StatusBadRequest)
			return
		}
		proxy := httputil.NewSingleHostReverseProxy(host)
		proxy.Transport = transport
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(between.Close)
	c.Config = &rest.Config{Host: between.URL}
	open, said := start(t, c, "gateway/eg", ":80")
	if _, err := ask(open[0]); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
	if refused.Load() == 0 {
		t.Error("WebSocket was not tried")
	}
}

// TestMissing says what is missing, and does not wait for what does not come.
func TestMissing(t *testing.T) {
	c := newGateway(t)
	for target, want := range map[string]string{
		"gateway/none": "not found",
		"svc/none":     "not found",
		"deploy/proxy": "has no port named", // the port
	} {
		o := Options{Config: c.Config, Namespace: c.Namespace, PodTimeout: time.Second}
		o.Target, _ = ParseTarget(target)
		o.Ports = []Port{{Remote: "nope"}}
		if err := Forward(context.Background(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", target, err)
		}
	}
}
