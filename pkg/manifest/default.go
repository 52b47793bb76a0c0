package manifest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sync"

	"github.com/egctl/egctl/pkg/crds"
	"github.com/egctl/egctl/pkg/store"
)

// defaulter fills in, in one pass over a typed object, what the API server
// would have filled in from the defaults of the object's schema.
type defaulter struct {
	// value of this place itself, when it is absent and what is around it is not.
	value json.RawMessage
	// scalar is value as a Go value where it can be shared: no pointers in it.
	scalar reflect.Value

	steps  []defaultStep
	isMap  bool
	within *defaulter // items of a list, values of a map
}

type defaultStep struct {
	name  string
	index []int
	*defaulter
}

// defaulters compiles each version of each kind when it is first met.
type defaulters struct {
	types *typeCache
	m     sync.Map
}

type defaulterKey struct {
	kind    store.Kind
	version string
}

type compiledDefaulter struct {
	*defaulter
	err error
}

func (ds *defaulters) apply(o store.Object, k store.Kind, version string) error {
	id := defaulterKey{k, version}
	c, ok := ds.m.Load(id)
	if !ok {
		d, err := ds.compile(reflect.TypeOf(o).Elem(), id)
		c, _ = ds.m.LoadOrStore(id, compiledDefaulter{d, err})
	}
	d := c.(compiledDefaulter)
	if d.err != nil {
		return d.err
	}
	return d.apply(reflect.ValueOf(o).Elem())
}

func (ds *defaulters) compile(t reflect.Type, id defaulterKey) (*defaulter, error) {
	list, err := crds.Defaults(id.kind.Group, id.version, id.kind.Kind)
	if err != nil {
		return nil, err
	}
	root := &defaulter{}
	for _, d := range list {
		if err := ds.add(root, t, d.Path, d.Value); err != nil {
			return nil, fmt.Errorf("default of %s %s %v: %w", id.version, id.kind, d.Path, err)
		}
	}
	return root, nil
}

func (ds *defaulters) add(to *defaulter, t reflect.Type, path []string, value json.RawMessage) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if len(path) == 0 {
		to.value = value
		switch t.Kind() {
		case reflect.Struct, reflect.Slice, reflect.Map, reflect.Interface:
			return json.Unmarshal(value, reflect.New(t).Interface())
		}
		v := reflect.New(t)
		to.scalar = v.Elem()
		return json.Unmarshal(value, v.Interface())
	}
	switch step := path[0]; step {
	case crds.EachItem, crds.EachValue:
		if t.Kind() != reflect.Slice && t.Kind() != reflect.Map {
			return fmt.Errorf("%s is neither a list nor a map", t)
		}
		if to.within == nil {
			to.within, to.isMap = &defaulter{}, t.Kind() == reflect.Map
		}
		return ds.add(to.within, t.Elem(), path[1:], value)
	default:
		info := ds.types.of(t)
		f, ok := info.fields[step]
		if !ok {
			return fmt.Errorf("%s has no field %q", t, step)
		}
		for _, s := range to.steps {
			if s.name == step {
				return ds.add(s.defaulter, f.typ, path[1:], value)
			}
		}
		s := defaultStep{name: step, index: f.index, defaulter: &defaulter{}}
		to.steps = append(to.steps, s)
		return ds.add(s.defaulter, f.typ, path[1:], value)
	}
}

func (d *defaulter) apply(v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return d.apply(v.Elem())
	case reflect.Struct:
		for _, s := range d.steps {
			f := v.FieldByIndex(s.index)
			if f.IsZero() && s.value != nil {
				if err := s.set(f); err != nil {
					return err
				}
			}
			// A struct that is no pointer cannot tell "absent" from "{}"; those
			// of the API are required, so it was given.
			if err := s.apply(f); err != nil {
				return err
			}
		}
	case reflect.Slice:
		if d.within == nil {
			return nil
		}
		for i := range v.Len() {
			if err := d.within.apply(v.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Map:
		if d.within == nil {
			return nil
		}
		for _, k := range v.MapKeys() {
			item := reflect.New(v.Type().Elem()).Elem()
			item.Set(v.MapIndex(k))
			if err := d.within.apply(item); err != nil {
				return err
			}
			v.SetMapIndex(k, item)
		}
	}
	return nil
}

// set gives f the default. Objects never share memory: one could be changed.
func (d *defaulter) set(f reflect.Value) error {
	if f.Kind() == reflect.Pointer {
		f.Set(reflect.New(f.Type().Elem()))
		f = f.Elem()
	}
	if d.scalar.IsValid() {
		f.Set(d.scalar)
		return nil
	}
	return json.Unmarshal(d.value, f.Addr().Interface())
}
