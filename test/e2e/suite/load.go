package suite

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// LoadOptions say what a load is.
type LoadOptions struct {
	// Address is an IP address with a port.
	Address string
	// Hosts are asked in turn, each at Path ("/" if empty).
	Hosts []string
	Path  string
	// Concurrency is how many requests are under way at once, 4 if 0.
	Concurrency int
	// Pause is the time between two requests of one client: 5 ms if 0, so that the
	// load leaves something of a small machine to what is tested.
	Pause time.Duration
	// NewConnections makes one for each request. Otherwise each client has its own
	// and keeps it.
	NewConnections bool
}

// Load is requests under way. Every answer but 200 is a failure.
type Load struct {
	cancel  context.CancelFunc
	clients sync.WaitGroup
	sent    atomic.Int64

	mutex    sync.Mutex
	failures map[string]int
	first    time.Time
	began    time.Time
}

// StartLoad sends requests until Stop or the end of the test.
func (s *Suite) StartLoad(t *testing.T, o LoadOptions) *Load {
	t.Helper()
	if o.Concurrency == 0 {
		o.Concurrency = 4
	}
	if o.Pause == 0 {
		o.Pause = 5 * time.Millisecond
	}
	if o.Path == "" {
		o.Path = "/"
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &Load{cancel: cancel, failures: map[string]int{}, began: time.Now()}
	for i := range o.Concurrency {
		l.clients.Go(func() {
			tr := s.transport()
			tr.DisableKeepAlives = o.NewConnections
			defer tr.CloseIdleConnections()
			for n := i; ctx.Err() == nil; n += o.Concurrency {
				l.send(ctx, tr, o, o.Hosts[n%len(o.Hosts)])
				time.Sleep(o.Pause)
			}
		})
	}
	t.Cleanup(func() { l.stop() })
	return l
}

func (l *Load) send(ctx context.Context, tr http.RoundTripper, o LoadOptions, host string) {
	// One that is under way when the load is stopped is finished.
	sending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	r, err := get(sending, tr, o.Address, host, o.Path)
	l.sent.Add(1)
	var failure string
	switch {
	case err != nil:
		failure = err.Error()
	case r.Status != http.StatusOK:
		failure = fmt.Sprintf("status %d, flags %q: %.100s", r.Status, r.Header.Get("x-envoy-response-flags"), r.Body)
	default:
		return
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.first.IsZero() {
		l.first = time.Now()
	}
	// Ports of clients would make each failure one of its own.
	if i := strings.Index(failure, ": "); strings.HasPrefix(failure, "read tcp") && i > 0 {
		failure = "read tcp" + failure[i:]
	}
	l.failures[failure]++
}

func (l *Load) stop() {
	l.cancel()
	l.clients.Wait()
}

// Sent is how many requests were answered or failed so far.
func (l *Load) Sent() int { return int(l.sent.Load()) }

// Err says how requests failed so far; nil if none did.
func (l *Load) Err() error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if len(l.failures) == 0 {
		return nil
	}
	var b strings.Builder
	for _, f := range slices.SortedFunc(maps.Keys(l.failures), func(a, b string) int { return l.failures[b] - l.failures[a] }) {
		fmt.Fprintf(&b, "\n%6d  %s", l.failures[f], f)
	}
	return fmt.Errorf("of %d requests some failed, first %s after the start at %s:%s", l.Sent(), l.first.Sub(l.began).Round(time.Millisecond), l.began.UTC().Format("15:04:05.000"), b.String())
}

// Stop ends the load, once enough requests were sent to tell. It fails the test if
// one of them failed.
func (l *Load) Stop(t *testing.T) {
	t.Helper()
	const enough = 50
	for late := time.Now().Add(time.Minute); l.Sent() < enough && l.Err() == nil && time.Now().Before(late); {
		time.Sleep(10 * time.Millisecond)
	}
	l.stop()
	if err := l.Err(); err != nil {
		t.Error(err)
	}
	if n := l.Sent(); n < enough {
		t.Errorf("only %d requests were sent, which proves nothing", n)
	}
	t.Logf("%d requests in %s", l.Sent(), time.Since(l.began).Round(time.Second))
}
