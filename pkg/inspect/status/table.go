package status

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
)

// Table is the objects of one resource, ready to be printed.
type Table struct {
	Resource Resource
	Columns  []string
	Rows     []Row
}

// Row is an object.
type Row struct {
	Object *Object
	Cells  []string
	// Issues are what is not fine about it, and Verdict the worst of them.
	Issues  []Issue
	Verdict Verdict
	// Remarks are worth a look and do not count: notes of the controller, and backends
	// without endpoints, which no condition tells of.
	Remarks []Issue
}

// TableOptions say what goes into a table.
type TableOptions struct {
	// AllNamespaces adds a column with the namespace, Kinds the kind before the name,
	// Wide more columns.
	AllNamespaces, Kinds, Wide bool
	// Gone are objects that do not exist.
	Gone Gone
	// Stuck are Gateways whose proxies do not run.
	Stuck Stuck
	// Endpoints are those of the Services, by "namespace/name": of all, or of those in the
	// namespace Within. Nil: they are not known.
	Endpoints map[string]Endpoints
	Within    string
	// Now is what ages are counted to.
	Now time.Time
}

// NewTable judges objects of a resource, in the order of their names.
func NewTable(r Resource, objects []*Object, o TableOptions) Table {
	t := Table{Resource: r, Columns: columns(r, o), Rows: make([]Row, 0, len(objects))}
	objects = slices.Clone(objects)
	slices.SortFunc(objects, compareObjects)
	for _, ob := range objects {
		t.Rows = append(t.Rows, NewRow(r, ob, o))
	}
	return t
}

func compareObjects(a, b *Object) int {
	if c := strings.Compare(a.Metadata.Namespace, b.Metadata.Namespace); c != 0 {
		return c
	}
	return strings.Compare(a.Metadata.Name, b.Metadata.Name)
}

func columns(r Resource, o TableOptions) []string {
	var list []string
	if o.AllNamespaces && r.Namespaced {
		list = append(list, "NAMESPACE")
	}
	list = append(list, "NAME")
	switch r.Family {
	case Class:
		list = append(list, "CONTROLLER", "ACCEPTED")
	case Gateway:
		list = append(list, "CLASS", "ADDRESS", "ACCEPTED", "PROGRAMMED", "LISTENERS", "ROUTES")
	case ListenerSet:
		list = append(list, "PARENT", "ACCEPTED", "PROGRAMMED", "LISTENERS", "ROUTES")
	case Route:
		list = append(list, "HOSTNAMES", "PARENTS", "ACCEPTED", "RESOLVED")
	case Policy:
		list = append(list, "TARGETS", "ACCEPTED")
	case Other:
		list = append(list, "ACCEPTED")
	}
	list = append(list, "AGE")
	if o.Wide {
		switch r.Family {
		case Class:
			list = append(list, "FEATURES")
		case Gateway, ListenerSet:
			list = append(list, "PORTS")
		case Route:
			list = append(list, "RULES", "BACKENDS", "CONTROLLER")
		case Policy:
			list = append(list, "ANCESTORS", "CONTROLLER")
		case Other:
		}
	}
	return append(list, "NOTES")
}

// NewRow judges one object.
func NewRow(r Resource, ob *Object, o TableOptions) Row {
	row := Row{Object: ob, Issues: review(r.Family, ob, o.Gone), Cells: make([]string, 0, 12)}
	if r.Family == Gateway {
		row.Issues = append(row.Issues, o.Stuck[ob.id()]...)
	}
	row.Verdict = worst(row.Issues)
	row.Remarks = remarks(ob)
	if r.Family == Route && o.Endpoints != nil {
		row.Remarks = append(row.Remarks, idle(ob, o.Endpoints, o.Within)...)
	}
	if o.AllNamespaces && r.Namespaced {
		row.Cells = append(row.Cells, ob.Metadata.Namespace)
	}
	name := ob.Metadata.Name
	if o.Kinds {
		name = r.Name() + "/" + name
	}
	row.Cells = append(row.Cells, name)
	row.Cells = append(row.Cells, cells(r.Family, ob)...)
	row.Cells = append(row.Cells, age(ob.Metadata.CreationTimestamp, o.Now))
	if o.Wide {
		row.Cells = append(row.Cells, wide(r.Family, ob)...)
	}
	row.Cells = append(row.Cells, notes(ob, row.Issues))
	return row
}

func cells(f Family, o *Object) []string {
	generation := o.Metadata.Generation
	top := func(condition string) string { return cell(o.Status.Conditions, condition, generation) }
	switch f {
	case Class:
		return []string{o.Spec.ControllerName, top("Accepted")}
	case Gateway:
		listeners, routes := o.listeners()
		var addresses []string
		for _, a := range o.Status.Addresses {
			addresses = append(addresses, a.Value)
		}
		return []string{o.Spec.GatewayClassName, some(addresses, 2), top("Accepted"), top("Programmed"), listeners, routes}
	case ListenerSet:
		listeners, routes := o.listeners()
		parent := ""
		if o.Spec.ParentRef != nil {
			parent = o.Spec.ParentRef.text("Gateway", o.Metadata.Namespace)
		}
		return []string{parent, top("Accepted"), top("Programmed"), listeners, routes}
	case Route:
		var parents []string
		for _, p := range o.Spec.ParentRefs {
			parents = append(parents, p.text("Gateway", o.Metadata.Namespace))
		}
		silent := 0
		for _, p := range o.Spec.ParentRefs {
			if !answered(o, p) {
				silent++
			}
		}
		return []string{
			some(o.Spec.Hostnames, 2), some(parents, 3),
			sum(o.Status.Parents, "Accepted", generation, silent), sum(o.Status.Parents, "ResolvedRefs", generation, silent),
		}
	case Policy:
		accepted := sum(o.Status.Ancestors, "Accepted", generation, 0)
		if len(o.Status.Ancestors) == 0 {
			accepted = top("Accepted")
		}
		return []string{some(o.targets(), 3), accepted}
	default:
		if c := find(o.Status.Conditions, "Invalid"); c != nil {
			return []string{"False"}
		}
		return []string{top("Accepted")}
	}
}

