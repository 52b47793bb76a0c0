package configdump

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"github.com/pmezard/go-difflib/difflib"
	"google.golang.org/protobuf/proto"

	"github.com/egctl/egctl/pkg/translate/xds"
)

// Summary counts differences.
type Summary struct{ Added, Removed, Changed int }

// String is for the line below a difference.
func (s Summary) String() string {
	if s == (Summary{}) {
		return "no difference"
	}
	return fmt.Sprintf("%d added, %d removed, %d changed", s.Added, s.Removed, s.Changed)
}

// Diff writes what became different for Envoy from before to after, Gateway by
// Gateway and resource by resource: "+" added, "-" removed, and "~" changed
// with the fields around each change. Route tables are compared by virtual
// host. The order of resources in a dump, and how they were encoded, mean
// nothing.
func Diff(out io.Writer, t Type, before, after []*Dump) (Summary, error) {
	d := differ{w: bufio.NewWriter(out)}
	index := func(dumps []*Dump) map[string]*Dump {
		m := make(map[string]*Dump, len(dumps))
		for _, d := range dumps {
			m[d.Gateway] = d
		}
		return m
	}
	a, b := index(before), index(after)
	for _, gw := range union(a, b) {
		d.gateway = gw
		for _, part := range parts() {
			if t == All || t == part {
				if err := d.part(part, a[gw], b[gw]); err != nil {
					return d.sum, err
				}
			}
		}
	}
	if err := d.w.Flush(); err != nil {
		return d.sum, fmt.Errorf("write difference: %w", err)
	}
	return d.sum, nil
}

func union[V any](a, b map[string]V) []string {
	var names []string
	for n := range a {
		names = append(names, n)
	}
	for n := range b {
		if _, ok := a[n]; !ok {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

type differ struct {
	w       *bufio.Writer
	gateway string
	told    string // the Gateway whose heading was written last
	sum     Summary
}

func (d *differ) part(t Type, before, after *Dump) error {
	index := func(dump *Dump) map[string]*xds.Resource {
		m := map[string]*xds.Resource{}
		if dump != nil {
			for _, r := range dump.resources(t) {
				m[r.Name] = r
			}
		}
		return m
	}
	a, b := index(before), index(after)
	for _, name := range union(a, b) {
		if err := d.resource(t, a[name], b[name]); err != nil {
			return err
		}
	}
	return nil
}

func (d *differ) resource(t Type, a, b *xds.Resource) error {
	switch {
	case a == nil:
		d.line('+', t, b.Name)
		d.sum.Added++
		return nil
	case b == nil:
		d.line('-', t, a.Name)
		d.sum.Removed++
		return nil
	case a.Hash == b.Hash && bytes.Equal(a.Body, b.Body):
		return nil
	}
	am, _, err := message(a)
	if err != nil {
		return err
	}
	bm, hidden, err := message(b)
	if err != nil {
		return err
	}
	at, isTable := am.(*route.RouteConfiguration)
	bt, _ := bm.(*route.RouteConfiguration)
	if isTable && bt != nil {
		return d.table(a.Name, at, bt)
	}
	d.sum.Changed++
	d.line('~', t, a.Name)
	return d.fields(am, bm, hidden)
}

// table compares route tables by virtual host: a difference in one of thousands
// is found and shown without looking at the text of the others.
func (d *differ) table(name string, a, b *route.RouteConfiguration) error {
	index := func(t *route.RouteConfiguration) map[string]*route.VirtualHost {
		m := make(map[string]*route.VirtualHost, len(t.VirtualHosts))
		for _, vh := range t.VirtualHosts {
			m[vh.Name] = vh
		}
		t.VirtualHosts = nil
		return m
	}
	ah, bh := index(a), index(b)
	if !proto.Equal(a, b) {
		d.sum.Changed++
		d.line('~', Route, name)
		if err := d.fields(a, b, false); err != nil {
			return err
		}
	}
	for _, host := range union(ah, bh) {
		x, y := ah[host], bh[host]
		label := name + ", virtual host " + host
		switch {
		case x == nil:
			d.sum.Added++
			d.line('+', Route, label)
		case y == nil:
			d.sum.Removed++
			d.line('-', Route, label)
		case !proto.Equal(x, y):
			d.sum.Changed++
			d.line('~', Route, label)
			if err := d.fields(x, y, false); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *differ) line(sign byte, t Type, name string) {
	if d.told != d.gateway {
		if d.told != "" {
			d.w.WriteByte('\n')
		}
		fmt.Fprintf(d.w, "Gateway %s\n", d.gateway)
		d.told = d.gateway
	}
	fmt.Fprintf(d.w, "%c %s %s\n", sign, t, name)
}

// fields writes a unified difference of two messages as YAML.
func (d *differ) fields(a, b proto.Message, hidden bool) error {
	x, err := yamlLines(a)
	if err != nil {
		return err
	}
	y, err := yamlLines(b)
	if err != nil {
		return err
	}
	if slices.Equal(x, y) {
		if hidden {
			d.w.WriteString("    (a value that is not shown)\n")
		}
		return nil
	}
	for _, group := range difflib.NewMatcher(x, y).GetGroupedOpCodes(3) {
		d.w.WriteString("    ...\n")
		for _, op := range group {
			switch op.Tag {
			case 'e':
				d.lines("    ", x[op.I1:op.I2])
			default:
				d.lines("  - ", x[op.I1:op.I2])
				d.lines("  + ", y[op.J1:op.J2])
			}
		}
	}
	return nil
}

func (d *differ) lines(prefix string, lines []string) {
	for _, l := range lines {
		d.w.WriteString(prefix)
		d.w.WriteString(l)
	}
}

func yamlLines(m proto.Message) ([]string, error) {
	js, err := marshal.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	var b bytes.Buffer
	w := bufio.NewWriter(&b)
	(&yamlWriter{w: w, src: js}).value(0, false)
	if err := w.Flush(); err != nil {
		return nil, err
	}
	return slices.Collect(strings.Lines(b.String())), nil
}
