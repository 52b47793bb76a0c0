package controller

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestPace: the first update after quiet does not wait; in a burst each waits as
// long as the last one took, up to a limit.
func TestPace(t *testing.T) {
	for name, tc := range map[string]struct{ took, since, want time.Duration }{
		"nothing yet":      {0, 0, 0},
		"after quiet":      {20 * time.Millisecond, time.Second, 0},
		"in a burst":       {20 * time.Millisecond, 0, 20 * time.Millisecond},
		"part of the wait": {20 * time.Millisecond, 15 * time.Millisecond, 5 * time.Millisecond},
		"a long update":    {5 * time.Second, 0, maxPause},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var p pace
				p.spent(tc.took)
				time.Sleep(tc.since)
				begin := time.Now()
				p.wait(t.Context())
				if got := time.Since(begin); got != tc.want {
					t.Errorf("waited %v, want %v", got, tc.want)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var p pace
		p.spent(time.Second)
		begin := time.Now()
		if p.wait(ctx); time.Since(begin) != 0 {
			t.Error("it waits though it is to end")
		}
	})
}
