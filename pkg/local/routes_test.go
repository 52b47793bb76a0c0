package local_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/egctl/egctl/pkg/echo"
)

// TestRoutesCarryTraffic sends traffic of every kind through one gateway.
func TestRoutesCarryTraffic(t *testing.T) {
	r := startRouted(t)
	web := "web.example.com"

	t.Run("HTTPRoute", func(t *testing.T) {
		for name, tc := range map[string]struct {
			method, path string
			header       map[string]string
			status       int
			check        func(*http.Response, echo.Response) bool
		}{
			"plain": {"GET", "/a?b=c", nil, 200, func(_ *http.Response, s echo.Response) bool { return s.Path == "/a?b=c" && s.Host == web }},
			"headers": {"GET", "/headers", map[string]string{"x-set": "client", "x-add": "some", "x-remove": "x"}, 200, func(a *http.Response, s echo.Response) bool {
				return s.Headers.Get("x-set") == "gateway" && strings.Join(s.Headers.Values("x-add"), ",") == "some,more" &&
					s.Headers.Get("x-remove") == "" && a.Header.Get("x-answer") == "gateway"
			}},
			"rewrite": {"GET", "/old/page?x=1", nil, 200, func(_ *http.Response, s echo.Response) bool {
				return s.Path == "/new/page?x=1" && s.Host == "new.example.com"
			}},
			"redirect": {"GET", "/moved/here", nil, 301, func(a *http.Response, _ echo.Response) bool {
				return a.Header.Get("Location") == "https://there.example.com/moved/here"
			}},
			"mirror":   {"GET", "/mirrored", nil, 200, func(_ *http.Response, s echo.Response) bool { return s.Pod == "one" }},
			"match":    {"POST", "/exact?q=1", map[string]string{"x-color": "red"}, 200, func(_ *http.Response, s echo.Response) bool { return s.Pod == "two" && s.Method == "POST" }},
			"no match": {"POST", "/exact?q=2", map[string]string{"x-color": "red"}, 200, func(_ *http.Response, s echo.Response) bool { return s.Pod == "one" }},
			"h2c":      {"GET", "/h2c", nil, 200, func(_ *http.Response, s echo.Response) bool { return s.Proto == "HTTP/2.0" }},
			"BackendTLSPolicy": {"GET", "/tls", nil, 200, func(_ *http.Response, s echo.Response) bool {
				return s.TLS != nil && s.TLS.ServerName == "one.default.svc"
			}},
			"missing backend": {"GET", "/missing", nil, 500, func(*http.Response, echo.Response) bool { return true }},
		} {
			t.Run(name, func(t *testing.T) {
				resp, seen := r.ask(t, tc.method, r.url("http", tc.path), web, tc.header)
				if resp.StatusCode != tc.status || !tc.check(resp, seen) {
					t.Errorf("got %s %v\nthe backend saw %+v", resp.Status, resp.Header, seen)
				}
			})
		}
	})

	t.Run("the mirrored request arrives", func(t *testing.T) {
		r.ask(t, "GET", r.url("http", "/mirrored/too"), web, nil)
		r.eventually("the copy", func() bool { return strings.Contains(r.heard.String(), "path=/mirrored/too") })
	})
	t.Run("weights", func(t *testing.T) {
		pods := map[string]int{}
		for range 60 {
			_, seen := r.ask(t, "GET", r.url("http", "/weighted"), web, nil)
			pods[seen.Pod]++
		}
		if pods["one"] < 5 || pods["two"] < 5 || pods["one"]+pods["two"] != 60 {
			t.Errorf("60 requests went to %v", pods)
		}
	})

	t.Run("HTTPS", func(t *testing.T) {
		url := fmt.Sprintf("https://127.0.0.1:%d/", r.ports["https"])
		for name, tc := range map[string]struct {
			sni, host string
			status    int
		}{
			"own name":                     {web, web, 200},
			"the other listener":           {"other.example.com", "other.example.com", 200},
			"misdirected":                  {"other.example.com", web, 421},
			"misdirected, the other way":   {web, "other.example.com", 421},
			"unknown name of the listener": {"unknown.example.com", "unknown.example.com", 404},
		} {
			t.Run(name, func(t *testing.T) {
				resp, _ := r.ask(t, "GET", url, tc.host, map[string]string{"sni": tc.sni})
				if resp.StatusCode != tc.status {
					t.Errorf("got %s, want %d", resp.Status, tc.status)
				}
				if leaf := resp.TLS.PeerCertificates[0]; leaf.VerifyHostname(tc.sni) != nil {
					t.Errorf("the certificate for %s is %v", tc.sni, leaf.DNSNames)
				}
			})
		}
	})

	t.Run("ListenerSet", func(t *testing.T) {
		if resp, seen := r.ask(t, "GET", r.url("set", "/"), "any.example.com", nil); resp.StatusCode != 200 || seen.Pod != "two" {
			t.Errorf("got %s from %q", resp.Status, seen.Pod)
		}
	})
	t.Run("privileged port", func(t *testing.T) {
		if resp, seen := r.ask(t, "GET", r.url("privileged", "/"), web, nil); resp.StatusCode != 200 || seen.Pod != "one" {
			t.Errorf("got %s from %q", resp.Status, seen.Pod)
		}
		r.eventually("the announcement", func() bool {
			return strings.Contains(r.errs.String(), fmt.Sprintf("127.0.0.1:%d (for port %d", r.ports["privileged"], r.ports["privileged"]-10000))
		})
	})
	t.Run("WebSocket", func(t *testing.T) { r.webSocket(t) })
	t.Run("GRPCRoute", func(t *testing.T) { r.grpc(t) })
	t.Run("TCPRoute", func(t *testing.T) {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.ports["tcp"]))
		if err != nil {
			t.Fatal(err)
		}
		if got := talk(t, conn); got.Pod != "two" || got.IsTLS {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("TLSRoute passes through", func(t *testing.T) {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(r.one.CertificatePEM())
		conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.ports["pass"]), &tls.Config{RootCAs: roots, ServerName: "one.default.svc"})
		if err != nil {
			t.Fatal(err)
		}
		if got := talk(t, conn); got.Pod != "one" || !got.IsTLS {
			t.Errorf("got %+v", got)
		}
		if _, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.ports["pass"]), &tls.Config{RootCAs: roots, ServerName: "one"}); err == nil {
			t.Error("a name of no route was served")
		}
	})
	t.Run("TLSRoute terminates", func(t *testing.T) {
		conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.ports["term"]), &tls.Config{RootCAs: r.roots, ServerName: web})
		if err != nil {
			t.Fatal(err)
		}
		if got := talk(t, conn); got.Pod != "one" || got.IsTLS {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("UDPRoute", func(t *testing.T) { r.udp(t) })
}

