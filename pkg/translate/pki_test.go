package translate_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"sync"
	"testing"

	"github.com/egctl/egctl/internal/testcert"
)

// testPKI makes the certificates of the tests, so that no private key lies
// around in the repository:
//
//	ca.crt, other-ca.crt        authorities
//	server.crt, server.key      *.example.com and spiffe://example.com/server, by ca
//	client.crt, client.key      a client, by ca
//	stranger.crt, stranger.key  a client, by other-ca
//	weak.crt, weak.key          on a curve that Envoy refuses
var testPKI = sync.OnceValue(func() map[string][]byte {
	files := map[string][]byte{}
	add := func(name string, p *testcert.Pair) {
		files[name+".crt"], files[name+".key"] = p.Certificate, p.Key
	}
	ca, other := testcert.Authority("ca"), testcert.Authority("other-ca")
	add("ca", ca)
	add("other-ca", other)
	server := func(c *testcert.Template) {
		c.DNSNames = []string{"example.com", "*.example.com"}
		c.URIs = []*url.URL{{Scheme: "spiffe", Host: "example.com", Path: "/server"}}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	client := func(c *testcert.Template) {
		c.DNSNames, c.ExtKeyUsage = nil, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	weak := func(c *testcert.Template) {
		var err error
		if c.PrivateKey, err = ecdsa.GenerateKey(elliptic.P224(), rand.Reader); err != nil {
			panic(err)
		}
	}
	add("server", ca.Issue("server", server))
	add("weak", ca.Issue("weak", server, weak))
	add("client", ca.Issue("client", client))
	add("stranger", other.Issue("stranger", client))
	return files
})

var pkiFile = regexp.MustCompile(`\$(base64|text)\(([a-z.-]+)\)`)

// withPKI puts certificates into YAML: $base64(server.crt) where a Secret's data
// belong, $text(ca.crt) where text does.
func withPKI(t testing.TB, data []byte) []byte {
	t.Helper()
	files := testPKI()
	return pkiFile.ReplaceAllFunc(data, func(m []byte) []byte {
		part := pkiFile.FindSubmatch(m)
		file, ok := files[string(part[2])]
		if !ok {
			t.Fatal(fmt.Errorf("no file %s", part[2]))
		}
		if string(part[1]) == "base64" {
			return []byte(base64.StdEncoding.EncodeToString(file))
		}
		quoted, err := json.Marshal(string(file))
		if err != nil {
			t.Fatal(err)
		}
		return quoted
	})
}
