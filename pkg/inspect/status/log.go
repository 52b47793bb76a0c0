package status

import (
	"io"
	"slices"
	"time"
)

// Log prints rows as objects change, below tables that were printed before.
type Log struct {
	w       *World
	table   TableOptions
	options LogOptions
	printer Printer
	out     io.Writer
	shown   map[string][]string // the cells that were printed last
	last    int                 // the resource of the last row
}

// LogOptions say what a [Log] prints.
type LogOptions struct {
	// Verbose adds messages; Quiet leaves out what is fine and was fine before.
	Verbose, Quiet bool
}

// NewLog returns a log of the changes after a world whose tables have been printed
// with the same options.
func NewLog(out io.Writer, w *World, table TableOptions, o LogOptions) *Log {
	l := &Log{w: w, table: table, options: o, out: out, shown: map[string][]string{}, last: -1}
	for i, r := range w.Resources {
		for _, ob := range w.Objects[i] {
			row := NewRow(r, ob, table)
			if !o.Quiet || row.Verdict != Fine {
				l.shown[l.key(i, ob)] = l.stable(r, row.Cells)
				l.last = i
			}
		}
	}
	if l.last >= 0 {
		l.head()
	}
	return l
}

func (l *Log) key(resource int, o *Object) string {
	return l.w.Resources[resource].Plural + "/" + o.id()
}

// stable is a row without what changes by itself.
func (l *Log) stable(r Resource, cells []string) []string {
	age := slices.Index(columns(r, l.table), "AGE")
	return slices.Delete(slices.Clone(cells), age, age+1)
}

// head makes the printer write rows like those of the last table.
func (l *Log) head() {
	r := l.w.Resources[l.last]
	l.printer = Printer{W: io.Discard, Verbose: l.options.Verbose}
	table := NewTable(r, l.w.Objects[l.last], l.table)
	if l.options.Quiet {
		table = table.Only()
	}
	_ = l.printer.Table(table) // for its widths; io.Discard does not fail
	l.printer.W = l.out
}

// Write prints the objects of changes whose row is another than before.
func (l *Log) Write(changes []Change, now time.Time) error {
	l.table.Now = now
	for _, c := range changes {
		r := l.w.Resources[c.Resource]
		row := NewRow(r, c.Object, l.table)
		key := l.key(c.Resource, c.Object)
		before, was := l.shown[key]
		if c.Gone {
			if !was {
				continue
			}
			delete(l.shown, key)
			row.Cells[len(row.Cells)-1], row.Issues = "deleted", nil
		} else {
			cells := l.stable(r, row.Cells)
			if was && slices.Equal(before, cells) || !was && l.options.Quiet && row.Verdict == Fine {
				continue
			}
			if l.options.Quiet && row.Verdict == Fine {
				delete(l.shown, key) // it is said once that it has become fine
			} else {
				l.shown[key] = cells
			}
		}
		if l.last != c.Resource {
			l.last = c.Resource
			l.printer = Printer{W: l.out, Verbose: l.options.Verbose}
			if _, err := io.WriteString(l.out, "\n"); err != nil {
				return err
			}
			if err := l.printer.Table(Table{Resource: r, Columns: columns(r, l.table), Rows: []Row{row}}); err != nil {
				return err
			}
			continue
		}
		if err := l.printer.Row(row); err != nil {
			return err
		}
	}
	return nil
}
