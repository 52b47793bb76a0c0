package manifest

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// typeInfo is what decoding needs to know of a Go type, found out once.
type typeInfo struct {
	// custom types bring their own UnmarshalJSON, such as times and quantities.
	custom bool
	// fields of a struct by JSON name, those of inlined structs among them.
	fields map[string]fieldInfo
}

type fieldInfo struct {
	index []int
	typ   reflect.Type
}

func (i *typeInfo) names() []string { return slices.Sorted(maps.Keys(i.fields)) }

// typeCache remembers types; the zero value is ready for use.
type typeCache struct{ m sync.Map }

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

func (c *typeCache) of(t reflect.Type) *typeInfo {
	if i, ok := c.m.Load(t); ok {
		return i.(*typeInfo)
	}
	info := &typeInfo{custom: reflect.PointerTo(t).Implements(unmarshaler)}
	if t.Kind() == reflect.Struct && !info.custom {
		info.fields = map[string]fieldInfo{}
		addFields(info.fields, t, nil)
	}
	c.m.Store(t, info)
	return info
}

func addFields(to map[string]fieldInfo, t reflect.Type, index []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		at := append(slices.Clone(index), i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported() && !f.Anonymous:
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			addFields(to, f.Type, at)
		default:
			if name == "" {
				name = f.Name
			}
			if _, shadowed := to[name]; !shadowed || len(index) == 0 {
				to[name] = fieldInfo{index: at, typ: f.Type}
			}
		}
	}
}
