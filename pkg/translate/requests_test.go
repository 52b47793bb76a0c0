package translate_test

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"
)

func (g *proxy) slashes(t *testing.T) {
	for i, s := range slashes {
		if got := g.ask(t, fmt.Sprintf("slash%d.example.com", i), "GET "+s.path).Echo.Path; got != s.want {
			t.Errorf("%s with %s replaced by %q became %s, want %s", s.path, s.prefix, s.replacement, got, s.want)
		}
		want := fmt.Sprintf("http://x.org:80%s", s.want)
		got := g.ask(t, fmt.Sprintf("moved%d.example.com", i), "GET "+s.path).Header.Get("Location")
		if got != want && got != "http://x.org"+s.want {
			t.Errorf("%s with %s replaced by %q redirects to %s, want %s", s.path, s.prefix, s.replacement, got, want)
		}
	}
}

func (g *proxy) rewrite(t *testing.T) {
	a := g.ask(t, "rewrite.example.com", "GET /full/of/it?q=1")
	a.want(t, 200)
	if a.Echo.Path != `/a\1b?q=1` || a.Echo.Host != "one.example.org" {
		t.Errorf("got %s of %s", a.Echo.Path, a.Echo.Host)
	}
	if got := a.Echo.Header.Get("X-Forwarded-Host"); got != "rewrite.example.com" {
		t.Errorf("x-forwarded-host %q", got)
	}
}

const redirectRules = `  - {matches: [{path: {value: /host}}], filters: [{type: RequestRedirect, requestRedirect: {hostname: x.org}}]}
  - {matches: [{path: {value: /plain}}], filters: [{type: RequestRedirect, requestRedirect: {statusCode: 308}}]}
  - {matches: [{path: {value: /https}}], filters: [{type: RequestRedirect, requestRedirect: {scheme: https, statusCode: 301}}]}
  - {matches: [{path: {value: /httpshost}}], filters: [{type: RequestRedirect, requestRedirect: {scheme: https, hostname: x.org}}]}
  - {matches: [{path: {value: /port}}], filters: [{type: RequestRedirect, requestRedirect: {port: 8083, statusCode: 303}}]}
  - {matches: [{path: {value: /wellknown}}], filters: [{type: RequestRedirect, requestRedirect: {port: 80, hostname: x.org}}]}
  - {matches: [{path: {value: /httpsport}}], filters: [{type: RequestRedirect, requestRedirect: {scheme: https, port: 8443, statusCode: 307}}]}
  - {matches: [{path: {value: /full}}], filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplaceFullPath, replaceFullPath: /new}}}]}
  - {matches: [{path: {value: /empty}}], filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplaceFullPath, replaceFullPath: ''}}}]}`

func (g *proxy) redirect(t *testing.T) {
	const host = "redirect.example.com"
	here := host + ":" + g.httpPort
	for _, c := range []struct {
		path   string
		status int
		want   string
	}{
		{"/host/a?q=1", 302, "http://x.org:" + g.httpPort + "/host/a?q=1"},
		{"/plain", 308, "http://" + here + "/plain"},
		{"/https", 301, "https://" + host + ":443/https"},
		{"/httpshost", 302, "https://x.org/httpshost"},
		{"/port", 303, "http://" + host + ":8083/port"},
		{"/wellknown", 302, "http://x.org/wellknown"},
		{"/httpsport", 307, "https://" + host + ":8443/httpsport"},
		{"/full/a?q=1", 302, "http://" + here + "/new?q=1"},
		{"/empty", 302, "http://" + here + "/"},
	} {
		a := g.ask(t, here, "GET "+c.path)
		if got := a.Header.Get("Location"); a.Status != c.status || got != c.want {
			t.Errorf("%s: %d %s, want %d %s", c.path, a.Status, got, c.status, c.want)
		}
	}
}