// talk speaks with the TCP echo and returns what it says of itself.
func talk(t *testing.T, conn net.Conn) echo.TCPResponse {
	t.Helper()
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "TEST\n"); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	if line, err := in.ReadString('\n'); err != nil || line != echo.TCPWelcome {
		t.Fatalf("the welcome is %q, %v", line, err)
	}
	line, err := in.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var got echo.TCPResponse
	if err := json.Unmarshal([]byte(line), &got); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return got
}

func (r *routed) webSocket(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, strings.Replace(r.url("http", "/ws"), "http:", "ws:", 1), &websocket.DialOptions{Host: "web.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	for _, text := range []string{"hello", strings.Repeat("long ", 1000)} {
		if err := conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := conn.Read(ctx); err != nil || string(got) != text {
			t.Fatalf("got %q, %v", got, err)
		}
	}
}

func (r *routed) grpc(t *testing.T) {
	conn, err := grpc.NewClient(fmt.Sprintf("passthrough:///127.0.0.1:%d", r.ports["http"]),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("grpc.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), "x-client", "me"), 30*time.Second)
	defer cancel()
	const service = "/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/"
	// What is unknown in an Empty keeps the answer's bytes, in which the test
	// looks for words.
	answer := &emptypb.Empty{}
	if err := conn.Invoke(ctx, service+"Echo", &emptypb.Empty{}, answer); err != nil {
		t.Fatal(err)
	}
	got := string(answer.ProtoReflect().GetUnknown())
	for _, want := range []string{service + "Echo", "grpc.example.com", "x-client", "x-set", "gateway", "one"} {
		if !strings.Contains(got, want) {
			t.Errorf("the answer has no %q: %q", want, got)
		}
	}
	if err := conn.Invoke(ctx, service+"EchoTwo", &emptypb.Empty{}, answer); status.Code(err) != codes.Unimplemented {
		t.Errorf("a method that no rule matches got %v", err)
	}
}

// udp asks until an answer comes: a datagram may be lost.
func (r *routed) udp(t *testing.T) {
	conn, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", r.ports["udp"]))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	buffer := make([]byte, 65535)
	for range 30 {
		if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "ping"); err != nil {
			continue
		}
		n, err := conn.Read(buffer)
		if err != nil {
			continue
		}
		var got echo.UDPResponse
		if err := json.Unmarshal(buffer[:n], &got); err != nil || got.Request != "ping" || got.Pod != "two" {
			t.Errorf("got %q, %v", buffer[:n], err)
		}
		return
	}
	t.Error("no answer")
}
