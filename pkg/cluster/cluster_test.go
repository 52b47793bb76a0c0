package cluster

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/config"
)

func configuration(controller string) string {
	return "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyGateway\ngateway: {controllerName: example.com/" + controller + "}\n"
}

// TestReload demands that the newest configuration comes into force, whenever it is
// written: also before the file is followed, and while the work with an older one
// still ends.
func TestReload(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(configuration("one"))
	file := config.NewFile(path)
	current, _, err := file.Load()
	if err != nil {
		t.Fatal(err)
	}
	write(configuration("two"))
	log := NewLog(t.Output())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	last := errors.New("the last word")
	next, err := untilReload(ctx, file, current, log, func(ctx context.Context, c *v1alpha1.EnvoyGateway) error {
		if c.Gateway.ControllerName != "example.com/one" {
			t.Errorf("works with %s", c.Gateway.ControllerName)
		}
		<-ctx.Done()
		return last
	})
	if next == nil || next.Gateway.ControllerName != "example.com/two" || !errors.Is(err, last) {
		t.Fatalf("got %+v, %v", next, err)
	}

	// What cannot be used ends nothing, and work that ends by itself is the end.
	started := make(chan struct{})
	go func() {
		<-started
		_ = os.WriteFile(path, []byte("gateway: nonsense\n"), 0o600)
	}()
	end := errors.New("out of luck")
	next, err = untilReload(ctx, file, next, log, func(ctx context.Context, _ *v1alpha1.EnvoyGateway) error {
		close(started)
		select {
		case <-ctx.Done():
			t.Error("a configuration that cannot be used ended the work")
		case <-time.After(time.Second):
		}
		return end
	})
	if next != nil || !errors.Is(err, end) {
		t.Errorf("got %+v, %v", next, err)
	}
}

// TestServerLeavesNothing demands that a server which ends closes its port and its
// connections, also those with a request that never ends.
func TestServerLeavesNothing(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	asked, hang := make(chan struct{}), make(chan struct{})
	defer close(hang)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() {
		over <- listenAndServe(ctx, "a test", address, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(asked); <-hang }))
	}()
	answered := make(chan error, 1)
	go func() {
		for {
			resp, err := http.Get("http://" + address)
			if err != nil && strings.Contains(err.Error(), "refused") {
				time.Sleep(10 * time.Millisecond)
				continue
			}
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			answered <- err
			return
		}
	}()
	<-asked
	cancel()
	if err := <-over; err != nil {
		t.Errorf("ended with %v", err)
	}
	select {
	case err := <-answered:
		if err == nil {
			t.Error("the request was answered")
		}
	case <-time.After(5 * time.Second):
		t.Error("the connection is still open")
	}
	again, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	_ = again.Close()
}

// TestAlwaysLeading demands that a controller which needs no election tries again
// what failed.
func TestAlwaysLeading(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	leads, leading := 0, false
	e := &election{Retry: time.Millisecond, Leading: func(yes bool) { leading = yes }, Logger: NewLog(t.Output()).For(v1alpha1.LogComponentDefault)}
	e.always(ctx, func(context.Context) error {
		if !leading {
			t.Error("it leads without saying so")
		}
		if leads++; leads < 3 {
			return errors.New("no answer")
		}
		cancel()
		return nil
	})
	if leads != 3 || leading {
		t.Errorf("led %d times, leading: %v", leads, leading)
	}
}
