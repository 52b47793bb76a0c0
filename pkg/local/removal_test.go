package local_test

import (
	"strings"
	"testing"
	"time"

	"github.com/egctl/egctl/internal/testenvoy"
)

// TestAGatewayComesBack takes a Gateway away and puts it back, once while its
// proxy still drains and once after. Neither may matter to the other Gateway.
func TestAGatewayComesBack(t *testing.T) {
	other := strings.ReplaceAll(strings.ReplaceAll(base[strings.Index(base, "---"):], "name: eg}", "name: other}"), "HTTP_PORT", "PORT_OF_other")
	g := start(t, []string{"one", "two"}, map[string]string{
		"base.yaml": base, "one.yaml": backend("one"), "two.yaml": backend("two"),
		"web.yaml": webRoute("web", "web.example.com", "one", 1),
	})
	g.backends["other"] = testenvoy.FreePort(t)
	for name, pause := range map[string]time.Duration{"at once": 0, "after its drain": 1500 * time.Millisecond} {
		g.write("other.yaml", other)
		listens := "Gateway default/other listens on"
		said := strings.Count(g.errs.String(), listens)
		g.eventually("other "+name, func() bool { return strings.Count(g.errs.String(), listens) > said })

		ended := strings.Count(g.errs.String(), "default/other no longer listens")
		g.remove("other.yaml")
		g.eventually("its end", func() bool { return strings.Count(g.errs.String(), "default/other no longer listens") > ended })
		time.Sleep(pause)
		said = strings.Count(g.errs.String(), listens)
		g.write("other.yaml", other)
		g.eventually("its return "+name, func() bool { return strings.Count(g.errs.String(), listens) > said })

		for _, pod := range []string{"two", "one"} {
			g.write("web.yaml", webRoute("web", "web.example.com", pod, 1))
			g.eventually("an edit for the Gateway that stayed", func() bool { _, seen := g.get("web.example.com", "/"); return seen.Pod == pod })
		}
		g.remove("other.yaml")
		g.eventually("its end", func() bool { return strings.Count(g.errs.String(), "default/other no longer listens") > ended+1 })
	}
}
