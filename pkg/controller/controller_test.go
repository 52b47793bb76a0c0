package controller

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	gateway "sigs.k8s.io/gateway-api/apis/v1"

	ads "github.com/egctl/egctl/pkg/controller/xds"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

type sourceFunc func(context.Context, func([]store.Change)) error

func (f sourceFunc) Run(ctx context.Context, emit func([]store.Change)) error { return f(ctx, emit) }

// TestBrokenSource demands that a source which fails before it has said what exists
// ends the controller, and that this never counts as an empty world: whoever waits
// for Ready removes what nobody seems to want any more.
func TestBrokenSource(t *testing.T) {
	broken := errors.New("no such server")
	for range 200 { // it would be a matter of which goroutine is faster
		c := New(Options{
			Settings: translate.DefaultSettings(), Server: ads.NewServer(ads.Options{}),
			Sources: []Source{
				sourceFunc(func(ctx context.Context, emit func([]store.Change)) error { emit(nil); <-ctx.Done(); return nil }),
				sourceFunc(func(context.Context, func([]store.Change)) error { return broken }),
			},
		})
		if err := c.Run(t.Context()); !errors.Is(err, broken) {
			t.Fatalf("ended with %v", err)
		}
		select {
		case <-c.Ready():
			t.Fatal("it claims to know everything")
		default:
		}
	}
}

// TestFlush returns when what was submitted has taken effect, and not before.
func TestFlush(t *testing.T) {
	c := New(Options{
		Settings: translate.DefaultSettings(), Server: ads.NewServer(ads.Options{}),
		Sources: []Source{sourceFunc(func(ctx context.Context, emit func([]store.Change)) error { emit(nil); <-ctx.Done(); return nil })},
	})
	var steps atomic.Int32
	c.o.Updated = func(Update) { steps.Add(1) }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	waited, stop := context.WithTimeout(ctx, 20*time.Millisecond)
	defer stop()
	if c.Flush(waited) == nil {
		t.Error("before it runs nothing takes effect")
	}
	go func() { ended <- c.Run(ctx) }()
	key := store.ID{Kind: store.GatewayClass, Name: "eg"}.Key()
	for n := range int32(50) {
		class := &gateway.GatewayClass{}
		class.Name, class.ResourceVersion, class.Generation = "eg", strconv.Itoa(int(n)), int64(n)
		c.Submit(store.Change{Key: key, Object: class})
		if err := c.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		if got := steps.Load(); got != n+1 {
			t.Fatalf("after %d changes there were %d updates", n+1, got)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
