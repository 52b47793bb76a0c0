package install

import (
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
	"helm.sh/helm/v3/pkg/releaseutil"
	"sigs.k8s.io/yaml"
)

// ChangeKind is what happens to an object.
type ChangeKind string

// The kinds of change.
const (
	Added   ChangeKind = "added"
	Changed ChangeKind = "changed"
	Removed ChangeKind = "removed"
)

// Change is what happens to one object of a release.
type Change struct {
	Kind   ChangeKind `json:"change"`
	Object string     `json:"object"`
	// Fields are the differences of an object that changes.
	Fields []FieldChange `json:"fields,omitempty"`
}

// FieldChange is a field with another value; an empty value is no field.
type FieldChange struct {
	Path string `json:"path"`
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}

// hidden stands for the values of Secrets.
const hidden = "(hidden)"

// Diff compares two manifests of a release, object by object and field by field.
// Labels that only say the version of the chart are left out.
func Diff(before, after string) ([]Change, error) {
	a, err := objects(before)
	if err != nil {
		return nil, fmt.Errorf("read the installed manifest: %w", err)
	}
	b, err := objects(after)
	if err != nil {
		return nil, fmt.Errorf("read the new manifest: %w", err)
	}
	names := slices.Sorted(maps.Keys(a))
	for name := range b {
		if _, ok := a[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var out []Change
	for _, name := range names {
		x, was := a[name]
		y, is := b[name]
		switch {
		case !was:
			out = append(out, Change{Kind: Added, Object: name})
		case !is:
			out = append(out, Change{Kind: Removed, Object: name})
		default:
			d := differ{secret: x["kind"] == "Secret"}
			d.compare("", x, y)
			if len(d.out) > 0 {
				out = append(out, Change{Kind: Changed, Object: name, Fields: d.out})
			}
		}
	}
	return out, nil
}

// objects reads a manifest, by "Kind namespace/name".
func objects(manifest string) (map[string]map[string]any, error) {
	out := map[string]map[string]any{}
	for _, doc := range releaseutil.SplitManifests(manifest) {
		var o map[string]any
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			return nil, err
		}
		if len(o) == 0 {
			continue
		}
		meta, _ := o["metadata"].(map[string]any)
		if labels, ok := meta["labels"].(map[string]any); ok {
			delete(labels, "helm.sh/chart")
			delete(labels, "app.kubernetes.io/version")
		}
		out[nameOf(o)] = o
	}
	return out, nil
}

// nameOf is "Kind namespace/name".
func nameOf(o map[string]any) string {
	meta, _ := o["metadata"].(map[string]any)
	name := fmt.Sprint(meta["name"])
	if ns, ok := meta["namespace"].(string); ok {
		name = ns + "/" + name
	}
	return fmt.Sprintf("%v %s", o["kind"], name)
}

type differ struct {
	secret bool
	out    []FieldChange
}

func (d *differ) compare(path string, a, b any) {
	if reflect.DeepEqual(a, b) {
		return
	}
	if x, ok := a.(map[string]any); ok {
		if y, ok := b.(map[string]any); ok {
			d.maps(path, x, y)
			return
		}
	}
	if x, ok := a.([]any); ok {
		if y, ok := b.([]any); ok {
			d.lists(path, x, y)
			return
		}
	}
	c := FieldChange{Path: path, Old: text(a), New: text(b)}
	if d.secret && (strings.HasPrefix(path, "data") || strings.HasPrefix(path, "stringData")) {
		c.Old, c.New = hide(a), hide(b)
	}
	d.out = append(d.out, c)
}

func (d *differ) maps(path string, a, b map[string]any) {
	keys := map[string]bool{}
	for k := range a {
		keys[k] = true
	}
	for k := range b {
		keys[k] = true
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		at := k
		if strings.ContainsAny(k, "./") {
			at = fmt.Sprintf("[%s]", k)
		} else if path != "" {
			at = "." + k
		}
		d.compare(path+at, a[k], b[k])
	}
}

// lists compares by name where all items have one, as containers do, and
// otherwise by position.
func (d *differ) lists(path string, a, b []any) {
	if x, ok := named(a); ok {
		if y, ok := named(b); ok {
			for _, k := range slices.Sorted(maps.Keys(x)) {
				d.compare(fmt.Sprintf("%s[%s]", path, k), x[k], y[k])
			}
			for _, k := range slices.Sorted(maps.Keys(y)) {
				if _, ok := x[k]; !ok {
					d.compare(fmt.Sprintf("%s[%s]", path, k), nil, y[k])
				}
			}
			return
		}
	}
	for i := range max(len(a), len(b)) {
		var x, y any
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		d.compare(fmt.Sprintf("%s[%d]", path, i), x, y)
	}
}

func named(list []any) (map[string]any, bool) {
	out := map[string]any{}
	for _, item := range list {
		m, _ := item.(map[string]any)
		name, ok := m["name"].(string)
		if !ok {
			return nil, false
		}
		if _, twice := out[name]; twice {
			return nil, false
		}
		out[name] = item
	}
	return out, true
}

func hide(v any) string {
	if v == nil {
		return ""
	}
	return hidden
}

func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case map[string]any, []any:
		b, err := yaml.Marshal(v)
		if err != nil {
			return fmt.Sprint(v)
		}
		return strings.TrimSuffix(string(b), "\n")
	default:
		return fmt.Sprint(v)
	}
}

// WriteChanges prints changes to be read: + for what comes, - for what goes, ~ for
// what is changed. Texts of several lines are shown by the lines that differ.
func WriteChanges(w io.Writer, changes []Change) error {
	var b strings.Builder
	for _, c := range changes {
		fmt.Fprintf(&b, "%s %s\n", map[ChangeKind]string{Added: "+", Removed: "-", Changed: "~"}[c.Kind], c.Object)
		for _, f := range c.Fields {
			switch {
			case strings.Contains(f.Old, "\n") || strings.Contains(f.New, "\n"):
				fmt.Fprintf(&b, "    %s:\n", f.Path)
				b.WriteString(lines(f.Old, f.New))
			case f.Old == "":
				fmt.Fprintf(&b, "    %s: + %s\n", f.Path, f.New)
			case f.New == "":
				fmt.Fprintf(&b, "    %s: - %s\n", f.Path, f.Old)
			default:
				fmt.Fprintf(&b, "    %s: %s → %s\n", f.Path, f.Old, f.New)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// lines are those of a text that differ, with one line around them.
func lines(before, after string) string {
	split := func(s string) []string {
		if s == "" {
			return nil
		}
		return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	}
	a, b := split(before), split(after)
	var out strings.Builder
	put := func(sign string, ls []string) {
		for _, l := range ls {
			fmt.Fprintf(&out, "      %s %s\n", sign, l)
		}
	}
	for n, group := range difflib.NewMatcher(a, b).GetGroupedOpCodes(1) {
		if n > 0 {
			put(" ", []string{"…"})
		}
		for _, op := range group {
			if op.Tag == 'e' {
				put(" ", a[op.I1:op.I2])
				continue
			}
			put("-", a[op.I1:op.I2])
			put("+", b[op.J1:op.J2])
		}
	}
	return out.String()
}
