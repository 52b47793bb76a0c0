package portforward

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
)

func TestParseTarget(t *testing.T) {
	for in, want := range map[string]string{
		"gateway/eg":      "gateway/eg",
		"gtw/eg":          "gateway/eg",
		"svc/web":         "service/web",
		"Deployments/web": "deployment/web",
		"ds/envoy":        "daemonset/envoy",
		"web-0":           "pod/web-0",
	} {
		if have, err := ParseTarget(in); err != nil || have.String() != want {
			t.Errorf("%s: %s, %v", in, have, err)
		}
	}
	for in, want := range map[string]string{
		"route/web":  "is not one of gateway, service",
		"svc/":       "TYPE/NAME",
		"svc/a/b":    "TYPE/NAME",
		"":           "TYPE/NAME",
		"gateway//a": "TYPE/NAME",
	} {
		if _, err := ParseTarget(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// Who names a Gateway without its kind is told what to write.
func TestExplainBareName(t *testing.T) {
	missing := apierrors.NewNotFound(core.Resource("pods"), "eg")
	for target, want := range map[string]bool{"eg": true, "pod/eg": false} {
		parsed, err := ParseTarget(target)
		if err != nil {
			t.Fatal(err)
		}
		if err := parsed.explain(missing); strings.Contains(err.Error(), "gateway/eg or svc/eg") != want {
			t.Errorf("%s: %v", target, err)
		}
		if err := parsed.explain(context.Canceled); err.Error() != context.Canceled.Error() {
			t.Errorf("%s: %v", target, err)
		}
	}
}

func TestParsePort(t *testing.T) {
	for in, want := range map[string]Port{
		"8888:80":   {8888, "80"},
		":80":       {0, "80"},
		"0:80":      {0, "80"},
		"80":        {-1, "80"},
		"admin":     {-1, "admin"},
		"9000:http": {9000, "http"},
	} {
		if have, err := ParsePort(in); err != nil || have != want {
			t.Errorf("%s: %v, %v", in, have, err)
		}
	}
	for in, want := range map[string]string{
		"":        "[LOCAL:]REMOTE",
		"80:":     "[LOCAL:]REMOTE",
		"1:2:3":   "[LOCAL:]REMOTE",
		"x:80":    `local port "x"`,
		"70000:1": `local port "70000"`,
		"1:0":     "remote port 0",
		"70000":   "remote port 70000",
		"-1":      "remote port -1",
	} {
		if _, err := ParsePort(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// TestPortsOfAGateway maps the ports of listeners to those that Envoy binds.
func TestPortsOfAGateway(t *testing.T) {
	pod := &core.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "system", Name: "envoy"},
		Spec:       core.PodSpec{Containers: []core.Container{{Ports: []core.ContainerPort{{Name: "secure", ContainerPort: 10443}}}}},
	}
	service := &core.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "system", Name: "envoy"},
		Spec: core.ServiceSpec{ClusterIP: "10.0.0.1", Ports: []core.ServicePort{
			{Name: "http-80", Port: 80, TargetPort: intstr.FromInt32(10080)},
			{Name: "https-443-h3", Port: 443, Protocol: core.ProtocolUDP, TargetPort: intstr.FromInt32(10443)},
			{Name: "https-443", Port: 443, TargetPort: intstr.FromString("secure")},
			{Name: "tcp-9000", Port: 9000},
			{Name: "udp-53", Port: 53, Protocol: core.ProtocolUDP, TargetPort: intstr.FromInt32(10053)},
			{Name: "tcp-5", Port: 5, TargetPort: intstr.FromString("missing")},
		}},
	}
	gw := &gateway.Gateway{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "eg"},
		Spec:       gateway.GatewaySpec{Listeners: []gateway.Listener{{Name: "web", Port: 80}}},
	}
	d := &destination{service: service, gateway: gw}
	for in, want := range map[string]remotePort{
		"80":        {80, 10080},
		"http-80":   {80, 10080},
		"web":       {80, 10080},
		"443":       {443, 10443},
		"https-443": {443, 10443},
		"9000":      {9000, 9000},
		"admin":     {19000, 19000},
		"19000":     {19000, 19000},
		"metrics":   {19001, 19001},
		"19003":     {19003, 19003},
	} {
		if have, err := d.port(in, pod); err != nil || have != want {
			t.Errorf("%s: %v, %v", in, have, err)
		}
	}
	for in, want := range map[string]string{
		"8080": "gateway default/eg has no port 8080; it has 80 (http-80), 443 (https-443-h3) (UDP), 443 (https-443)",
		"53":   "UDP",
		"5":    `port named "missing", which pod system/envoy has not`,
	} {
		if _, err := d.port(in, pod); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", in, err)
		}
	}
	d.gateway = nil
	for _, in := range []string{"admin", "19000", "web"} {
		if p, err := d.port(in, pod); err == nil {
			t.Errorf("a Service that is no proxy's has %s: %v", in, p)
		}
	}
	service.Spec.ClusterIP = core.ClusterIPNone
	if have, err := d.port("80", pod); err != nil || have.container != 80 {
		t.Errorf("headless: %v, %v", have, err)
	}
	d.service = nil
	if have, err := d.port("secure", pod); err != nil || have.container != 10443 {
		t.Errorf("a pod's own: %v, %v", have, err)
	}
}

