package controller

import (
	"context"
	"errors"
	"testing"

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
