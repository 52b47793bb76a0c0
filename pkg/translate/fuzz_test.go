package translate_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	"sigs.k8s.io/yaml"

	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// FuzzTranslate translates whatever objects can be made out of bytes. Nothing
// may go wrong inside, however odd they are, and no name may be used twice in
// what Envoy gets.
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
		tr := translate.New(settings())
		for _, o := range decodeWhatFits(data) {
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
		for k, s := range ch.Snapshots {
			for _, typ := range []xds.Type{xds.ListenerType, xds.RouteType, xds.ClusterType, xds.SecretType} {
				list := s.Of(typ)
				for i := range list[:max(0, len(list)-1)] {
					if list[i].Name == list[i+1].Name {
						t.Errorf("%s has two of %s %s", k, typ, list[i].Name)
					}
				}
			}
		}
	})
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
