package translate_test

import (
	"bytes"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"sigs.k8s.io/yaml"

	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// FuzzTranslate translates whatever objects can be made out of bytes. Nothing
// may go wrong inside, however odd they are, and Envoy must get what it takes: no
// name twice, and every field within its limits.
func FuzzTranslate(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		ar, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, part := range ar.Files {
			if part.Name == "input.yaml" {
				f.Add(part.Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		translateOdd(t, decodeWhatFits(data))
	})
}

// TestOddFields replaces one field after the other of the golden inputs by a
// value that no API server would admit, but a file may hold.
func TestOddFields(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	odd := []any{nil, "", "*", -1, 1 << 31, strings.Repeat("a.", 300), map[string]any{}, []any{}, "\x00\n"}
	n := 0
	for _, file := range files {
		ar, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var docs []any
		for _, part := range ar.Files {
			if part.Name != "input.yaml" {
				continue
			}
			for _, doc := range bytes.Split(withPKI(t, part.Data), []byte("\n---\n")) {
				var v any
				if err := yaml.Unmarshal(doc, &v); err != nil {
					t.Fatal(err)
				}
				docs = append(docs, v)
			}
		}
		objects := make([][]store.Object, len(docs))
		for i, d := range docs {
			objects[i] = objectsOf(t, d)
		}
		for i, d := range docs {
			spec, ok := d.(map[string]any)["spec"]
			if !ok {
				spec = d
			}
			everyField(spec, func(set func(any)) {
				// A third of the fields is enough for every run.
				if n++; n%3 != 0 {
					return
				}
				set(odd[n/3%len(odd)])
				var list []store.Object
				for j := range docs {
					if i == j {
						list = append(list, objectsOf(t, d)...)
					} else {
						list = append(list, objects[j]...)
					}
				}
				translateOdd(t, list)
				if t.Failed() {
					b, _ := yaml.Marshal(d)
					t.Fatalf("%s:\n%s", file, b)
				}
			})
		}
	}
	if n < 1000 {
		t.Errorf("only %d fields", n)
	}
}

func objectsOf(t *testing.T, doc any) []store.Object {
	t.Helper()
	b, err := yaml.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return decodeWhatFits(b)
}

// everyField calls f for each field and element below v, with a function that
// replaces it; what was there is put back afterwards.
func everyField(v any, f func(set func(any))) {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			old := v[k]
			everyField(old, f)
			f(func(x any) { v[k] = x })
			v[k] = old
		}
	case []any:
		for i := range v {
			old := v[i]
			everyField(old, f)
			f(func(x any) { v[i] = x })
			v[i] = old
		}
	}
}

func translateOdd(t *testing.T, objects []store.Object) {
	t.Helper()
	tr := translate.New(settings())
	for _, o := range objects {
		tr.Store.Apply(store.Put(o))
	}
	ch := tr.Update()
	for k, r := range ch.Reports {
		for _, found := range r.Findings {
			if found.Code == "EG9001" {
				t.Errorf("%s: %s", k, found)
			}
		}
	}
	for _, r := range ch.Endpoints {
		checkResource(t, r)
	}
	for k, s := range ch.Snapshots {
		for _, typ := range []xds.Type{xds.ListenerType, xds.RouteType, xds.ClusterType, xds.SecretType} {
			list := s.Of(typ)
			for i := range list[:max(0, len(list)-1)] {
				if list[i].Name == list[i+1].Name {
					t.Errorf("%s has two of %s %s", k, typ, list[i].Name)
				}
			}
			for _, r := range list {
				checkResource(t, r)
			}
		}
	}
}

func checkResource(t *testing.T, r *xds.Resource) {
	t.Helper()
	if r == nil {
		t.Error("a resource could not be made")
		return
	}
	m, err := r.Any().UnmarshalNew()
	if err == nil {
		err = valid(m)
	}
	if err != nil {
		t.Errorf("%s %s: %v", r.Type, r.Name, err)
	}
}

// valid checks a message, and those packed in it, against the limits that
// Envoy's protobufs declare.
func valid(m proto.Message) error {
	if v, ok := m.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return err
		}
	}
	var err error
	var visit func(protoreflect.Message) bool
	visit = func(m protoreflect.Message) bool {
		if a, ok := m.Interface().(*anypb.Any); ok {
			if a.TypeUrl == "" {
				return true // a filter switched on as it is
			}
			packed, e := a.UnmarshalNew()
			if e == nil {
				e = valid(packed)
			}
			err = e
			return err == nil
		}
		m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			switch {
			case fd.IsMap() && fd.MapValue().Message() != nil:
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool { return visit(v.Message()) })
			case fd.IsMap() || fd.Message() == nil:
			case fd.IsList():
				for i := range v.List().Len() {
					if !visit(v.List().Get(i).Message()) {
						break
					}
				}
			default:
				visit(v.Message())
			}
			return err == nil
		})
		return err == nil
	}
	visit(m.ProtoReflect())
	return err
}

// decodeWhatFits reads the documents that are objects of known kinds.
func decodeWhatFits(data []byte) []store.Object {
	var out []store.Object
	for _, doc := range bytes.Split(data, []byte("\n---\n")) {
		var head struct{ APIVersion, Kind string }
		if yaml.Unmarshal(doc, &head) != nil {
			continue
		}
		group, _, ok := strings.Cut(head.APIVersion, "/")
		if !ok {
			group = ""
		}
		info, ok := store.Info(store.Kind{Group: group, Kind: head.Kind})
		if !ok {
			continue
		}
		o := info.New()
		if yaml.Unmarshal(doc, o) != nil {
			continue
		}
		if info.Namespaced && o.GetNamespace() == "" {
			o.SetNamespace("default")
		}
		out = append(out, o)
	}
	return out
}
