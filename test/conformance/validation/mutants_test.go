package validation

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// schema is as much of an OpenAPI schema as mutants are made by.
type schema struct {
	Type                 string             `json:"type"`
	Properties           map[string]*schema `json:"properties"`
	Items                *schema            `json:"items"`
	AdditionalProperties *schema            `json:"additionalProperties"`
	Required             []string           `json:"required"`
	Enum                 []any              `json:"enum"`
	Default              any                `json:"default"`
	Pattern              string             `json:"pattern"`
	MaxLength            *int               `json:"maxLength"`
	MinItems             *int               `json:"minItems"`
	MaxItems             *int               `json:"maxItems"`
	Minimum              *float64           `json:"minimum"`
	Maximum              *float64           `json:"maximum"`
}

// A mutant is an object that differs from a good one in one place.
type mutant struct {
	// place is the field, without indices, and what was done to it.
	place  string
	object map[string]any
	// whole says that it was added with all that is in it.
	whole bool
}

// mutants makes objects that differ from this one in one field each: without it,
// with another value of its type (at, inside and outside of its limits), with one of
// another type, with fields beside it that were not there.
func mutants(s *schema, object map[string]any) []mutant {
	var out []mutant
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if name == "apiVersion" || name == "kind" || name == "metadata" {
			continue
		}
		mutate(s.Properties[name], name, object[name], func(place string, v any) {
			m := maps.Clone(object)
			set(m, name, v)
			out = append(out, mutant{place, m, strings.HasSuffix(place, whole)})
		})
	}
	meta, _ := object["metadata"].(map[string]any)
	for i, change := range metadata {
		m := maps.Clone(object)
		changed := maps.Clone(meta)
		maps.Copy(changed, change)
		m["metadata"] = changed
		out = append(out, mutant{place: fmt.Sprintf("metadata %d", i), object: m})
	}
	m := maps.Clone(object)
	m["nope"] = "x"
	return append(out, mutant{place: "nope", object: m})
}

