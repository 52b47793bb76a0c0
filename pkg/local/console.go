package local

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/egctl/egctl/pkg/controller/source/file"
	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/finding/output"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

// console tells a person what changed: findings that appeared, with file and
// line, and how many are gone.
type console struct {
	w     io.Writer
	color bool

	mu      sync.Mutex
	where   func() output.Positioner
	reading []finding.Finding // of the files
	notes   []string
	reports map[store.Key][]finding.Finding
}

func newConsole(w io.Writer, color bool) *console {
	return &console{w: w, color: color, where: func() output.Positioner { return output.Nowhere{} }, reports: map[store.Key][]finding.Finding{}}
}

// say prints a line.
func (c *console) say(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(c.w, format+"\n", args...)
}

// loaded is told what the files say.
func (c *console) loaded(l file.Load) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.where = func() output.Positioner { return l.Set() }
	for _, n := range l.Notes {
		if !slices.Contains(c.notes, n) {
			fmt.Fprintln(c.w, n)
		}
	}
	c.notes = l.Notes
	now := finding.Sort(slices.Clone(l.Findings))
	c.print(c.reading, now)
	c.reading = now
}

// Report is told what the translator says.
func (c *console) Report(reports map[store.Key]translate.Report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range slices.SortedFunc(maps.Keys(reports), store.Key.Compare) {
		r := reports[k]
		c.print(c.reports[k], r.Findings)
		if r.Findings == nil {
			delete(c.reports, k)
		} else {
			c.reports[k] = r.Findings
		}
	}
}

// print shows what appeared and what is settled. Findings of severity info are
// for those who ask (egctl translate), not for a console that runs for days.
func (c *console) print(before, now []finding.Finding) {
	worth := func(list []finding.Finding, than []finding.Finding) []finding.Finding {
		var out []finding.Finding
		for _, f := range list {
			if f.Severity > finding.Info && !slices.Contains(than, f) {
				out = append(out, f)
			}
		}
		return out
	}
	if fresh := worth(now, before); len(fresh) > 0 {
		if err := output.Text(c.w, fresh, c.where(), c.color); err != nil {
			return // a console that is gone cannot be told so
		}
	}
	for _, f := range worth(before, now) {
		fmt.Fprintf(c.w, "settled: %s %s\n", f.Code, f.Object)
	}
}
