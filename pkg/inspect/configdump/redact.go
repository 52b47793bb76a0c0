package configdump

import (
	"github.com/cncf/xds/go/udpa/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// redacted is what Envoy's own dump shows in place of a secret.
const redacted = "[redacted]"

// redact replaces every value that Envoy's API marks as sensitive (the option
// udpa.annotations.sensitive: private keys, passwords, generic secrets, session
// ticket keys), as Envoy does in its dumps: text and bytes become "[redacted]",
// numbers vanish, messages lose all their values this way. It says whether it
// found any.
func redact(m proto.Message) (bool, error) {
	r := redactor{}
	err := r.message(m.ProtoReflect(), false)
	return r.found, err
}

type redactor struct {
	found bool
}

func (r *redactor) message(m protoreflect.Message, hide bool) error {
	if a, ok := m.Interface().(*anypb.Any); ok {
		return r.any(a, hide)
	}
	if m.Descriptor().ParentFile().Package() == "google.protobuf" && !hide {
		return nil // Struct and its like: nothing in them is marked
	}
	var failed error
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		failed = r.field(m, fd, v, hide || sensitive(fd))
		return failed == nil
	})
	return failed
}

func sensitive(fd protoreflect.FieldDescriptor) bool {
	o := fd.Options()
	return proto.HasExtension(o, annotations.E_Sensitive) && proto.GetExtension(o, annotations.E_Sensitive).(bool)
}

// any looks inside, and packs anew only what it had to change.
func (r *redactor) any(a *anypb.Any, hide bool) error {
	inner, err := a.UnmarshalNew()
	if err != nil {
		return err
	}
	sub := redactor{}
	if err := sub.message(inner.ProtoReflect(), hide); err != nil || !sub.found {
		return err
	}
	r.found = true
	a.Value, err = proto.MarshalOptions{Deterministic: true}.Marshal(inner)
	return err
}

func (r *redactor) field(m protoreflect.Message, fd protoreflect.FieldDescriptor, v protoreflect.Value, hide bool) error {
	var failed error
	switch {
	case fd.IsMap():
		if !hide && fd.MapValue().Message() == nil {
			return nil
		}
		entries := v.Map()
		entries.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			if fd.MapValue().Message() != nil {
				failed = r.message(v.Message(), hide)
			} else {
				r.found = true
				entries.Set(k, substitute(fd.MapValue()))
			}
			return failed == nil
		})
	case fd.Message() != nil && fd.IsList():
		for i := 0; i < v.List().Len() && failed == nil; i++ {
			failed = r.message(v.List().Get(i).Message(), hide)
		}
	case fd.Message() != nil:
		failed = r.message(v.Message(), hide)
	case !hide:
	case fd.IsList():
		r.found = true
		for i := range v.List().Len() {
			v.List().Set(i, substitute(fd))
		}
	default:
		r.found = true
		if fd.Kind() == protoreflect.StringKind || fd.Kind() == protoreflect.BytesKind {
			m.Set(fd, substitute(fd))
		} else {
			m.Clear(fd)
		}
	}
	return failed
}

func substitute(fd protoreflect.FieldDescriptor) protoreflect.Value {
	switch fd.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(redacted)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(redacted))
	default:
		return fd.Default()
	}
}
