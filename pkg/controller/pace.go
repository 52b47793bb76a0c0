package controller

import (
	"context"
	"time"
)

// maxPause is the longest that a change waits for others to join it.
const maxPause = 250 * time.Millisecond

// pace spreads updates: one after quiet starts at once; in a burst each waits as
// long as the last one took, so that updates use at most about half of a CPU and
// what arrives meanwhile is done together.
type pace struct {
	ended time.Time
	took  time.Duration
}

func (p *pace) spent(took time.Duration) { p.ended, p.took = time.Now(), took }

// wait returns when the next update may start.
func (p *pace) wait(ctx context.Context) {
	pause := min(p.took, maxPause) - time.Since(p.ended)
	if pause <= 0 {
		return
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
