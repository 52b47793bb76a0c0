// Package modeldump presents the translator's resolved model to people and
// tools: keys as text, durations as Go writes them, nothing that is empty.
package modeldump

import (
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/ir"
)

// Plain turns a value of the model into maps, slices and scalars that JSON and
// YAML can say. Field names begin in lower case; embedded structs become part
// of what embeds them.
func Plain(v any) any {
	p, _ := plain(reflect.ValueOf(v))
	return p
}

// plain returns false for a value that says nothing.
func plain(v reflect.Value) (any, bool) {
	if !v.IsValid() {
		return nil, false
	}
	if v.CanInterface() {
		if text, ok := text(v.Interface()); ok {
			return text, text != ""
		}
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil, false
		}
		p, ok := plain(v.Elem())
		if !ok && v.Kind() == reflect.Pointer && v.Elem().Kind() != reflect.Struct {
			return v.Elem().Interface(), true // a pointer to zero says zero
		}
		return p, true
	case reflect.Struct:
		m := map[string]any{}
		fields(v, m)
		return m, len(m) > 0
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i], _ = plain(v.Index(i))
		}
		return list, len(list) > 0
	default:
		return v.Interface(), !v.IsZero()
	}
}

func fields(v reflect.Value, m map[string]any) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		if f.Anonymous && f.Type.Kind() == reflect.Struct {
			fields(v.Field(i), m)
			continue
		}
		if p, ok := plain(v.Field(i)); ok || telling(f.Name) {
			m[lower(f.Name)] = p
		}
	}
}

// telling fields say something by being zero or false.
func telling(field string) bool {
	switch field {
	case "Weight", "Valid", "Accepted", "Served":
		return true
	}
	return false
}

// text is how the model's own scalars read.
func text(v any) (string, bool) {
	switch v := v.(type) {
	case store.Key:
		if v == (store.Key{}) {
			return "", true
		}
		return v.String(), true
	case ir.ClusterKey:
		if v == (ir.ClusterKey{}) {
			return "", true
		}
		return v.Name(), true
	case ir.ListenerKey:
		return v.Owner.String() + "/" + v.Name, true
	case time.Duration:
		if v == 0 {
			return "", true
		}
		return v.String(), true
	case *time.Duration:
		if v == nil {
			return "", true
		}
		return v.String(), true
	case ir.PathKind:
		switch v {
		case ir.PathExact:
			return "exact", true
		case ir.PathRegex:
			return "regex", true
		case ir.PathPrefix:
			return "prefix", true
		}
		return fmt.Sprintf("kind %d", int(v)), true
	default:
		return "", false
	}
}

// lower is a field's name in JSON: "SNI" is sni, "CASecret" caSecret.
func lower(name string) string {
	n := strings.IndexFunc(name, func(r rune) bool { return !unicode.IsUpper(r) })
	switch {
	case n < 0 || name[n:] == "s": // an abbreviation, or several
		return strings.ToLower(name)
	case n > 1:
		n-- // the last capital begins the next word
	}
	return strings.ToLower(name[:n]) + name[n:]
}
