package local_test

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/egctl/egctl/pkg/local"
)

func TestParseBackend(t *testing.T) {
	for in, want := range map[string]string{
		"web:8080=127.0.0.1:3000":      "default/web:8080 at 127.0.0.1:3000",
		"shop/web:80=[::1]:3000":       "shop/web:80 at [::1]:3000",
		"web=127.0.0.1:3000":           "no port",
		"web:8080":                     "there is no =",
		"web:8080=127.0.0.1":           "port",
		"web:99999=127.0.0.1:3000":     "no port",
		"web:8080=127.0.0.1:0":         "the address has no port",
		":8080=127.0.0.1:3000":         "no name",
		"web:8080=no such host:3000":   "has no address",
		"web:8080=127.0.0.1:3000=more": "",
	} {
		b, err := local.ParseBackend(context.Background(), in, "default")
		got := b.Namespace + "/" + b.Name + ":" + itoa(b.Port) + " at " + b.Address.String()
		if err != nil {
			got = err.Error()
			if !strings.Contains(got, "[namespace/]name:port=host:port") {
				t.Errorf("%q: the error does not say how to write it: %v", in, err)
			}
		}
		if !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// FuzzParseBackend demands that what is accepted can be used. Hosts are kept to
// addresses, which are not looked up.
func FuzzParseBackend(f *testing.F) {
	for _, s := range []string{"web:8080=127.0.0.1:3000", "shop/web:80=[::1]:3000", "=:", "a/b/c:1=1.1.1.1:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if _, address, _ := strings.Cut(s, "="); strings.Trim(address, "0123456789.:[]") != "" {
			return
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // a name is not looked up
		b, err := local.ParseBackend(ctx, s, "default")
		if err == nil && (b.Name == "" || b.Port < 1 || !b.Address.IsValid() || b.Address.Port() == 0) {
			t.Errorf("%q became %+v", s, b)
		}
	})
}

func itoa(n int32) string { return strconv.Itoa(int(n)) }
