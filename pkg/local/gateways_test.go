package local_test

import (
	"fmt"
	"maps"
	"net"
	"strings"
	"testing"

	"github.com/egctl/egctl/internal/testenvoy"
)

// TestTwoGateways proves that Gateways do not share a fate: each has an Envoy of
// its own, and the end of one is nothing to the other.
func TestTwoGateways(t *testing.T) {
	other := testenvoy.FreePort(t)
	second := strings.ReplaceAll(base[strings.Index(base, "---"):], "metadata: {name: eg}", "metadata: {name: second}")
	second = strings.ReplaceAll(second, "HTTP_PORT", fmt.Sprint(other))
	files := map[string]string{
		"base.yaml": base, "one.yaml": backend("one"), "second.yaml": second,
		"web.yaml":   webRoute("web", "web.example.com", "one", 1),
		"other.yaml": strings.Replace(webRoute("other", "web.example.com", "one", 1), "parentRefs: [{name: eg}]", "parentRefs: [{name: second}]", 1),
	}
	g := start(t, []string{"one"}, files)
	two := &gateway{t: t, port: other, errs: g.errs}
	g.eventually("both", func() bool {
		a, _ := g.get("web.example.com", "/")
		b, _ := two.get("web.example.com", "/")
		return a == 200 && b == 200
	})
	if a, b := listenerPID(t, g.port), listenerPID(t, other); a == b {
		t.Errorf("one process, %d, serves both", a)
	}
	l := startLoad(fmt.Sprintf("http://127.0.0.1:%d/", g.port), "web.example.com", nil)
	g.remove("second.yaml")
	g.eventually("the end of the second", func() bool {
		return strings.Contains(g.errs.String(), "second no longer listens") && refusesConnections(other)
	})
	g.write("second.yaml", second)
	g.eventually("the second again", func() bool { s, _ := two.get("web.example.com", "/"); return s == 200 })
	sent, failed := l.stop()
	if sent == 0 || len(failed) > 0 {
		t.Errorf("of %d requests to the first failed %v", sent, failed)
	}
}

func refusesConnections(port int) bool {
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err == nil {
		c.Close()
	}
	return err != nil
}

// TestPortTaken runs a gateway one of whose ports another program has: it is
// said where it is written, the other port is served, and the taken one is as
// soon as it is free.
func TestPortTaken(t *testing.T) {
	squatter, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer squatter.Close()
	port := squatter.Addr().(*net.TCPAddr).Port
	g := start(t, []string{"one"}, map[string]string{
		"base.yaml": base + fmt.Sprintf("  - {name: taken, protocol: HTTP, port: %d}\n", port),
		"one.yaml":  backend("one"), "web.yaml": webRoute("web", "web.example.com", "one", 1),
	})
	g.eventually("the free port", func() bool { s, _ := g.get("web.example.com", "/"); return s == 200 })
	g.eventually("the complaint", func() bool { return strings.Contains(g.errs.String(), "base.yaml:14:") })
	said := g.errs.String()
	for _, want := range []string{"error EG6001", "spec.listeners[1].port", fmt.Sprintf("port %d", port), "Address already in use", fmt.Sprintf("listens on 127.0.0.1:%d\n", g.port)} {
		if !strings.Contains(said, want) {
			t.Errorf("there is no %q in:\n%s", want, said)
		}
	}
	// An edit elsewhere in the Gateway does not settle it.
	g.write("base.yaml", base+fmt.Sprintf("  - {name: taken, protocol: HTTP, port: %d}\n  - {name: third, protocol: HTTP, port: %d}\n", port, testenvoy.FreePort(t)))
	g.eventually("the third listener", func() bool { return strings.Count(g.errs.String(), "listens on") == 2 })
	if strings.Contains(g.errs.String(), "settled") {
		t.Errorf("settled, while the port is taken:\n%s", g.errs)
	}
	squatter.Close()
	two := &gateway{t: t, port: port, errs: g.errs}
	g.eventually("the freed port", func() bool { s, _ := two.get("web.example.com", "/"); return s == 200 })
	g.eventually("the all-clear", func() bool { return strings.Contains(g.errs.String(), "settled: EG6001") })
}

// TestPortIsNotShared runs two gateways on one port: the second must say so and
// not take half of the first one's connections.
func TestPortIsNotShared(t *testing.T) {
	files := map[string]string{"base.yaml": base, "one.yaml": backend("one"), "web.yaml": webRoute("web", "web.example.com", "one", 1)}
	first := start(t, []string{"one"}, files)
	more := maps.Clone(files)
	more["base.yaml"] = strings.ReplaceAll(base, "HTTP_PORT", fmt.Sprint(first.port)) + "  - {name: own, protocol: HTTP, port: HTTP_PORT}\n"
	second := start(t, []string{"one"}, more)
	second.eventually("the complaint", func() bool {
		return strings.Contains(second.errs.String(), fmt.Sprintf("port %d: cannot bind", first.port))
	})
	pid := listenerPID(t, first.port)
	first.stop()
	second.eventually("the port to pass on", func() bool { return !refusesConnections(first.port) && listenerPID(t, first.port) != pid })
}