// metadata is what is laid over an object's metadata.
var metadata = []map[string]any{
	{"name": "A_b"}, {"name": "a.b.c"}, {"name": "-a"}, {"name": strings.Repeat("a", 253)}, {"name": strings.Repeat("a", 254)}, {"name": "ä"},
	{"labels": map[string]any{"a": "b c"}}, {"labels": map[string]any{"a b": "c"}}, {"labels": map[string]any{"a/b/c": "d"}},
	{"labels": map[string]any{"a": strings.Repeat("b", 64)}}, {"labels": map[string]any{strings.Repeat("a", 64): ""}},
	{"annotations": map[string]any{"a b": "c"}}, {"annotations": map[string]any{"A/b": "c d"}}, {"annotations": map[string]any{"a": "b", "c": strings.Repeat("d", 1<<18)}},
	{"finalizers": []any{"x"}}, {"finalizers": []any{"a.b/c"}}, {"finalizers": []any{"a b"}},
	{"ownerReferences": []any{map[string]any{"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "1"}}},
	{"ownerReferences": []any{map[string]any{"apiVersion": "v1", "kind": "Pod", "name": "a"}}},
	{"labels": map[string]any{"a": true}}, {"labels": []any{}}, {"annotations": map[string]any{"a": 1}}, {"nope": "x"},
	{"generateName": "A_"}, {"generation": -1}, {"labels": nil}, {"managedFields": []any{map[string]any{"operation": "x"}}},
}

// whole is the change that adds a field with all that is in it.
const whole = " added whole"

// nothing stands for a field that is not there.
var nothing = new(struct{ _ int })

func set(m map[string]any, name string, v any) {
	if v == nothing {
		delete(m, name)
		return
	}
	m[name] = v
}

// mutate calls yield with every value that value is to be replaced by, which is nil
// where there is none.
func mutate(s *schema, place string, value any, yield func(place string, v any)) {
	if value == nil {
		for i, v := range samples(s, 3) {
			if i == 1 && (s.Type == "object" || s.Type == "array") {
				yield(place+whole, v)
				continue
			}
			yield(fmt.Sprintf("%s added %d", place, i), v)
		}
		return
	}
	yield(place+" removed", nothing)
	yield(place+" null", nil)
	for i, v := range others(s, value) {
		yield(fmt.Sprintf("%s replaced %d", place, i), v)
	}
	switch x := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
			mutate(s.Properties[name], place+"."+name, x[name], func(place string, v any) {
				m := maps.Clone(x)
				set(m, name, v)
				yield(place, m)
			})
		}
		m := maps.Clone(x)
		m["nope"] = "x"
		yield(place+" with an unknown field", m)
		if s.AdditionalProperties != nil {
			for _, name := range slices.Sorted(maps.Keys(x)) {
				mutate(s.AdditionalProperties, place+"{}", x[name], func(place string, v any) {
					m := maps.Clone(x)
					set(m, name, v)
					yield(place, m)
				})
			}
		}
	case []any:
		if s.Items == nil {
			return
		}
		for i := range x {
			mutate(s.Items, place+"[]", x[i], func(place string, v any) {
				if v == nothing {
					yield(place, slices.Delete(slices.Clone(x), i, i+1))
					return
				}
				list := slices.Clone(x)
				list[i] = v
				yield(place, list)
			})
		}
	}
}

// texts are values that one pattern or rule or another has something against.
var texts = []any{
	"", "a", "A b!", "a.b", "a-b.example.com", "*.example.com", "*", "1.2.3.4", "::1", "10.0.0.0/8", "/", "/a//b", "/a/../b", "/a%2fb", "/a#b", "a/b", "a.B.c",
	"https", "0s", "1h", "1h30m", "99999h", "1d", "-1", "5", "50%", "1Gi", "é", "a\nb", "(", "example.com/a", "Service", "gateway.networking.k8s.io", "core",
}

// others are values instead of one that is there.
func others(s *schema, value any) []any {
	out := []any{}
	if s.Type != "string" {
		out = append(out, "a", "1")
	}
	if s.Type != "integer" && s.Type != "number" {
		out = append(out, 7.0)
	}
	if s.Type != "boolean" {
		out = append(out, true)
	}
	if s.Type != "array" {
		out = append(out, []any{})
	}
	out = append(out, map[string]any{})
	out = append(out, s.Enum...)
	switch x := value.(type) {
	case string:
		switch {
		case len(s.Enum) > 0:
		case s.Pattern == "" && s.MaxLength == nil:
			out = append(out, texts[:3]...)
		default:
			out = append(out, texts...)
		}
		out = append(out, strings.ToUpper(x), x+" ", "/"+x, x+"/", x+".")
		if s.MaxLength != nil && *s.MaxLength < 1<<16 {
			out = append(out, strings.Repeat("a", *s.MaxLength), strings.Repeat("a", *s.MaxLength+1), "/"+strings.Repeat("a", *s.MaxLength))
		}
	case float64:
		out = append(out, 0.0, -1.0, 1.0, 1.5, 99.0, 100.0, 101.0, 65535.0, 65536.0, 1e10, 1e20)
		if s.Minimum != nil {
			out = append(out, *s.Minimum, *s.Minimum-1)
		}
		if s.Maximum != nil {
			out = append(out, *s.Maximum, *s.Maximum+1)
		}
	case bool:
		out = append(out, !x)
	case []any:
		if s.Items == nil {
			break
		}
		for _, v := range samples(s.Items, 2) {
			out = append(out, append(slices.Clone(x), v))
		}
		if len(x) == 0 {
			break
		}
		out = append(out, append(slices.Clone(x), x[0]))
		numbered := func(n int) []any {
			list := slices.Clone(x)
			for i := len(x); i < n; i++ {
				list = append(list, distinct(x[0], i))
			}
			return list
		}
		out = append(out, numbered(len(x)+1), numbered(len(x)+2))
		if s.MaxItems != nil && *s.MaxItems <= 1024 {
			out = append(out, numbered(*s.MaxItems), numbered(*s.MaxItems+1))
		}
	}
	return out
}

// distinct is a value like this one with another name or key.
func distinct(v any, i int) any {
	switch x := v.(type) {
	case string:
		return fmt.Sprintf("%s%d", x, i)
	case float64:
		return x + float64(i)
	case map[string]any:
		m := maps.Clone(x)
		for _, key := range []string{"name", "value", "type", "port"} {
			if v, ok := m[key]; ok {
				m[key] = distinct(v, i)
				return m
			}
		}
		m["name"] = fmt.Sprint("a", i)
		return m
	}
	return v
}

// samples are values for a field that is absent: as little as the schema allows, and
// with all fields to a depth.
func samples(s *schema, depth int) []any {
	switch s.Type {
	case "string":
		if len(s.Enum) > 0 {
			return append(slices.Clone(s.Enum), "Nope")
		}
		return []any{"a", "a.b", "1.2.3.4", "/a", "1s", "", "0s"}
	case "integer", "number":
		return []any{1.0, 0.0, 80.0, 500.0}
	case "boolean":
		return []any{true, false}
	case "":
		return []any{1.0, "a", "50%", map[string]any{"a": "b"}}
	}
	least, most := sample(s, depth, false), sample(s, depth, true)
	if s.Type == "array" {
		return []any{least, most, []any{}}
	}
	return []any{least, most, map[string]any{}}
}

func sample(s *schema, depth int, all bool) any {
	if s.Default != nil {
		return s.Default
	}
	switch s.Type {
	case "string":
		switch {
		case len(s.Enum) > 0:
			return s.Enum[0]
		case strings.Contains(s.Pattern, "h|m|s|ms"):
			return "1s"
		case strings.HasPrefix(s.Pattern, "^/"), strings.Contains(s.Pattern, `\/`):
			return "a.b/c"
		}
		return "a"
	case "integer", "number":
		if s.Minimum != nil {
			return max(*s.Minimum, 1)
		}
		return 1.0
	case "boolean":
		return true
	case "array":
		n := 1
		if s.MinItems != nil {
			n = max(n, *s.MinItems)
		}
		list := []any{}
		for i := range n {
			v := sample(s.Items, depth-1, all)
			if i > 0 {
				v = distinct(v, i)
			}
			list = append(list, v)
		}
		return list
	case "object":
		m := map[string]any{}
		for name, p := range s.Properties {
			if slices.Contains(s.Required, name) || all && depth > 0 {
				m[name] = sample(p, depth-1, all)
			}
		}
		if s.AdditionalProperties != nil && all {
			m["a"] = sample(s.AdditionalProperties, depth-1, all)
		}
		return m
	}
	return "a"
}

// plain makes an object of what its JSON says: maps, lists and float64.
func plain(raw []byte) (map[string]any, error) {
	var m map[string]any
	err := json.Unmarshal(raw, &m)
	return m, err
}
