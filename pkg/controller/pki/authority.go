package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Keys of the Secrets beside those that Kubernetes names for its TLS Secrets.
const (
	bundleKey   = "ca.crt"
	nextCertKey = "next.crt"
	nextKeyKey  = "next.key"
)

// commonName is that of the CAs and of the controller's certificate.
const commonName = "envoy-gateway"

// backdate allows for clocks that are behind.
const backdate = time.Hour

// pair is a certificate with its key.
type pair struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// authority is the content of the CA's Secret.
type authority struct {
	signer *pair
	// next is trusted already, and signs when everybody knows it; nil: there is none.
	next *pair
	// bundle are the trusted CAs: the signer, next, and those that signed before.
	bundle []*x509.Certificate
}

// newAuthority makes a CA; trusted are further CAs to be trusted.
func newAuthority(now time.Time, t terms, trusted ...*x509.Certificate) (*authority, error) {
	signer, err := newCA(now, t.caValidity)
	if err != nil {
		return nil, err
	}
	a := &authority{signer: signer, bundle: trusted}
	a.bundle = a.trusted(now)
	return a, nil
}

func newCA(now time.Time, validity time.Duration) (*pair, error) {
	key, serial, err := newKey()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		// A name of its own for each CA: who builds a chain finds the one that
		// signed by name.
		Subject:               pkix.Name{CommonName: commonName, SerialNumber: hex.EncodeToString(serial.Bytes()[:8])},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(validity),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make a CA certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make a CA certificate: %w", err)
	}
	return &pair{cert: cert, key: key}, nil
}

// newKey returns a key and a serial number of 127 random bits (CA/Browser Forum
// baseline requirements, 7.1: at least 64).
func newKey() (*ecdsa.PrivateKey, *big.Int, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	raw := make([]byte, 16)
	if _, err := rand.Read(raw); err != nil {
		return nil, nil, fmt.Errorf("make a serial number: %w", err)
	}
	raw[0] = raw[0]&0x7f | 0x40 // positive, and always as long
	return key, new(big.Int).SetBytes(raw), nil
}

// parseAuthority reads the CA's Secret. On an error the certificates are those of the
// bundle that can be trusted all the same.
func parseAuthority(data map[string][]byte, now time.Time) (*authority, []*x509.Certificate, error) {
	a := &authority{}
	if certs, err := parseCertificates(data[bundleKey]); err == nil {
		a.bundle = certs
	}
	a.bundle = a.trusted(now)
	var err error
	if a.signer, err = parseCA(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey]); err != nil {
		return nil, a.bundle, err
	}
	// A successor that cannot be read is as good as none: another will be made.
	if next, err := parseCA(data[nextCertKey], data[nextKeyKey]); err == nil {
		a.next = next
	}
	return a, a.bundle, nil
}

func parseCA(cert, key []byte) (*pair, error) {
	p, err := parsePair(cert, key)
	if err != nil {
		return nil, err
	}
	if !p.cert.IsCA || p.cert.CheckSignatureFrom(p.cert) != nil {
		return nil, fmt.Errorf("certificate %q is no CA", p.cert.Subject)
	}
	return p, nil
}

// step returns the authority as it is to be, and why it differs from a; "": it does
// not. known says that all who verify have known next for long enough.
func (a *authority) step(now time.Time, t terms, known bool) (*authority, string, error) {
	b := &authority{signer: a.signer, next: a.next, bundle: a.bundle}
	var why string
	if b.next != nil && !now.Before(b.next.cert.NotAfter) {
		b.next, why = nil, "the successor has expired unused"
	}
	left := b.signer.cert.NotAfter.Sub(now)
	switch {
	case left <= 0 && b.next == nil:
		// Whatever it signed has expired with it: there is nobody to wait for.
		n, err := newAuthority(now, t)
		return n, "the CA has expired", err
	case b.next != nil && (known || left <= t.caRenew/2):
		// Who could not be told for that long does not hold up the others.
		b.signer, b.next, why = b.next, nil, "all know the new CA, which signs from now on"
	case b.next == nil && left <= t.caRenew:
		next, err := newCA(now, t.caValidity)
		if err != nil {
			return nil, "", err
		}
		b.next, why = next, "the CA is to be succeeded: a new one is announced"
	}
	if b.bundle = b.trusted(now); why == "" && !slices.EqualFunc(a.bundle, b.bundle, (*x509.Certificate).Equal) {
		why = "the bundle is not what it is to be"
	}
	return b, why, nil
}

// due is when step has something to do again, but for the promotion of next.
func (a *authority) due(t terms) time.Time {
	at := a.signer.cert.NotAfter.Add(-t.caRenew)
	if a.next != nil {
		at = a.signer.cert.NotAfter.Add(-t.caRenew / 2)
	}
	for _, c := range a.bundle {
		if c.NotAfter.Before(at) {
			at = c.NotAfter
		}
	}
	return at
}

// trusted is the bundle without what has expired, with the signer and next in it,
// newest first.
func (a *authority) trusted(now time.Time) []*x509.Certificate {
	var out []*x509.Certificate
	add := func(c *x509.Certificate) {
		if c.IsCA && c.Subject.CommonName == commonName && now.Before(c.NotAfter) && !slices.ContainsFunc(out, c.Equal) {
			out = append(out, c)
		}
	}
	for _, p := range []*pair{a.signer, a.next} {
		if p != nil {
			add(p.cert)
		}
	}
	for _, c := range a.bundle {
		add(c)
	}
	slices.SortStableFunc(out, func(x, y *x509.Certificate) int {
		if n := y.NotAfter.Compare(x.NotAfter); n != 0 {
			return n
		}
		return bytes.Compare(x.Raw, y.Raw)
	})
	return out
}

// pem is the bundle as it goes into Secrets.
func (a *authority) pem() []byte {
	var b bytes.Buffer
	for _, c := range a.bundle {
		b.Write(encodeCertificate(c.Raw))
	}
	return b.Bytes()
}

// data is the content of the Secret. A nil value is a key that must not be there.
func (a *authority) data() (map[string][]byte, error) {
	key, err := encodeKey(a.signer.key)
	if err != nil {
		return nil, err
	}
	data := map[string][]byte{
		corev1.TLSCertKey: encodeCertificate(a.signer.cert.Raw), corev1.TLSPrivateKeyKey: key,
		nextCertKey: nil, nextKeyKey: nil,
		bundleKey: a.pem(),
	}
	if a.next != nil {
		if data[nextKeyKey], err = encodeKey(a.next.key); err != nil {
			return nil, err
		}
		data[nextCertKey] = encodeCertificate(a.next.cert.Raw)
	}
	return data, nil
}

// parsePair reads a certificate and the key that belongs to it. Further certificates
// after the first are not looked at.
func parsePair(cert, key []byte) (*pair, error) {
	certs, err := parseCertificates(cert)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(key)
	if block == nil {
		return nil, errors.New("the key is not PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		// The parser's words may quote what it read.
		return nil, fmt.Errorf("a block %q of PEM is no key in PKCS #8", block.Type)
	}
	signer, ok := parsed.(*ecdsa.PrivateKey)
	switch {
	case !ok:
		return nil, fmt.Errorf("a key of type %T is none of ours", parsed)
	case !signer.PublicKey.Equal(certs[0].PublicKey):
		return nil, errors.New("the key does not belong to the certificate")
	}
	return &pair{cert: certs[0], key: signer}, nil
}

func parseCertificates(text []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for rest := bytes.TrimSpace(text); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" {
			return nil, errors.New("not certificates in PEM")
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("damaged certificate: %w", err)
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, errors.New("no certificate")
	}
	return certs, nil
}

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
