package translate_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"regexp"
	"sync"
	"testing"
	"time"
)

// testPKI makes the certificates of the tests, so that no private key lies
// around in the repository:
//
//	ca.crt, other-ca.crt        authorities
//	server.crt, server.key      *.example.com and spiffe://example.com/server, by ca
//	client.crt, client.key      a client, by ca
//	stranger.crt, stranger.key  a client, by other-ca
//	weak.crt, weak.key          on a curve that Envoy refuses
var testPKI = sync.OnceValues(func() (map[string][]byte, error) {
	files := map[string][]byte{}
	serial := int64(0)
	issue := func(name string, curve elliptic.Curve, parent *x509.Certificate, signer crypto.Signer, edit func(*x509.Certificate)) (*x509.Certificate, crypto.Signer, error) {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			return nil, nil, err
		}
		serial++
		c := &x509.Certificate{
			SerialNumber: big.NewInt(serial),
			Subject:      pkix.Name{CommonName: name},
			NotBefore:    time.Now().Add(-time.Hour),
			NotAfter:     time.Now().Add(24 * time.Hour),
			KeyUsage:     x509.KeyUsageDigitalSignature,
		}
		edit(c)
		if parent == nil {
			parent, signer = c, key
		}
		der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
		if err != nil {
			return nil, nil, err
		}
		k, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, nil, err
		}
		files[name+".crt"] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
		files[name+".key"] = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: k})
		c, err = x509.ParseCertificate(der)
		return c, key, err
	}
	authority := func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	}
	ca, caKey, err := issue("ca", elliptic.P256(), nil, nil, authority)
	if err != nil {
		return nil, err
	}
	other, otherKey, err := issue("other-ca", elliptic.P256(), nil, nil, authority)
	if err != nil {
		return nil, err
	}
	server := func(c *x509.Certificate) {
		c.DNSNames = []string{"example.com", "*.example.com"}
		c.URIs = []*url.URL{{Scheme: "spiffe", Host: "example.com", Path: "/server"}}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	client := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }
	if _, _, err := issue("server", elliptic.P256(), ca, caKey, server); err != nil {
		return nil, err
	}
	if _, _, err := issue("weak", elliptic.P224(), ca, caKey, server); err != nil {
		return nil, err
	}
	if _, _, err := issue("client", elliptic.P256(), ca, caKey, client); err != nil {
		return nil, err
	}
	_, _, err = issue("stranger", elliptic.P256(), other, otherKey, client)
	return files, err
})

var pkiFile = regexp.MustCompile(`\$(base64|text)\(([a-z.-]+)\)`)

// withPKI puts certificates into YAML: $base64(server.crt) where a Secret's data
// belong, $text(ca.crt) where text does.
func withPKI(t testing.TB, data []byte) []byte {
	t.Helper()
	files, err := testPKI()
	if err != nil {
		t.Fatal(err)
	}
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
