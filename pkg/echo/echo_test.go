package echo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

var identity = Identity{Namespace: "shop", Ingress: "eg", Service: "cart", Pod: "cart-0"}

// start serves the given protocols on free ports of this machine.
func start(t *testing.T, protocols ...Protocol) *Server {
	t.Helper()
	opts := Options{Identity: identity, Addresses: map[Protocol]string{}}
	for _, p := range protocols {
		opts.Addresses[p] = "127.0.0.1:0"
	}
	s, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := s.Wait(); err != nil {
			t.Errorf("wait: %v", err)
		}
	})
	return s
}

// client speaks one version of HTTP and trusts s.
func client(t *testing.T, s *Server, set func(*http.Protocols)) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	set(transport.Protocols)
	if pem := s.CertificatePEM(); pem != nil {
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			t.Fatalf("not a certificate: %s", pem)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, ServerName: "cart.shop.svc"}
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		Timeout:       5 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func http1(p *http.Protocols) { p.SetHTTP1(true) }
func http2(p *http.Protocols) { p.SetHTTP2(true) }
func h2c(p *http.Protocols)   { p.SetUnencryptedHTTP2(true) }

// do sends a request and reads the whole answer.
func do(t *testing.T, c *http.Client, method, url string, header http.Header) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		request.Header[name] = values
	}
	if host := header.Get("Host"); host != "" {
		request.Host = host
	}
	response, err := c.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

func port(t *testing.T, a net.Addr) string {
	t.Helper()
	_, port, err := net.SplitHostPort(a.String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func TestHTTPAnswersWithWhatItSaw(t *testing.T) {
	s := start(t, HTTP, H2C, HTTPS)
	for _, tc := range []struct {
		name     string
		protocol Protocol
		scheme   string
		version  func(*http.Protocols)
		proto    string
		alpn     string
	}{
		{"HTTP/1.1", HTTP, "http", http1, "HTTP/1.1", ""},
		{"HTTP/2 in the clear, same port", HTTP, "http", h2c, "HTTP/2.0", ""},
		{"HTTP/2 in the clear, its own port", H2C, "http", h2c, "HTTP/2.0", ""},
		{"HTTP/1.1 over TLS", HTTPS, "https", http1, "HTTP/1.1", ""}, // this client offers no ALPN
		{"HTTP/2 over TLS", HTTPS, "https", http2, "HTTP/2.0", "h2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			url := tc.scheme + "://" + s.Addr(tc.protocol).String() + "/a//b/../c?x=%20"
			response, body := do(t, client(t, s, tc.version), "PUT", url,
				http.Header{"Host": {"www.example.com"}, "X-Team": {"one", "two"}})
			if response.StatusCode != 200 {
				t.Fatalf("status %d: %s", response.StatusCode, body)
			}
			if ct := response.Header.Get("Content-Type"); ct != "application/json" {
				t.Errorf("content type %q", ct)
			}
			var got Response
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatalf("%v in %s", err, body)
			}
			if got.Path != "/a//b/../c?x=%20" || got.Host != "www.example.com" || got.Method != "PUT" || got.Proto != tc.proto {
				t.Errorf("request told as %+v", got)
			}
			if team := got.Headers["X-Team"]; len(team) != 2 || team[0] != "one" || team[1] != "two" {
				t.Errorf("headers told as %v", got.Headers)
			}
			if got.Identity != identity {
				t.Errorf("identity %+v, want %+v", got.Identity, identity)
			}
			if want := port(t, s.Addr(HTTP)); got.HTTPPort != want {
				t.Errorf("httpPort %q, want %q", got.HTTPPort, want)
			}
			if tc.scheme == "http" {
				if got.TLS != nil {
					t.Errorf("in the clear, and yet TLS %+v", got.TLS)
				}
				return
			}
			if got.TLS == nil || got.TLS.Version != "TLSv1.3" || got.TLS.ServerName != "cart.shop.svc" ||
				got.TLS.NegotiatedProtocol != tc.alpn || !strings.HasPrefix(got.TLS.CipherSuite, "TLS_") {
				t.Errorf("TLS told as %+v", got.TLS)
			}
		})
	}
}

// The conformance suite, and others' scripts, read these very names.
func TestHTTPAnswerHasTheNamesOfEchoBasic(t *testing.T) {
	s := start(t, HTTPS)
	_, body := do(t, client(t, s, http1), "GET", "https://"+s.Addr(HTTPS).String()+"/", nil)
	var got map[string]any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"path", "host", "method", "proto", "headers", "httpPort", "namespace", "ingress", "service", "pod", "tls"} {
		if _, ok := got[name]; !ok {
			t.Errorf("no %q in %s", name, body)
		}
	}
	if len(got) != 11 {
		t.Errorf("%d names, want 11: %s", len(got), body)
	}
}

