package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/egctl/egctl/test/e2e/suite"
)

// secretMark is in the certificate of the Gateway that others are after.
const secretMark = "secret.example.com"

// TestForeignProxy has a proxy of one Gateway ask for what is another's.
func TestForeignProxy(t *testing.T) {
	t.Parallel()
	s := shared.Get(t)
	s.Installed(t, suite.Defaults)
	a, b := s.Site(t, suite.SiteOptions{}), s.Site(t, suite.SiteOptions{})
	certificate, key := selfSigned(t, secretMark)
	s.Apply(t, b.Namespace, fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: certificate}
type: kubernetes.io/tls
data: {tls.crt: %s, tls.key: %s}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: eg}
spec:
  gatewayClassName: %s
  listeners:
  - {name: http, protocol: HTTP, port: 80}
  - {name: https, protocol: HTTPS, port: 443, hostname: %s, tls: {certificateRefs: [{name: certificate}]}}
`, base64.StdEncoding.EncodeToString(certificate), base64.StdEncoding.EncodeToString(key), b.Class, secretMark))
	s.Programmed(t, b.Namespace, b.Gateway)

	pod := onePod(t, b).Name
	own := claim{cluster: b.Namespace + "/" + b.Gateway, id: pod, certificate: clientCertificate(t, b)}
	wanted := ownConfiguration(t, s, own, b)
	if len(wanted[typeSecret]) == 0 {
		t.Fatal("the proxy of the Gateway is not given its certificate")
	}
	made, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]claim{
		"the certificate of another Gateway's proxy": {own.cluster, own.id, "", clientCertificate(t, a)},
		"a certificate of its own making":            {own.cluster, own.id, "", &made},
		"no certificate":                             {own.cluster, own.id, "", nil},
	} {
		t.Run(what, func(t *testing.T) { getsNothing(t, s, c, wanted, b) })
	}
}

// selfSigned makes a certificate and its key, in PEM.
func selfSigned(t *testing.T, host string) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	var c, k bytes.Buffer
	if err := pem.Encode(&c, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
		t.Fatal(err)
	}
	if err := pem.Encode(&k, &pem.Block{Type: "PRIVATE KEY", Bytes: encoded}); err != nil {
		t.Fatal(err)
	}
	return c.Bytes(), k.Bytes()
}

func decode(t *testing.T, value []byte, into proto.Message) {
	t.Helper()
	if err := proto.Unmarshal(value, into); err != nil {
		t.Fatal(err)
	}
}
