package progress

import (
	"fmt"
	"io"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	defaultWidth = 80
	// redrawEvery keeps the line alive without flooding a slow terminal.
	redrawEvery = 100 * time.Millisecond
	// clearLine returns to the line's start and erases it (ECMA-48 EL).
	clearLine = "\r\x1b[K"
)

// Terminal reports on one line that is redrawn with bytes, rate and time left,
// and that becomes a single line of summary at the end. now is the clock.
func Terminal(w io.Writer, now func() time.Time) Reporter {
	return terminalReporter{out: &output{w: w}, now: now, width: func() int { return defaultWidth }}
}

type terminalReporter struct {
	out   *output
	now   func() time.Time
	width func() int
}

func (r terminalReporter) Start(name string, total int64) Task {
	now := r.now()
	t := &terminalTask{r: r, meter: meter{name: name, total: total, started: now}}
	t.draw(now)
	return t
}

type terminalTask struct {
	mu sync.Mutex
	r  terminalReporter
	meter
	drawn time.Time
}

func (t *terminalTask) Add(n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done += n
	if now := t.r.now(); !t.ended && now.Sub(t.drawn) >= redrawEvery {
		t.draw(now)
	}
}

func (t *terminalTask) draw(now time.Time) {
	t.drawn = now
	line := t.name
	rate := t.rate(now)
	switch {
	case t.total > 0:
		line += fmt.Sprintf("  %s / %s  %d%%", bytes(t.done), bytes(t.total), t.done*100/t.total)
	case t.done > 0:
		line += "  " + bytes(t.done)
	default:
		line += " ..."
	}
	if rate > 0 {
		line += fmt.Sprintf("  %s/s", bytes(int64(rate)))
	}
	if left, ok := t.left(rate); ok {
		line += fmt.Sprintf("  ETA %s", left)
	}
	t.r.out.print(clearLine + clip(line, t.r.width()-1))
}

func (t *terminalTask) Done(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return
	}
	t.ended = true
	t.r.out.print(clearLine + t.summary(t.r.now(), err) + "\n")
}

// clip keeps a redrawn line on one row: a line that wraps cannot be erased.
func clip(line string, width int) string {
	if width <= 0 || utf8.RuneCountInString(line) <= width {
		return line
	}
	return string([]rune(line)[:width])
}
