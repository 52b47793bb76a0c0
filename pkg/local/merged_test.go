package local_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/egctl/egctl/internal/testenvoy"
)

// TestMergedGateways runs two Gateways as one process, and breaks the EnvoyProxy
// that says so: both go on, and still learn of routes.
func TestMergedGateways(t *testing.T) {
	other := testenvoy.FreePort(t)
	class, first, _ := strings.Cut(base, "---")
	class = strings.TrimSpace(class)
	class = strings.TrimSuffix(class, "}") + `, parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: proxy, namespace: default}}`
	proxy := func(spec string) string {
		return "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyProxy\nmetadata: {name: proxy}\nspec: " + spec
	}
	second := strings.ReplaceAll(first, "metadata: {name: eg}", "metadata: {name: second}")
	second = strings.ReplaceAll(second, "HTTP_PORT", fmt.Sprint(other))
	onSecond := func(host string) string {
		return strings.Replace(webRoute("other", host, "one", 1), "parentRefs: [{name: eg}]", "parentRefs: [{name: second}]", 1)
	}
	g := start(t, []string{"one"}, map[string]string{
		"class.yaml": class, "proxy.yaml": proxy("{mergeGateways: true}"), "first.yaml": first, "second.yaml": second,
		"one.yaml": backend("one"), "web.yaml": webRoute("web", "web.example.com", "one", 1), "other.yaml": onSecond("other.example.com"),
	})
	two := &gateway{t: t, port: other, errs: g.errs}
	answers := func(at *gateway, host string) func() bool {
		return func() bool { status, _ := at.get(host, "/"); return status == 200 }
	}
	g.eventually("the first", answers(g, "web.example.com"))
	g.eventually("the second", answers(two, "other.example.com"))
	pid := listenerPID(t, g.port)
	if b := listenerPID(t, other); pid != b {
		t.Errorf("processes %d and %d serve Gateways that are merged", pid, b)
	}
	if status, _ := g.get("other.example.com", "/"); status != 404 {
		t.Errorf("the first Gateway answers %d for a route of the second, want 404", status)
	}
	l := startLoad(fmt.Sprintf("http://127.0.0.1:%d/", g.port), "web.example.com", nil)
	g.write("proxy.yaml", proxy("{mergeGateways: true, mergeBackends: {}}"))
	g.eventually("the fault", func() bool { return strings.Contains(g.errs.String(), "mergeBackends") })
	g.write("other.yaml", onSecond("new.example.com"))
	g.eventually("a route under invalid parameters", answers(two, "new.example.com"))
	if sent, failed := l.stop(); sent == 0 || len(failed) > 0 {
		t.Errorf("of %d requests failed %v", sent, failed)
	}
	if now := listenerPID(t, g.port); now != pid {
		t.Errorf("process %d has taken the place of %d", now, pid)
	}
}
