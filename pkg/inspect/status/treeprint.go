package status

import (
	"bufio"
	"io"
	"slices"
	"strings"
)

// TreePrint says how a tree is written.
type TreePrint struct {
	// Verbose adds messages, hints and remarks, Quiet leaves out what is fine with all that
	// hangs on it.
	Verbose, Quiet bool
}

// WriteTree writes trees.
func WriteTree(w io.Writer, roots []*Node, p TreePrint) error {
	b := bufio.NewWriter(w)
	for _, r := range p.shown(roots) {
		p.node(b, r, "", "")
	}
	return flush(b)
}

func (p TreePrint) shown(list []*Node) []*Node {
	if !p.Quiet {
		return list
	}
	var bad []*Node
	for _, n := range list {
		if n.Verdict != Fine {
			bad = append(bad, n)
		}
	}
	return bad
}

// node writes a line after first, and what hangs on it after rest.
func (p TreePrint) node(w *bufio.Writer, n *Node, first, rest string) {
	w.WriteString(first + n.Label)
	if n.Info != "" {
		w.WriteString("  " + n.Info)
	}
	if len(n.Issues) > 0 && !p.Verbose {
		var said []string
		for _, i := range n.Issues {
			said = append(said, i.short())
		}
		w.WriteString("  [" + strings.Join(said, "; ") + "]")
	}
	w.WriteByte('\n')
	children := p.shown(n.Children)
	if p.Verbose {
		indent := rest + "   "
		if len(children) > 0 {
			indent = rest + "│  "
		}
		writeIssues(w, indent, slices.Concat(n.Issues, n.Remarks))
	}
	for i, c := range children {
		if i == len(children)-1 {
			p.node(w, c, rest+"└─ ", rest+"   ")
		} else {
			p.node(w, c, rest+"├─ ", rest+"│  ")
		}
	}
}
