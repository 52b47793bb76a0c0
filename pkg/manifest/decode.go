package manifest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/store"
)

// decoder fills a typed object from a tree. It goes there directly rather than
// by way of JSON: that is less work by half, and every complaint knows its
// field and line.
type decoder struct {
	types  *typeCache
	walk   *walker
	object finding.Object
	// line is added to the line of a node to give the line in the file.
	line     int
	findings []finding.Finding
	failed   bool
}

// decode returns the object, or nil when it is not what its type demands.
func (d *decoder) decode(root *yaml.Node, info store.KindInfo) store.Object {
	o := info.New()
	if err := d.value(root, reflect.ValueOf(o).Elem(), nil, 0); err != nil {
		d.fail(CodeType, nil, err.Error(), "")
	}
	if d.failed {
		return nil
	}
	return o
}

func (d *decoder) say(code finding.Code, p *path, message, hint string) {
	d.findings = append(d.findings, finding.New(code, d.object, p.String(), message, hint))
}

func (d *decoder) fail(code finding.Code, p *path, message, hint string) {
	d.failed = true
	d.say(code, p, message, hint)
}

func (d *decoder) wrong(n *yaml.Node, p *path, want string) {
	if d.object.Kind == store.Secret.Kind && n.Kind == yaml.ScalarNode {
		d.fail(CodeType, p, "must be "+want, "text that looks like something else is written in quotes")
		return
	}
	hint := ""
	if _, text := scalar(n).(string); want == "text" && n.Kind == yaml.ScalarNode && !text {
		hint = fmt.Sprintf("write it in quotes: %q", n.Value)
	}
	d.fail(CodeType, p, "must be "+want+", not "+describe(n), hint)
}

// value returns an error only when the document as a whole is beyond reading.
func (d *decoder) value(n *yaml.Node, v reflect.Value, p *path, depth int) error {
	n, err := d.walk.enter(n, depth)
	if err != nil {
		return err
	}
	if n.Kind == yaml.ScalarNode && scalar(n) == nil {
		return nil // null is the same as absent
	}
	t := v.Type()
	if t.Kind() == reflect.Pointer {
		v.Set(reflect.New(t.Elem()))
		return d.value(n, v.Elem(), p, depth)
	}
	info := d.types.of(t)
	if info.custom {
		return d.custom(n, v, p, depth)
	}
	switch t.Kind() {
	case reflect.Struct:
		if n.Kind != yaml.MappingNode {
			d.wrong(n, p, "a mapping")
			return nil
		}
		return d.structure(n, v, info, p, depth)
	case reflect.Map:
		if n.Kind != yaml.MappingNode {
			d.wrong(n, p, "a mapping")
			return nil
		}
		return d.mapping(n, v, p, depth)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			d.bytes(n, v, p)
			return nil
		}
		if n.Kind != yaml.SequenceNode {
			d.wrong(n, p, "a list")
			return nil
		}
		v.Set(reflect.MakeSlice(t, len(n.Content), len(n.Content)))
		for i, c := range n.Content {
			item := p.item(i)
			if err := d.value(c, v.Index(i), &item, depth+1); err != nil {
				return err
			}
		}
		return nil
	case reflect.Interface:
		x, err := d.walk.value(n, depth)
		if err == nil && x != nil {
			v.Set(reflect.ValueOf(x))
		}
		return err
	default:
		d.scalar(n, v, p)
		return nil
	}
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, p *path) {
	var x any
	if n.Kind == yaml.ScalarNode {
		x = scalar(n)
	}
	switch v.Kind() {
	case reflect.String:
		if s, ok := x.(string); ok {
			v.SetString(s)
			return
		}
		d.wrong(n, p, "text")
	case reflect.Bool:
		if b, ok := x.(bool); ok {
			v.SetBool(b)
			return
		}
		d.wrong(n, p, "true or false")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		i, ok := whole(x)
		if !ok {
			d.wrong(n, p, "a whole number")
			return
		}
		if v.OverflowInt(i) {
			d.fail(CodeType, p, fmt.Sprintf("the number %s does not fit in %d bits", n.Value, v.Type().Bits()), "")
			return
		}
		v.SetInt(i)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		i, ok := whole(x)
		if !ok || i < 0 {
			d.wrong(n, p, "a whole number that is not negative")
			return
		}
		if v.OverflowUint(uint64(i)) {
			d.fail(CodeType, p, fmt.Sprintf("the number %s does not fit in %d bits", n.Value, v.Type().Bits()), "")
			return
		}
		v.SetUint(uint64(i))
	case reflect.Float32, reflect.Float64:
		switch x := x.(type) {
		case int64:
			v.SetFloat(float64(x))
		case float64:
			v.SetFloat(x)
		default:
			d.wrong(n, p, "a number")
		}
	default:
		d.wrong(n, p, v.Type().String())
	}
}