// TestChoice takes the pod that has been ready longest, and none that goes away.
func TestChoice(t *testing.T) {
	pod := func(name string, ready core.ConditionStatus, since int) *core.Pod {
		return &core.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)},
			Status: core.PodStatus{Phase: core.PodRunning, Conditions: []core.PodCondition{{
				Type: core.PodReady, Status: ready, LastTransitionTime: metav1.Unix(int64(since), 0),
			}}},
		}
	}
	young, old := pod("young", core.ConditionTrue, 200), pod("old", core.ConditionTrue, 100)
	unready, leaving := pod("unready", core.ConditionFalse, 1), pod("leaving", core.ConditionTrue, 2)
	leaving.DeletionTimestamp = &metav1.Time{}
	s := newPodSet()
	s.set(func() { s.pods = map[types.UID]*core.Pod{"1": young, "2": unready, "3": old, "4": leaving} })
	f := &forwarder{dest: &destination{}, pods: s}
	list, _, _ := s.state()
	if p := f.choose(list, 0); p != old {
		t.Errorf("first: %v", p.Name)
	}
	if p := f.choose(list, 1); p != young {
		t.Errorf("after a failure: %v", p.Name)
	}
	s.set(func() { s.pods = map[types.UID]*core.Pod{"2": unready, "4": leaving} })
	list, _, _ = s.state()
	if p := f.choose(list, 0); p != nil {
		t.Errorf("of none that are ready: %v", p.Name)
	}
	f.lenient = true
	if p := f.choose(list, 0); p != unready {
		t.Errorf("for the admin port: %v", p)
	}
}

func TestListen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	f := &forwarder{dest: &destination{}, Options: Options{
		Addresses: []string{"localhost"}, Ports: []Port{{port, "80"}},
	}}
	if _, err := f.listen(context.Background(), nil); err == nil || !strings.Contains(err.Error(), "the port is taken; :80 takes any that is free") {
		t.Errorf("%v", err)
	}
	f.Options.Ports = []Port{{0, "80"}, {0, "81"}}
	f.Options.Addresses = []string{"127.0.0.1", "localhost", "127.0.0.2"}
	open, err := f.listen(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ports := map[uint16]map[uint16]bool{}
	for _, l := range open {
		defer l.Close()
		if ports[l.opened.Container] == nil {
			ports[l.opened.Container] = map[uint16]bool{}
		}
		ports[l.opened.Container][l.opened.Local.Port()] = true
	}
	if len(open) < 4 || len(ports[80]) != 1 || len(ports[81]) != 1 {
		t.Errorf("each port is to have one number on all addresses: %v", ports)
	}
	for _, bad := range []string{"example.com", "1.2.3", ""} {
		if err := ParseAddress(bad); err == nil {
			t.Errorf("%q is taken for an address", bad)
		}
	}
}

// TestHeldConnection waits for the pod that comes, as a client would not do by
// itself.
func TestHeldConnection(t *testing.T) {
	f := &forwarder{dest: &destination{}, swapped: make(chan struct{})}
	got := make(chan *link)
	go func() {
		l, err := f.current(context.Background())
		if err != nil {
			t.Error(err)
		}
		got <- l
	}()
	select {
	case <-got:
		t.Fatal("there is no link yet")
	case <-time.After(20 * time.Millisecond):
	}
	l := &link{}
	f.swap(l)
	if <-got != l {
		t.Error("another link")
	}
}
