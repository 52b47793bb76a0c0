package echo

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestStartFailsWhole(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()

	_, err = Start(t.Context(), Options{Addresses: map[Protocol]string{HTTP: free.Addr().String(), TCP: taken.Addr().String()}})
	if err == nil || !strings.Contains(err.Error(), "listen for tcp") {
		t.Errorf("error %v, want one that names tcp", err)
	}
	again, err := net.Listen("tcp", free.Addr().String())
	if err != nil {
		t.Fatalf("the other listener stayed open: %v", err)
	}
	again.Close()

	for _, addresses := range []map[Protocol]string{nil, {HTTP: ""}, {"quic": ":0"}} {
		if _, err := Start(t.Context(), Options{Addresses: addresses}); err == nil {
			t.Errorf("%v: no error", addresses)
		}
	}
}

func TestShutdownFinishesRequestsUnderWay(t *testing.T) {
	for _, tc := range []struct {
		name     string
		protocol Protocol
		scheme   string
		version  func(*http.Protocols)
	}{
		{"HTTP/1.1", HTTP, "http", http1},
		{"HTTP/2 in the clear", HTTP, "http", h2c},
		{"HTTP/2 over TLS", HTTPS, "https", http2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := start(t, tc.protocol)
			c := client(t, s, tc.version)
			url := tc.scheme + "://" + s.Addr(tc.protocol).String()
			got := make(chan error, 1)
			request, err := http.NewRequestWithContext(t.Context(), "GET", url+"/?delay=400ms", nil)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				response, err := c.Do(request)
				if err == nil {
					_, err = io.Copy(io.Discard, response.Body)
					response.Body.Close()
				}
				got <- err
			}()
			time.Sleep(150 * time.Millisecond) // it is under way now
			if err := s.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if err := <-got; err != nil {
				t.Errorf("the request under way failed: %v", err)
			}
			if _, err := net.Dial("tcp", s.Addr(tc.protocol).String()); err == nil {
				t.Error("the listener is still open")
			}
		})
	}
}

func TestShutdownCutsOffWhenTimeIsUp(t *testing.T) {
	s := start(t, HTTP)
	request, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.Addr(HTTP).String()+"/?delay=1m", nil)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error, 1)
	c := client(t, s, http1)
	go func() {
		response, err := c.Do(request)
		if err == nil {
			response.Body.Close()
		}
		got <- err
	}()
	time.Sleep(100 * time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the deadline's", err)
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	if err := <-got; err == nil {
		t.Error("the request was answered")
	}
}

func TestShutdownEndsIdleConnections(t *testing.T) {
	s := start(t, HTTP, TCP, TLS)
	ws, _, err := websocket.Dial(t.Context(), "ws://"+s.Addr(HTTP).String()+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	conn, err := net.Dial("tcp", s.Addr(TCP).String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	reader := bufio.NewReader(conn)
	if _, err := reader.ReadString('\n'); err != nil {
		t.Fatal(err)
	}

	goodbye := make(chan error, 1)
	go func() {
		_, _, err := ws.Read(t.Context())
		goodbye <- err
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	begin := time.Now()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	if err := <-goodbye; websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the WebSocket ended with %v, want status going away", err)
	}
	if _, err := reader.ReadString('\n'); !errors.Is(err, io.EOF) {
		t.Errorf("the TCP connection ended with %v, want EOF", err)
	}
}

func TestWaitTellsOfAFailedListener(t *testing.T) {
	s, err := Start(t.Context(), Options{Addresses: map[Protocol]string{HTTP: "127.0.0.1:0", UDP: "127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, svc := range s.services {
		if h, ok := svc.(*httpService); ok {
			h.listener.Close()
		}
	}
	if err := s.Wait(); err == nil {
		t.Error("no error")
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Errorf("a shutdown afterwards: %v", err)
	}
}
