// Package output prints findings for people and for programs: as lines of
// text, as JSON, and as SARIF for code review tools.
package output

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/manifest"
)

// Positioner knows where the field of an object stands. A [manifest.Set] does.
type Positioner interface {
	Position(o finding.Object, path string) (manifest.Position, bool)
}

// Nowhere is for findings about objects that did not come from files.
type Nowhere struct{}

// Position knows no position.
func (Nowhere) Position(finding.Object, string) (manifest.Position, bool) {
	return manifest.Position{}, false
}

var (
	_ Positioner = (*manifest.Set)(nil)
	_ Positioner = Nowhere{}
)

// The colours of severities on a terminal, and back.
const (
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	blue   = "\x1b[36m"
	plain  = "\x1b[0m"
)

// Text writes one line a finding:
//
//	routes.yaml:12:5: error EG1020: HTTPRoute default/web: spec.hostnames[0]: message; hint
//
// Colour is for terminals; the caller knows whether w is one.
func Text(w io.Writer, findings []finding.Finding, where Positioner, colour bool) error {
	for _, f := range findings {
		var b strings.Builder
		if p, ok := where.Position(f.Object, f.Path); ok {
			fmt.Fprintf(&b, "%s:%d:%d: ", p.File, p.Line, p.Column)
		}
		line := oneLine(f.String())
		if colour {
			line = colourOf(f.Severity) + f.Severity.String() + plain + strings.TrimPrefix(line, f.Severity.String())
		}
		b.WriteString(line)
		b.WriteByte('\n')
		if _, err := io.WriteString(w, b.String()); err != nil {
			return fmt.Errorf("write findings: %w", err)
		}
	}
	return nil
}

// oneLine keeps a finding to its line, and what came from foreign files from
// steering the terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0:
			return '\uFFFD'
		}
		return r
	}, s)
}

func colourOf(s finding.Severity) string {
	switch s {
	case finding.Error:
		return red
	case finding.Warning:
		return yellow
	default:
		return blue
	}
}

// positioned is a finding in JSON. The position is left out when unknown.
type positioned struct {
	finding.Finding
	Position *manifest.Position `json:"position,omitempty"`
}

// JSON writes a list of findings with their positions; an empty list when there are none.
func JSON(w io.Writer, findings []finding.Finding, where Positioner) error {
	list := make([]positioned, len(findings))
	for i, f := range findings {
		list[i].Finding = f
		if p, ok := where.Position(f.Object, f.Path); ok {
			list[i].Position = &p
		}
	}
	return encode(w, list)
}

func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write findings: %w", err)
	}
	return nil
}
