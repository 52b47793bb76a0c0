package progress

import (
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

type clock struct{ t time.Time }

func (c *clock) now() time.Time          { return c.t }
func (c *clock) advance(d time.Duration) { c.t = c.t.Add(d) }

// scenarios are played through both renderings.
var scenarios = map[string]func(r Reporter, c *clock){
	"download": func(r Reporter, c *clock) {
		t := r.Start("fetching envoy-1.40.0-linux-x86_64", 106_905_560)
		for range 30 {
			c.advance(400 * time.Millisecond)
			t.Add(3_500_000)
			c.advance(10 * time.Millisecond)
			t.Add(1_000) // too soon after the last to be shown
		}
		t.Done(nil)
		t.Add(1)
		t.Done(errors.New("ended twice"))
	},
	"slower": func(r Reporter, c *clock) {
		t := r.Start("fetching", 20_000_000)
		for range 6 {
			c.advance(time.Second)
			t.Add(2_000_000)
		}
		for range 12 {
			c.advance(time.Second)
			t.Add(100_000)
		}
		t.Done(nil)
	},
	"failed": func(r Reporter, c *clock) {
		t := r.Start("fetching", 2_000_000)
		c.advance(6 * time.Second)
		t.Add(1_500)
		t.Add(-1_500) // the transfer starts again
		c.advance(6 * time.Second)
		t.Add(500)
		t.Done(errors.New("connection reset"))
	},
	"no size": func(r Reporter, c *clock) {
		t := r.Start("waiting for another egctl that fetches Envoy", 0)
		c.advance(3200 * time.Millisecond)
		t.Done(nil)
		t = r.Start("fetching with a name that is far longer than any terminal line should ever have to be", 0)
		c.advance(7 * time.Second)
		t.Add(5_000_000)
		c.advance(12 * time.Second)
		t.Done(nil)
	},
}

func TestRenderings(t *testing.T) {
	renderings := map[string]func(io.Writer, func() time.Time) Reporter{"terminal": Terminal, "text": Text}
	for rendering, newReporter := range renderings {
		for name, play := range scenarios {
			t.Run(rendering+"/"+name, func(t *testing.T) {
				c := &clock{t: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
				var out strings.Builder
				play(newReporter(&out, c.now), c)
				// Readable goldens: what a terminal would obey is spelled out.
				got := strings.ReplaceAll(out.String(), clearLine, "<clear>")
				got = strings.ReplaceAll(got, "<clear>", "\n<clear>")
				golden(t, rendering+"-"+strings.ReplaceAll(name, " ", "-")+".txt", strings.TrimPrefix(got, "\n"))
			})
		}
	}
}

func TestTerminalEndsAsOneLine(t *testing.T) {
	c := &clock{t: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	var out strings.Builder
	scenarios["download"](Terminal(&out, c.now), c)
	// What stays on the screen is what follows the last erased line.
	screen := out.String()[strings.LastIndex(out.String(), clearLine)+len(clearLine):]
	if want := "fetching envoy-1.40.0-linux-x86_64: 105.0 MB in 12s (8.5 MB/s)\n"; screen != want {
		t.Errorf("the screen ends with %q, want %q", screen, want)
	}
	if n := strings.Count(out.String(), "\n"); n != 1 {
		t.Errorf("%d line feeds, want 1: a redrawn line must stay on its row", n)
	}
}

func TestForPipeIsPlainText(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	task := For(w).Start("fetching", 1000)
	task.Add(1000)
	task.Done(nil)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(string(got), "\r\x1b") {
		t.Errorf("a pipe got terminal control characters: %q", got)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (run with -update to write it)", err)
	}
	if got != string(want) {
		t.Errorf("%s differs (run with -update to accept)\n got:\n%s\nwant:\n%s", name, got, want)
	}
}
