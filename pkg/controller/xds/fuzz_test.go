package xds

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	encoded "github.com/egctl/egctl/pkg/translate/xds"
)

// FuzzReferences looks for the names of clusters in arbitrary bytes, and demands
// that one that is there, as a field of a message, is found.
func FuzzReferences(f *testing.F) {
	f.Add([]byte{}, "web")
	f.Add([]byte("\x0a\x03web"), "web")
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), "service/default/web/8080")
	f.Fuzz(func(t *testing.T, body []byte, name string) {
		if name == "" {
			return
		}
		r := newReferences()
		r.add(name)
		r.any(body)
		assignmentOf(&encoded.Resource{Body: body})
		with := protowire.AppendTag(append([]byte(nil), body...), 1, protowire.BytesType)
		if !r.any(protowire.AppendString(with, name)) {
			t.Errorf("%q is not found", name)
		}
	})
}

// FuzzNamedIn looks for names in arbitrary messages of a proxy, and demands that
// one that stands alone between blanks is found.
func FuzzNamedIn(f *testing.F) {
	f.Add("Error adding/updating cluster(s) web: no", "web")
	f.Add("", "a/b.c-d")
	f.Fuzz(func(t *testing.T, message, name string) {
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r > 0x7e || r <= ' ' }) {
			return
		}
		list := []*encoded.Resource{{Name: name}}
		namedIn(message, list)
		if len(namedIn(message+" "+name+" ", list)) != 1 {
			t.Errorf("%q is not found", name)
		}
	})
}
