package envoy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// TestStopDrains: a request that is under way when Envoy is stopped gets its
// answer, with the hint to close the connection.
func TestStopDrains(t *testing.T) {
	t.Parallel()
	arrived, answer := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(answer) })
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-answer
		_, _ = io.WriteString(w, "late but whole")
	}))
	defer upstream.Close()
	defer release()
	cfg := config(t, upstream.Listener.Addr().String())
	cfg.DrainTime = 20 * time.Second
	p := start(t, cfg)
	ready(t, p)
	pid := p.State().PID

	type outcome struct {
		body  string
		close bool
		err   error
	}
	answers := make(chan outcome, 1)
	url := "http://" + listener(t, p) + "/slow"
	go func() {
		resp, err := http.Get(url)
		if err != nil {
			answers <- outcome{err: err}
			return
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		answers <- outcome{string(body), resp.Close, err}
	}()
	<-arrived
	begin := time.Now()
	stopped := make(chan error, 1)
	go func() { stopped <- p.Stop(t.Context()) }()
	eventually(t, "draining", 10*time.Second, func() bool { return p.State().Phase == Draining })
	eventually(t, "the health check fails", 10*time.Second, func() bool {
		_, err := p.Admin().Get(t.Context(), "/ready")
		return err != nil
	})
	select {
	case err := <-stopped:
		t.Fatalf("Stop returned (%v) while a request was under way", err)
	case <-time.After(300 * time.Millisecond):
	}
	release()
	if a := <-answers; a.err != nil || a.body != "late but whole" || !a.close {
		t.Errorf("the request under way got %+v, want the whole answer and a closed connection", a)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Stop: %v", err)
	}
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("Stop took %s: it is to end when the last connection does", d)
	}
	if running(pid) {
		t.Errorf("Envoy %d still runs", pid)
	}
	if err := p.Wait(); err != nil || p.State().Err != nil {
		t.Errorf("Wait: %v, state %+v", err, p.State())
	}
}

// TestStopIsBounded: a connection that never ends holds Envoy up for DrainTime,
// or until the context of Stop ends, and no longer.
func TestStopIsBounded(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer upstream.Close()
	cases := map[string]struct {
		drain, patience time.Duration
		err             error
	}{
		"drain time": {500 * time.Millisecond, time.Minute, nil},
		"context":    {time.Minute, 500 * time.Millisecond, context.DeadlineExceeded},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t, upstream.Listener.Addr().String())
			cfg.DrainTime = c.drain
			p := start(t, cfg)
			ready(t, p)
			pid := p.State().PID
			conn, err := net.Dial("tcp", listener(t, p))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			eventually(t, "Envoy counts the connection", 10*time.Second, func() bool {
				n, err := p.Admin().ActiveConnections(t.Context())
				return err == nil && n == 1
			})
			ctx, cancel := context.WithTimeout(t.Context(), c.patience)
			defer cancel()
			begin := time.Now()
			if err := p.Stop(ctx); !errors.Is(err, c.err) {
				t.Errorf("Stop: %v, want %v", err, c.err)
			}
			if d := time.Since(begin); d < 400*time.Millisecond || d > 4*time.Second {
				t.Errorf("Stop took %s, want about 500ms", d)
			}
			if p.State().Err == nil {
				t.Error("the state does not say that connections were cut")
			}
			if running(pid) {
				t.Errorf("Envoy %d still runs", pid)
			}
		})
	}
}
