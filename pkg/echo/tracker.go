package echo

import (
	"context"
	"io"
	"sync"
)

// tracker knows the connections that no library's shutdown knows of.
type tracker struct {
	mu       sync.Mutex
	conns    map[io.Closer]func()
	draining bool
	active   sync.WaitGroup
}

// add tracks conn until remove, and tells whether there is still time for it:
// false once drain was called. When drain is called, it calls hangUp, which
// must not block, to have conn end soon of its own accord.
func (t *tracker) add(conn io.Closer, hangUp func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.draining {
		return false
	}
	if t.conns == nil {
		t.conns = map[io.Closer]func(){}
	}
	t.conns[conn] = hangUp
	t.active.Add(1)
	return true
}

func (t *tracker) remove(conn io.Closer) {
	t.mu.Lock()
	delete(t.conns, conn)
	t.mu.Unlock()
	t.active.Done()
}

// drain hangs up every connection, waits for their removal, and closes those
// that are left when ctx is done.
func (t *tracker) drain(ctx context.Context) error {
	t.mu.Lock()
	t.draining = true
	for _, hangUp := range t.conns {
		hangUp()
	}
	t.mu.Unlock()

	done := make(chan struct{})
	go func() { t.active.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	for conn := range t.conns {
		_ = conn.Close() // it is being given up
	}
	t.mu.Unlock()
	<-done
	return ctx.Err()
}