func TestH2COnlyPortRefusesHTTP1(t *testing.T) {
	s := start(t, H2C)
	response, body := do(t, client(t, s, http1), "GET", "http://"+s.Addr(H2C).String()+"/", nil)
	if response.StatusCode != 400 || !strings.Contains(body, "Expected h2c") {
		t.Errorf("status %d: %s", response.StatusCode, body)
	}
}

func TestPathsAndParameters(t *testing.T) {
	s := start(t, HTTP)
	for _, tc := range []struct {
		path, method string
		header       http.Header
		status       int
		body         string
		want         http.Header
	}{
		{path: "/health", status: 200, body: "OK"},
		{path: "/status/204", status: 204},
		{path: "//status/503", status: 503},
		{path: "/status/301", header: http.Header{"X-Echo-Set-Header": {"Location: /there"}}, status: 301,
			want: http.Header{"Location": {"/there"}}},
		{path: "/status/abc", status: 400, body: "abc"},
		{path: "/status/101", status: 400, body: "final"},
		{path: "/status/1000", status: 400, body: "final"},
		{path: "/status/", status: 400, body: "final"},
		{path: "/?delay=soon", status: 500, body: "delay"},
		{path: "/?delay=-1s", status: 200, body: "delay=-1s"},
		{path: "/", status: 200, body: `"method": "GET"`,
			header: http.Header{"X-Echo-Set-Header": {"X-One: 1, X-Two:2,,", "X-One: 3"}},
			want:   http.Header{"X-One": {"1,3"}, "X-Two": {"2"}}},
		{path: "/", method: "HEAD", status: 200},
		{path: "/retry/x?succeedAfter=1", status: 400, body: "uuid"},
		{path: "/retry/x?uuid=a", status: 400, body: "succeedAfter"},
		{path: "/retry/x?uuid=a&succeedAfter=1&responseCode=99", status: 400, body: "responseCode"},
	} {
		t.Run(tc.method+tc.path, func(t *testing.T) {
			method := tc.method
			if method == "" {
				method = "GET"
			}
			response, body := do(t, client(t, s, http1), method, "http://"+s.Addr(HTTP).String()+tc.path, tc.header)
			if response.StatusCode != tc.status || !strings.Contains(body, tc.body) {
				t.Errorf("status %d, want %d; body %q, want %q in it", response.StatusCode, tc.status, body, tc.body)
			}
			for name, want := range tc.want {
				if got := response.Header[name]; len(got) != 1 || got[0] != want[0] {
					t.Errorf("header %s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestDelayHoldsTheAnswerBack(t *testing.T) {
	s := start(t, HTTP)
	begin := time.Now()
	do(t, client(t, s, http1), "GET", "http://"+s.Addr(HTTP).String()+"/?delay=150ms", nil)
	if took := time.Since(begin); took < 150*time.Millisecond {
		t.Errorf("answered after %v", took)
	}
}

func TestRetryFailsUntilItSucceeds(t *testing.T) {
	s := start(t, HTTP)
	base := "http://" + s.Addr(HTTP).String() + "/retry/x?succeedAfter=2"
	c := client(t, s, http1)
	for i, want := range []int{503, 503, 200, 200} {
		if response, _ := do(t, c, "GET", base+"&responseCode=503&uuid=codes", nil); response.StatusCode != want {
			t.Errorf("attempt %d: status %d, want %d", i+1, response.StatusCode, want)
		}
	}
	// POST, because Go's client repeats a GET by itself when a connection breaks.
	for _, version := range []struct {
		name string
		set  func(*http.Protocols)
	}{{"http1", http1}, {"h2c", h2c}} {
		c := client(t, s, version.set)
		for i, fails := range []bool{true, true, false} {
			request, err := http.NewRequestWithContext(t.Context(), "POST", base+"&uuid="+version.name, strings.NewReader("x"))
			if err != nil {
				t.Fatal(err)
			}
			response, err := c.Do(request)
			if err == nil {
				response.Body.Close()
			}
			if (err != nil) != fails {
				t.Errorf("%s, attempt %d: error %v, want one: %v", version.name, i+1, err, fails)
			}
		}
	}
}

func TestRetryForgetsTheOldest(t *testing.T) {
	r := newRetries()
	r.fail("first", 1)
	if r.fail("first", 1) {
		t.Fatal("the second attempt fails too")
	}
	for i := range maxRetries {
		r.fail(string(rune('a'+i%26))+time.Duration(i).String(), 1)
	}
	if len(r.attempts) != maxRetries || len(r.order) != maxRetries {
		t.Errorf("%d attempts and %d in order are remembered, want %d", len(r.attempts), len(r.order), maxRetries)
	}
	if !r.fail("first", 1) {
		t.Error("the oldest is still remembered")
	}
}
