// Package testcert makes certificates for tests: of authorities, by them, and
// self-signed. It panics where that cannot be done, which only a template that makes no
// sense is the cause of.
package testcert

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"time"
)

// Pair is a certificate and its private key.
type Pair struct {
	// Certificate and Key are PEM, the key as PKCS #8.
	Certificate, Key []byte
	X509             *x509.Certificate
	signer           crypto.Signer
}

// Template is what a certificate is to be, before it is signed.
type Template struct {
	x509.Certificate
	// PrivateKey is what its key is to be; nil: a new one on the curve P-256.
	PrivateKey crypto.Signer
}

// Edit changes a template.
type Edit func(*Template)

// Authority makes a CA of a name.
func Authority(name string, edits ...Edit) *Pair {
	return sign(nil, name, append([]Edit{authority}, edits...))
}

// SelfSigned makes a certificate for a DNS name that is its own CA.
func SelfSigned(name string, edits ...Edit) *Pair {
	both := func(c *Template) {
		authority(c)
		leaf(c)
		c.KeyUsage |= x509.KeyUsageCertSign
	}
	return sign(nil, name, append([]Edit{both}, edits...))
}

// Issue makes a certificate for a DNS name, for servers and clients.
func (p *Pair) Issue(name string, edits ...Edit) *Pair {
	return sign(p, name, append([]Edit{leaf}, edits...))
}

// TLS is the pair as crypto/tls takes it.
func (p *Pair) TLS() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{p.X509.Raw}, PrivateKey: p.signer, Leaf: p.X509}
}

// Pool trusts the certificate and no other.
func (p *Pair) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.X509)
	return pool
}

func authority(c *Template) {
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
}

func leaf(c *Template) {
	c.DNSNames = []string{c.Subject.CommonName}
	c.KeyUsage = x509.KeyUsageDigitalSignature
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
}

// sign makes a certificate; without a parent it signs itself.
func sign(parent *Pair, name string, edits []Edit) *Pair {
	t := &Template{Certificate: x509.Certificate{
		Subject:   pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}}
	for _, e := range edits {
		e(t)
	}
	if t.PrivateKey == nil {
		t.PrivateKey = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	}
	by, signer := &t.Certificate, t.PrivateKey
	if parent != nil {
		by, signer = parent.X509, parent.signer
	}
	der := must(x509.CreateCertificate(rand.Reader, &t.Certificate, by, t.PrivateKey.Public(), signer))
	return &Pair{
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(t.PrivateKey))}),
		X509:        must(x509.ParseCertificate(der)),
		signer:      t.PrivateKey,
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
