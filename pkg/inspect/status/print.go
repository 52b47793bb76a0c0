package status

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"sigs.k8s.io/yaml"
)

const gap = "   "

// Printer writes tables. The zero value is ready; it remembers the widths of its
// columns, so that rows that come later stand below the first.
type Printer struct {
	W io.Writer
	// Verbose adds the messages of what is not fine, hints, and remarks.
	Verbose bool

	widths []int
}

// Table writes a table with its header.
func (p *Printer) Table(t Table) error {
	p.widths = make([]int, len(t.Columns))
	for i, c := range t.Columns {
		p.widths[i] = len(c)
	}
	for _, r := range t.Rows {
		p.fit(r)
	}
	w := bufio.NewWriter(p.W)
	p.line(w, t.Columns)
	for _, r := range t.Rows {
		p.row(w, r)
	}
	return flush(w)
}

// Row writes a row below the table that was written last.
func (p *Printer) Row(r Row) error {
	p.fit(r)
	w := bufio.NewWriter(p.W)
	p.row(w, r)
	return flush(w)
}

func flush(w *bufio.Writer) error {
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

func (p *Printer) fit(r Row) {
	for len(p.widths) < len(r.Cells) {
		p.widths = append(p.widths, 0)
	}
	for i, c := range r.Cells {
		p.widths[i] = max(p.widths[i], utf8.RuneCountInString(c))
	}
}

func (p *Printer) row(w *bufio.Writer, r Row) {
	p.line(w, r.Cells)
	if p.Verbose {
		writeIssues(w, "    ", slices.Concat(r.Issues, r.Remarks))
	}
}

func (p *Printer) line(w *bufio.Writer, cells []string) {
	last := len(cells) - 1
	for last > 0 && cells[last] == "" {
		last--
	}
	for i, c := range cells[:last+1] {
		w.WriteString(c)
		if i < last {
			for range p.widths[i] - utf8.RuneCountInString(c) {
				w.WriteByte(' ')
			}
			w.WriteString(gap)
		}
	}
	w.WriteByte('\n')
}

// writeIssues writes what is not fine, why, and what to do. What to do about several
// in a row is said once.
func writeIssues(w *bufio.Writer, indent string, list []Issue) {
	for n, i := range list {
		writeIssue(w, indent, i)
		if i.Reason == "NoResources" && slices.ContainsFunc(list, Issue.ofProxies) {
			continue // the hint is to look at what is here
		}
		if h := i.Hint(); h != "" && (n == len(list)-1 || list[n+1].Hint() != h) {
			w.WriteString(indent + "  hint: " + h + "\n")
		}
	}
}

func writeIssue(w *bufio.Writer, indent string, i Issue) {
	w.WriteString(indent)
	if i.On != "" {
		w.WriteString(i.On + ": ")
	}
	w.WriteString(i.Type + "=" + i.Status)
	if i.Reason != "" {
		w.WriteString(", " + i.Reason)
	}
	if m := strings.TrimSpace(i.Message); m != "" {
		w.WriteString(": " + strings.ReplaceAll(m, "\n", "\n"+indent+"  "))
	}
	w.WriteByte('\n')
}

// Document is objects with nothing but their status, for programs.
type Document struct {
	APIVersion string             `json:"apiVersion"`
	Kind       string             `json:"kind"`
	Items      []DocumentedObject `json:"items"`
}

// DocumentedObject is an object in a [Document].
type DocumentedObject struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Metadata   DocumentMetadata `json:"metadata"`
	Status     json.RawMessage  `json:"status,omitempty"`
}

// DocumentMetadata says which object it is, and which version of it a status
// should be about.
type DocumentMetadata struct {
	Name       string `json:"name"`
	Namespace  string `json:"namespace,omitempty"`
	Generation int64  `json:"generation,omitempty"`
}

// NewDocument lists the objects of tables, which were read with their raw
// status.
func NewDocument(tables []Table) Document {
	d := Document{APIVersion: "v1", Kind: "List", Items: []DocumentedObject{}}
	for _, t := range tables {
		for _, r := range t.Rows {
			o := r.Object
			d.Items = append(d.Items, DocumentedObject{
				APIVersion: t.Resource.Group + "/" + t.Resource.Version, Kind: t.Resource.Kind,
				Metadata: DocumentMetadata{Name: o.Metadata.Name, Namespace: o.Metadata.Namespace, Generation: o.Metadata.Generation},
				Status:   o.Raw,
			})
		}
	}
	return d
}

// Write writes a document, or any part of one, as "json" or "yaml".
func Write(w io.Writer, format string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err == nil && format == "yaml" {
		b, err = yaml.JSONToYAML(b)
	} else {
		b = append(b, '\n')
	}
	if err != nil {
		return fmt.Errorf("encode as %s: %w", format, err)
	}
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// WriteNames writes the objects of tables as kubectl names them.
func WriteNames(w io.Writer, tables []Table) error {
	b := bufio.NewWriter(w)
	for _, t := range tables {
		for _, r := range t.Rows {
			b.WriteString(t.Resource.Name() + "." + t.Resource.Group + "/" + r.Object.Metadata.Name + "\n")
		}
	}
	return flush(b)
}
