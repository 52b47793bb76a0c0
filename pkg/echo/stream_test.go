package echo

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	xwebsocket "golang.org/x/net/websocket"
)

func TestWebSocketEchoesMessages(t *testing.T) {
	s := start(t, HTTP)
	conn, _, err := websocket.Dial(t.Context(), "ws://"+s.Addr(HTTP).String()+"/ws", &websocket.DialOptions{
		Subprotocols: []string{"chat"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	conn.SetReadLimit(-1)
	if conn.Subprotocol() != "chat" {
		t.Errorf("subprotocol %q", conn.Subprotocol())
	}
	for _, m := range []struct {
		kind websocket.MessageType
		body []byte
	}{
		{websocket.MessageText, []byte("hello")},
		{websocket.MessageBinary, []byte{0, 1, 255}},
		{websocket.MessageText, nil},
		{websocket.MessageBinary, bytes.Repeat([]byte("long"), 100_000)},
	} {
		if err := conn.Write(t.Context(), m.kind, m.body); err != nil {
			t.Fatal(err)
		}
		kind, body, err := conn.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if kind != m.kind || !bytes.Equal(body, m.body) {
			t.Errorf("%v of %d bytes came back as %v of %d", m.kind, len(m.body), kind, len(body))
		}
	}
	if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("close: %v", err)
	}
}

// The conformance suite's client is this one, and sends a foreign Origin.
func TestWebSocketWithTheClientOfTheConformanceSuite(t *testing.T) {
	s := start(t, HTTP)
	conn, err := xwebsocket.Dial("ws://"+s.Addr(HTTP).String()+"/ws", "", "ws://www.example.com/")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, sent := range []string{"text", "more"} {
		if err := xwebsocket.Message.Send(conn, sent); err != nil {
			t.Fatal(err)
		}
		var got string
		if err := xwebsocket.Message.Receive(conn, &got); err != nil || got != sent {
			t.Fatalf("%q, %v; want %q", got, err, sent)
		}
	}
}

func TestTCPAnswersLines(t *testing.T) {
	s := start(t, TCP, TLS)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CertificatePEM())
	for _, encrypted := range []bool{false, true} {
		t.Run(fmt.Sprint("TLS ", encrypted), func(t *testing.T) {
			var conn net.Conn
			var err error
			if encrypted {
				conn, err = tls.Dial("tcp", s.Addr(TLS).String(), &tls.Config{RootCAs: roots, ServerName: "cart"})
			} else {
				conn, err = net.Dial("tcp", s.Addr(TCP).String())
			}
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewReader(conn)
			expect := func(want string) {
				t.Helper()
				if got, err := lines.ReadString('\n'); err != nil || got != want {
					t.Fatalf("line %q, %v; want %q", got, err, want)
				}
			}
			expect("Gateway API Test TCP Server\n")
			fmt.Fprint(conn, "PING\nIS_TLS\nanything else\r\n")
			expect("PONG\n")
			expect(fmt.Sprintf("%t\n", encrypted))
			expect("anything else\n")

			fmt.Fprint(conn, "TEST\n")
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			var got TCPResponse
			if err := json.Unmarshal([]byte(line), &got); err != nil {
				t.Fatal(err)
			}
			if got.Identity != identity || got.TCPPort != port(t, s.Addr(TCP)) || got.TLSPort != port(t, s.Addr(TLS)) || got.IsTLS != encrypted {
				t.Errorf("answer %+v", got)
			}
			if encrypted && (got.TLS == nil || got.TLS.ServerName != "cart" || got.TLS.Version != "TLS 1.3") {
				t.Errorf("TLS told as %+v", got.TLS)
			}
			if !encrypted && strings.Contains(line, `"tls"`) {
				t.Errorf("in the clear, and yet %s", line)
			}
		})
	}
}

func TestUDPAnswersDatagrams(t *testing.T) {
	s := start(t, UDP)
	conn, err := net.Dial("udp", s.Addr(UDP).String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, payload := range []string{"hello\n", "", "\xff\x00", strings.Repeat("x", 8000)} {
		if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(payload)); err != nil {
			t.Fatal(err)
		}
		buffer := make([]byte, 65_535)
		n, err := conn.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		var got UDPResponse
		if err := json.Unmarshal(buffer[:n], &got); err != nil {
			t.Fatalf("%v in %q", err, buffer[:n])
		}
		if got.Request != strings.ToValidUTF8(payload, "\uFFFD") || got.Identity != identity {
			t.Errorf("%q was answered with %+v", payload, got)
		}
	}
}
