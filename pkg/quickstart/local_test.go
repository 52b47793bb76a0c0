package quickstart_test

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/egctl/egctl/pkg/quickstart"
)

// TestOnceWithoutAnswer ends a quickstart before its answer: a script that asked
// for one must not take that for success, a person's Ctrl-C is none's failure.
func TestOnceWithoutAnswer(t *testing.T) {
	for once, fails := range map[bool]bool{true: true, false: false} {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		err := quickstart.Local(ctx, quickstart.LocalOptions{
			Envoy: filepath.Join(t.TempDir(), "none"), Once: once,
			Out: io.Discard, Err: io.Discard, Logger: slog.New(slog.DiscardHandler),
		})
		if (err != nil) != fails {
			t.Errorf("once %v: %v", once, err)
		}
	}
}
