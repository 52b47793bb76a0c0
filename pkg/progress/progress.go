// Package progress tells a person how far a long task is. A terminal gets one
// line that is redrawn and collapses when the task is done; a pipe or a log
// file gets few plain lines that read well afterwards.
package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// Reporter starts tasks. It may be used by several goroutines; a terminal has
// one line to redraw, so tasks that overlap in time share it turn by turn.
type Reporter interface {
	// Start announces a task. name is a phrase such as "fetching envoy-1.40.0";
	// total is its size in bytes, 0 when unknown or when it is not about bytes.
	Start(name string, total int64) Task
}

// Task is one task that a [Reporter] started.
type Task interface {
	// Add says that n more bytes are done. A negative n takes bytes back, for
	// a transfer that has to start again.
	Add(n int64)
	// Done ends the task, with the error that ended it or nil. Calls after the
	// first do nothing.
	Done(err error)
}

// For returns the reporter that suits w: [Terminal] for a terminal, [Text] for
// anything else.
func For(w io.Writer) Reporter {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		width := func() int {
			if cols, _, err := term.GetSize(int(f.Fd())); err == nil {
				return cols
			}
			return defaultWidth
		}
		return terminalReporter{out: &output{w: w}, now: time.Now, width: width}
	}
	return Text(w, time.Now)
}

// None returns a reporter that says nothing.
func None() Reporter { return silent{} }

type silent struct{}

func (silent) Start(string, int64) Task { return silent{} }
func (silent) Add(int64)                {}
func (silent) Done(error)               {}

// output serialises the writes of all tasks of one reporter.
type output struct {
	mu sync.Mutex
	w  io.Writer
}

// print ignores a failed write: progress that cannot be shown must not end the
// work that it tells about.
func (o *output) print(s string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, _ = io.WriteString(o.w, s)
}

// meter counts a task's bytes and estimates its speed.
type meter struct {
	name    string
	total   int64
	done    int64
	started time.Time
	samples []sample
	ended   bool
}

type sample struct {
	at   time.Time
	done int64
}

// window is how far back the shown speed looks: long enough not to flicker,
// short enough to show that a transfer slows down.
const window = 5 * time.Second

// rate samples the meter and returns bytes per second over the last window, 0
// when nothing can be said yet.
func (m *meter) rate(now time.Time) float64 {
	m.samples = append(m.samples, sample{now, m.done})
	for len(m.samples) > 2 && now.Sub(m.samples[0].at) > window {
		m.samples = m.samples[1:]
	}
	first := m.samples[0]
	span := now.Sub(first.at).Seconds()
	if span <= 0 || m.done <= first.done {
		return 0
	}
	return float64(m.done-first.done) / span
}

// left returns the estimated time to the end, and whether there is one.
func (m *meter) left(rate float64) (time.Duration, bool) {
	if rate <= 0 || m.total <= m.done {
		return 0, false
	}
	return time.Duration(float64(m.total-m.done) / rate * float64(time.Second)).Round(time.Second), true
}

// summary is the line that stays when the task is over.
func (m *meter) summary(now time.Time, err error) string {
	elapsed := now.Sub(m.started)
	switch {
	case err != nil && m.done > 0:
		return fmt.Sprintf("%s: failed after %s: %v", m.name, bytes(m.done), err)
	case err != nil:
		return fmt.Sprintf("%s: failed: %v", m.name, err)
	case m.done > 0 && elapsed > 0:
		return fmt.Sprintf("%s: %s in %s (%s/s)", m.name, bytes(m.done), short(elapsed), bytes(int64(float64(m.done)/elapsed.Seconds())))
	default:
		return fmt.Sprintf("%s: done in %s", m.name, short(elapsed))
	}
}

// bytes writes n in decimal units, as download pages and disk makers do.
func bytes(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	default:
		return fmt.Sprintf("%d B", n)
	}
}

func short(d time.Duration) string {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
