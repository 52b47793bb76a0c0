package progress

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// textEvery bounds how many lines a long task leaves in a log.
const textEvery = 5 * time.Second

// Text reports in plain lines: one at the start, then at most one every five
// seconds, and one at the end. now is the clock.
func Text(w io.Writer, now func() time.Time) Reporter {
	return textReporter{out: &output{w: w}, now: now}
}

type textReporter struct {
	out *output
	now func() time.Time
}

func (r textReporter) Start(name string, total int64) Task {
	now := r.now()
	t := &textTask{r: r, printed: now, meter: meter{name: name, total: total, started: now}}
	t.rate(now) // the first sample, from which the first speed is counted
	if total > 0 {
		r.out.print(fmt.Sprintf("%s (%s)\n", name, bytes(total)))
	} else {
		r.out.print(name + "\n")
	}
	return t
}

type textTask struct {
	mu sync.Mutex
	r  textReporter
	meter
	printed time.Time
}

func (t *textTask) Add(n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done += n
	now := t.r.now()
	if t.ended || now.Sub(t.printed) < textEvery {
		return
	}
	t.printed = now
	rate := t.rate(now)
	line := t.name + ": " + bytes(t.done)
	if t.total > 0 {
		line += fmt.Sprintf(" of %s (%d%%)", bytes(t.total), t.done*100/t.total)
	}
	if rate > 0 {
		line += fmt.Sprintf(", %s/s", bytes(int64(rate)))
	}
	if left, ok := t.left(rate); ok {
		line += fmt.Sprintf(", about %s left", left)
	}
	t.r.out.print(line + "\n")
}

func (t *textTask) Done(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return
	}
	t.ended = true
	t.r.out.print(t.summary(t.r.now(), err) + "\n")
}