// shares checks that weights are kept, by a weighted cluster and by routes that
// each take a fraction.
func (g *proxy) shares(t *testing.T) {
	for host, want := range map[string]map[string]float64{
		"split":   {"web /one/x": 0.25, "api /two/x": 0.5, " ": 0.25},
		"weights": {"web /x": 0.75, "api /x": 0.25},
	} {
		const n = 1200
		got := map[string]int{}
		for range n {
			a := g.ask(t, host+".example.com", "GET /x")
			if a.Status != 200 && a.Status != 500 {
				t.Fatalf("status %d", a.Status)
			}
			got[a.Echo.Backend+" "+a.Echo.Path]++
		}
		for k, share := range want {
			// Four standard deviations: wrong once in 16,000 runs.
			if dev := 4 * math.Sqrt(share*(1-share)/n); math.Abs(float64(got[k])/n-share) > dev {
				t.Errorf("%s: %q got %d of %d, want a share of %v ± %.3f", host, k, got[k], n, share, dev)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %v", host, got)
		}
	}
}

func (g *proxy) cors(t *testing.T) {
	const origin, method, headers = "Origin: ", "Access-Control-Request-Method: ", "Access-Control-Request-Headers: "
	const allow, creds = "Access-Control-Allow-Origin: ", "Access-Control-Allow-Credentials: "
	for _, c := range []struct {
		request string
		send    []string
		status  int
		want    []string
	}{
		{"OPTIONS /listed", []string{origin + "https://www.foo.com", method + "GET", headers + "x-header-1, x-header-2"}, 200, []string{
			allow + "https://www.foo.com", creds + "true", "Access-Control-Allow-Methods: GET, OPTIONS", "Access-Control-Allow-Headers: x-header-1, x-header-2",
			"Access-Control-Expose-Headers: x-header-3, x-header-4", "Access-Control-Max-Age: 3600",
		}},
		{"OPTIONS /listed", []string{origin + "https://xpto.www.bar.com", method + "GET"}, 200, []string{allow + "https://xpto.www.bar.com"}},
		{"OPTIONS /listed", []string{origin + "https://foobar.com", method + "GET"}, 200, []string{allow}},
		{"OPTIONS /listed", []string{origin + "https://www.bar.com:8443", method + "GET"}, 200, []string{allow}},
		{"OPTIONS /listed", []string{origin + "https://bar.com.evil.com", method + "GET"}, 200, []string{allow}},
		{"GET /listed", []string{origin + "https://www.foo.com"}, 200, []string{allow + "https://www.foo.com", "X-Backend: web"}},
		{"GET /listed", []string{origin + "https://foobar.com"}, 200, []string{allow, "X-Backend: web"}},
		{"OPTIONS /credentials", []string{origin + "https://other.foo.com", method + "PUT", headers + "x-header-1, x-header-2"}, 200, []string{
			allow + "https://other.foo.com", creds + "true", "Access-Control-Allow-Methods: PUT", "Access-Control-Allow-Headers: x-header-1, x-header-2",
			"Access-Control-Expose-Headers: ", "Access-Control-Max-Age: 5",
		}},
		{"OPTIONS /open", []string{origin + "https://foobar.com:12345", method + "PUT"}, 200, []string{allow + "https://foobar.com:12345", creds}},
		{"PUT /open", []string{origin + "https://foobar.com:12345"}, 200, []string{allow + "https://foobar.com:12345", creds, "X-Backend: web"}},
		{"OPTIONS /put", []string{origin + "https://a.com", method + "PUT", headers + "a,x-version,b"}, 200, []string{allow + "https://a.com"}},
		{"OPTIONS /put", []string{origin + "https://a.com", method + "PUT", headers + "x-versions"}, 404, []string{allow}},
		{"OPTIONS /put", []string{origin + "https://a.com", method + "GET", headers + "x-version"}, 404, []string{allow}},
	} {
		t.Run(strings.Join(append([]string{c.request}, c.send...), " "), func(t *testing.T) {
			g.ask(t, "cors.example.com", c.request, c.send...).want(t, c.status, c.want...)
		})
	}
}

func (g *proxy) mirrorAndHeaders(t *testing.T) {
	before := g.count("api")
	g.ask(t, "mirror.example.com", "GET /").want(t, 200, "X-Backend: web")
	eventually(t, func() bool { return g.count("api") == before+1 }, "the mirror saw no copy")

	a := g.ask(t, "headers.example.com", "GET /", "X-Set: old", "X-Add: old", "X-Remove: old")
	a.want(t, 200, "X-Set: 100%", "X-Twice: backend, gateway", "X-Backend:")
	for name, want := range map[string]string{"X-Set": "50% %PROTOCOL%", "X-Add": "old,added", "X-Remove": ""} {
		if got := strings.Join(a.Echo.Header.Values(name), ","); got != want {
			t.Errorf("backend saw %s %q, want %q", name, got, want)
		}
	}
}

func eventually(t *testing.T, ok func() bool, message string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Error(message)
}

func (g *proxy) retry(t *testing.T) {
	const host = "retry.example.com"
	g.ask(t, host, "GET /codes", "X-Id: r1", "X-Fail-First: 503").want(t, 200)
	g.ask(t, host, "GET /codes", "X-Id: r2", "X-Fail-First: 502").want(t, 502)
	g.ask(t, host, "GET /only500", "X-Id: r5", "X-Fail-First: 503").want(t, 503)
	g.ask(t, host, "GET /none", "X-Id: r3", "X-Fail-First: 503").want(t, 503)
	for range 20 {
		g.ask(t, host, "GET /connection").want(t, 200)
	}
	g.ask(t, host, "GET /slow", "X-Id: r4", "X-Sleep: 200ms").want(t, 504)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.by["r4"] != 4 {
		t.Errorf("%d attempts, want 4", g.by["r4"])
	}
}

func (g *proxy) timeouts(t *testing.T) {
	const host = "timeout.example.com"
	g.ask(t, host, "GET /request").want(t, 200)
	g.ask(t, host, "GET /request", "X-Sleep: 400ms").want(t, 504)
	g.ask(t, host, "GET /backend", "X-Sleep: 400ms").want(t, 504)
	g.ask(t, host, "GET /off", "X-Sleep: 400ms").want(t, 200)
}

func (g *proxy) broken(t *testing.T) {
	for _, path := range []string{"/missing", "/omitted", "/extension", "/zero"} {
		g.ask(t, "broken.example.com", "GET "+path).want(t, 500)
	}
	g.ask(t, "broken.example.com", "GET /nothing").want(t, 404)
	via := plainHTTP2()
	t.Cleanup(via.CloseIdleConnections)
	for _, path := range []string{"/gone/Method", "/ext/Method"} {
		ask(t, via, "http://"+g.http, "grpc.example.com", "POST "+path, "Content-Type: application/grpc", "Te: trailers").want(t, 200, "Grpc-Status: 14")
	}
}

func (g *proxy) sessions(t *testing.T) {
	fresh := map[string]bool{}
	for range 30 {
		a := g.ask(t, "sticky.example.com", "GET /")
		fresh[a.Echo.Backend] = true
		cookie := strings.Split(a.Header.Get("Set-Cookie"), ";")[0]
		if !strings.Contains(a.Header.Get("Set-Cookie"), "Path=/;") {
			t.Fatalf("cookie %q", a.Header.Get("Set-Cookie"))
		}
		h := g.ask(t, "stickyheader.example.com", "GET /")
		for range 4 {
			if again := g.ask(t, "sticky.example.com", "GET /", "Cookie: "+cookie); again.Echo.Backend != a.Echo.Backend {
				t.Fatalf("the cookie of %s led to %s", a.Echo.Backend, again.Echo.Backend)
			}
			if again := g.ask(t, "stickyheader.example.com", "GET /", "X-Session: "+h.Header.Get("X-Session")); again.Echo.Backend != h.Echo.Backend {
				t.Fatalf("the header of %s led to %s", h.Echo.Backend, again.Echo.Backend)
			}
		}
	}
	if len(fresh) != 2 {
		t.Errorf("clients without a cookie got only %v", fresh)
	}
}

func (g *proxy) authorisation(t *testing.T) {
	const host, good = "auth.example.com", "Authorization: Bearer good"
	g.ask(t, host, "GET /free").want(t, 200)
	g.ask(t, host, "GET /some").want(t, 401)
	g.ask(t, host, "GET /all", "Authorization: Bearer bad").want(t, 401)
	g.ask(t, host, "GET /down", good).want(t, 403)
	g.ask(t, host, "POST /small", good).want(t, 413)

	some := g.ask(t, host, "POST /some", good, "X-Token: t", "X-Secret: s", "X-User: mallory")
	some.want(t, 200)
	if h := some.Echo.Header; some.Echo.Body != "hello" || h.Get("X-User") != "alice" || h.Get("X-Saw") != "" {
		t.Errorf("backend saw %+v", some.Echo)
	}
	all := g.ask(t, host, "POST /all", good, "X-Token: t")
	all.want(t, 200)
	if h := all.Echo.Header; all.Echo.Body != "hello" || all.Echo.Host != host || h.Get("X-User") != "alice" || h.Get("X-Saw") != "/" || h.Get("X-Asked") != "/all" || h.Get("Date") != "" {
		t.Errorf("backend saw %+v", all.Echo)
	}
}

func (g *proxy) matches(t *testing.T) {
	for _, c := range []struct {
		host, request, header string
		status                int
	}{
		{"match.example.com", "GET /re/12", "", 200},
		{"match.example.com", "GET /re/12?q=x", "", 200},
		{"match.example.com", "GET /re/12x", "", 404},
		{"match.example.com", "GET /a/re/12", "", 404},
		{"match.example.com", "GET /prefix", "", 200},
		{"match.example.com", "GET /prefix/", "", 200},
		{"match.example.com", "GET /prefixed", "", 404},
		{"match.example.com", "GET /exact", "X-V: v1", 200},
		{"match.example.com", "GET /exact/", "X-V: v1", 404},
		{"match.example.com", "GET /exact", "X-V: v12", 404},
		{"MATCH.example.com:1234", "GET /prefix", "", 200},
		{"nowhere.example.com", "GET /prefix", "", 404},
	} {
		var headers []string
		if c.header != "" {
			headers = append(headers, c.header)
		}
		if got := g.ask(t, c.host, c.request, headers...).Status; got != c.status {
			t.Errorf("%s of %s with %q: %d, want %d", c.request, c.host, c.header, got, c.status)
		}
	}
}

// misdirected requests come over a connection for another listener's name.
func (g *proxy) misdirected(t *testing.T) {
	for _, c := range []struct {
		sni, host string
		status    int
	}{
		{"second.example.com", "second.example.com", 200},
		{"weights.example.com", "weights.example.com", 200},
		{"weights.example.com", "second.example.com", http.StatusMisdirectedRequest},
		{"second.example.com", "weights.example.com", http.StatusMisdirectedRequest},
	} {
		via := trusting(g.https, c.sni)
		if got := ask(t, via, "https://"+c.sni, c.host, "GET /").Status; got != c.status {
			t.Errorf("%s over a connection for %s: %d, want %d", c.host, c.sni, got, c.status)
		}
		via.CloseIdleConnections()
	}
}