// whole accepts 80.0 for 80, as JSON does.
func whole(x any) (int64, bool) {
	switch x := x.(type) {
	case int64:
		return x, true
	case float64:
		if x == math.Trunc(x) && math.Abs(x) < 1<<53 {
			return int64(x), true
		}
	}
	return 0, false
}

func (d *decoder) bytes(n *yaml.Node, v reflect.Value, p *path) {
	s, ok := "", false
	if n.Kind == yaml.ScalarNode {
		s, ok = scalar(n).(string)
	}
	if !ok {
		d.wrong(n, p, "text")
		return
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		// The value may be a key: it is not repeated in the message.
		d.fail(CodeType, p, "is not base64: "+strings.TrimPrefix(err.Error(), "illegal base64 data "), "data of a Secret is encoded with base64; plain text belongs in stringData")
		return
	}
	v.SetBytes(b)
}

func (d *decoder) custom(n *yaml.Node, v reflect.Value, p *path, depth int) error {
	x, err := d.walk.value(n, depth)
	if err != nil {
		return err
	}
	b, err := json.Marshal(x)
	if err != nil {
		d.fail(CodeType, p, "cannot be read: "+err.Error(), "")
		return nil //nolint:nilerr // it is said, as a finding
	}
	if err := v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(b); err != nil {
		d.fail(CodeType, p, fmt.Sprintf("%s cannot be read: %s", describe(n), err), "")
	}
	return nil
}

// seen finds keys that come twice, and says so.
type seen map[string]int

func (d *decoder) key(s seen, k *yaml.Node, merged bool, p *path) (name string, again, ok bool) {
	name, ok = key(k)
	if !ok {
		d.fail(CodeType, p, "has a key that is not text: "+describe(k), "")
		return "", false, false
	}
	first, again := s[name]
	if again && first > 0 && !merged {
		at := p.field(name)
		d.say(CodeDuplicateField, &at, fmt.Sprintf("is given on line %d and again on line %d; the last one counts", first, k.Line+d.line), "remove one of them")
	}
	if merged {
		s[name] = 0 // may be overridden without comment
	} else {
		s[name] = k.Line + d.line
	}
	return name, again, true
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value, info *typeInfo, p *path, depth int) error {
	keys := make(seen, len(n.Content)/2)
	return d.walk.pairs(n, depth, func(k, c *yaml.Node, merged bool) error {
		name, again, ok := d.key(keys, k, merged, p)
		if !ok {
			return nil
		}
		at := p.field(name)
		f, known := info.fields[name]
		if !known {
			d.say(CodeUnknownField, &at, fmt.Sprintf("unknown field %q has no effect", name), DidYouMean(name, info.names()))
			// What has no effect must still be finite.
			_, err := d.walk.value(c, depth+1)
			return err
		}
		field := v.FieldByIndex(f.index)
		if again {
			field.SetZero()
		}
		return d.value(c, field, &at, depth+1)
	})
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, p *path, depth int) error {
	t := v.Type()
	if t.Key().Kind() != reflect.String {
		d.wrong(n, p, t.String())
		return nil
	}
	v.Set(reflect.MakeMapWithSize(t, len(n.Content)/2))
	keys := make(seen, len(n.Content)/2)
	return d.walk.pairs(n, depth, func(k, c *yaml.Node, merged bool) error {
		name, _, ok := d.key(keys, k, merged, p)
		if !ok {
			return nil
		}
		at := p.field(name)
		item := reflect.New(t.Elem()).Elem()
		if err := d.value(c, item, &at, depth+1); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(name).Convert(t.Key()), item)
		return nil
	})
}
