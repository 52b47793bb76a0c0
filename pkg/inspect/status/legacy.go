package status

import (
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// LegacyOptions are those of the tables that Envoy Gateway's egctl prints.
type LegacyOptions struct {
	AllNamespaces bool
	// Verbose adds message, observed generation and transition time, Quiet leaves all
	// but the newest condition out.
	Verbose, Quiet bool
	// Kinds writes the kind before the name.
	Kinds bool
}

// WriteLegacy writes a line for each condition, as scripts made for Envoy Gateway
// expect it: columns of at least 10 characters with 3 between them, conditions
// from last to first, and a name on an object's first line only.
func WriteLegacy(w io.Writer, r Resource, objects []*Object, o LegacyOptions) error {
	objects = slices.Clone(objects)
	slices.SortFunc(objects, compareObjects)
	t := tabwriter.NewWriter(w, 10, 0, 3, ' ', 0)
	head := []string{"NAME"}
	if o.AllNamespaces {
		head = []string{"NAMESPACE", "NAME"}
	}
	switch r.Family {
	case Route:
		head = append(head, "PARENT")
	case Policy:
		head = append(head, "ANCESTOR REFERENCE")
	default:
	}
	head = append(head, "TYPE", "STATUS", "REASON")
	if o.Verbose {
		head = append(head, "MESSAGE", "OBSERVED GENERATION", "LAST TRANSITION TIME")
	}
	line := func(cells []string) error {
		_, err := io.WriteString(t, strings.Join(cells, "\t")+"\n")
		return err
	}
	if err := line(head); err != nil {
		return err
	}
	for _, ob := range objects {
		start := []string{ob.Metadata.Name}
		if o.Kinds {
			start[0] = r.Name() + "/" + ob.Metadata.Name
		}
		if o.AllNamespaces {
			start = []string{ob.Metadata.Namespace, start[0]}
		}
		for _, cells := range legacyLines(r.Family, ob, o) {
			if err := line(slices.Concat(start, cells)); err != nil {
				return err
			}
			clear(start)
		}
	}
	return t.Flush()
}

// legacyLines are the lines of an object, without its name.
func legacyLines(f Family, ob *Object, o LegacyOptions) [][]string {
	var lines [][]string
	add := func(start []string, list []Condition) {
		for i, c := range slices.Backward(list) {
			cells := slices.Concat(start, []string{c.Type, c.Status, c.Reason})
			if o.Verbose {
				cells = append(cells, c.Message, strconv.FormatInt(c.ObservedGeneration, 10), c.LastTransitionTime.String())
			}
			lines = append(lines, cells)
			if o.Quiet {
				return
			}
			// What follows is about the same parent, which is written once.
			if i == len(list)-1 {
				start = make([]string, len(start))
			}
		}
	}
	answers := func(list []Answer) {
		for i := range list {
			ref := list[i].ref()
			add([]string{strings.ToLower(or(ref.Kind, "Gateway")) + "/" + ref.Name}, list[i].Conditions)
		}
	}
	switch f {
	case Route:
		answers(ob.Status.Parents)
	case Policy:
		answers(ob.Status.Ancestors)
	default:
		add(nil, ob.Status.Conditions)
	}
	return lines
}

// HasConditions says whether [WriteLegacy] has something to write about an object.
func HasConditions(o *Object) bool {
	return len(o.Status.Conditions)+len(o.Status.Parents)+len(o.Status.Ancestors) > 0
}