func wide(f Family, o *Object) []string {
	switch f {
	case Class:
		return []string{strconv.Itoa(len(o.Status.SupportedFeatures))}
	case Gateway, ListenerSet:
		var ports []string
		for _, l := range o.Spec.Listeners {
			ports = append(ports, l.Protocol+":"+strconv.Itoa(int(l.Port)))
		}
		slices.Sort(ports)
		return []string{strings.Join(slices.Compact(ports), ",")}
	case Route:
		var backends []string
		for _, r := range o.Spec.Rules {
			for _, b := range r.BackendRefs {
				if s := b.text("Service", o.Metadata.Namespace); !slices.Contains(backends, s) {
					backends = append(backends, s)
				}
			}
		}
		return []string{strconv.Itoa(len(o.Spec.Rules)), some(backends, 3), controllers(o.Status.Parents)}
	case Policy:
		var ancestors []string
		for _, a := range o.Status.Ancestors {
			ancestors = append(ancestors, a.ref().text("Gateway", o.Metadata.Namespace))
		}
		return []string{some(ancestors, 3), controllers(o.Status.Ancestors)}
	default:
		return nil
	}
}

func controllers(list []Answer) string {
	var names []string
	for _, a := range list {
		if !slices.Contains(names, a.ControllerName) {
			names = append(names, a.ControllerName)
		}
	}
	return some(names, 2)
}

// listeners are how many of the listeners are fine, and how many routes they have.
func (o *Object) listeners() (fine, routes string) {
	good, attached := 0, 0
	for i := range o.Status.Listeners {
		l := &o.Status.Listeners[i]
		attached += int(l.AttachedRoutes)
		if worst(issues("", l.Conditions, o.Metadata.Generation)) <= Warned && len(l.Conditions) > 0 {
			good++
		}
	}
	return fmt.Sprintf("%d/%d", good, max(len(o.Spec.Listeners), len(o.Status.Listeners))), strconv.Itoa(attached)
}

// none stands for what is not there.
const none = "-"

// cell is the status of a condition, with the reason where it is not fine.
func cell(list []Condition, condition string, generation int64) string {
	c := find(list, condition)
	switch {
	case c == nil:
		return none
	case judge(*c, generation) == Fine:
		return c.Status
	case c.ObservedGeneration != 0 && c.ObservedGeneration < generation:
		return c.Status + " (stale)"
	default:
		return c.Status + " (" + or(c.Reason, "?") + ")"
	}
}

// sum is the status of a condition over all parents: what they agree on, or how
// many of them are fine and why the others are not.
func sum(list []Answer, condition string, generation int64, silent int) string {
	good, total := 0, silent
	var different []string
	for i := range list {
		s := cell(list[i].Conditions, condition, generation)
		if s == none {
			continue
		}
		total++
		if s == "True" {
			good++
		} else if !slices.Contains(different, s) {
			different = append(different, s)
		}
	}
	switch {
	case total == silent && silent == 0:
		return none
	case silent == total:
		return "Unknown"
	case good == total:
		return "True"
	case good == 0 && silent == 0 && len(different) == 1:
		return different[0]
	}
	var reasons []string
	for _, s := range different {
		_, reason, _ := strings.Cut(s, " (")
		reasons = append(reasons, strings.TrimSuffix(reason, ")"))
	}
	if silent > 0 {
		reasons = append(reasons, "no answer")
	}
	return fmt.Sprintf("%d/%d (%s)", good, total, strings.Join(reasons, ", "))
}

// some joins the first few of a list.
func some(list []string, few int) string {
	switch more := len(list) - few; {
	case len(list) == 0:
		return none
	case more > 0:
		return strings.Join(list[:few], ",") + fmt.Sprintf(" +%d", more)
	default:
		return strings.Join(list, ",")
	}
}

// notes are the issues in a few words: those that no other column shows, and of the others
// what the controller says of them, for a column has room for the reason alone.
func notes(o *Object, list []Issue) string {
	several := len(o.Status.Listeners) > 0 || max(len(o.Spec.ParentRefs), len(o.Status.Parents), len(o.Status.Ancestors)) > 1
	var said []string
	of := map[string][]string{} // the parts that a text is about
	if causes := slices.DeleteFunc(slices.Clone(list), Issue.follows); len(causes) > 0 {
		list = causes
	}
	for _, i := range list {
		text := i.note()
		if text == "" {
			continue
		}
		if of[text] == nil {
			said = append(said, text)
		}
		of[text] = append(of[text], i.On)
	}
	for n, text := range said {
		// What is said of several parts alike is said once, and what is said of the only
		// one needs no name.
		if on := of[text]; len(on) == 1 && on[0] != "" && (several || Issue{On: on[0]}.ofProxies()) {
			said[n] = on[0] + ": " + text
		}
	}
	const enough = 3
	if more := len(said) - enough; more > 0 {
		said = append(said[:enough], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(said, "; ")
}

func age(created, now time.Time) string {
	if created.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(now.Sub(created))
}

// Only keeps the rows that are not fine, or of which something bad is remarked.
func (t Table) Only() Table {
	t.Rows = slices.DeleteFunc(slices.Clone(t.Rows), func(r Row) bool { return max(r.Verdict, worst(r.Remarks)) == Fine })
	return t
}
