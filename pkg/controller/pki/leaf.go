package pki

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net/url"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/egctl/egctl/pkg/wellknown"
)

// leaf says what a certificate is to say.
type leaf struct {
	dns   []string
	uri   *url.URL
	usage x509.ExtKeyUsage
}

// serverLeaf is the controller's own. The names are those under which a proxy may
// find the Service; Envoy demands the first of them.
func serverLeaf(namespace, clusterDomain string) leaf {
	const service = wellknown.Deployment
	return leaf{
		dns: []string{
			service, service + "." + namespace, service + "." + namespace + ".svc",
			service + "." + namespace + ".svc." + clusterDomain,
		},
		usage: x509.ExtKeyUsageServerAuth,
	}
}

// clientLeaf is that of a fleet. It is good for a client only: the proxy of a Gateway
// cannot pose as the controller with it.
func clientLeaf(uri *url.URL) leaf { return leaf{uri: uri, usage: x509.ExtKeyUsageClientAuth} }

// issue signs a new certificate with a new key, and returns the content of its Secret.
func (a *authority) issue(now time.Time, t terms, l leaf) (map[string][]byte, error) {
	key, serial, err := newKey()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		NotBefore:    now.Add(-backdate),
		NotAfter:     a.ends(now, t),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{l.usage},
		DNSNames:     l.dns,
	}
	if l.usage == x509.ExtKeyUsageServerAuth {
		template.Subject = pkix.Name{CommonName: commonName}
	}
	if l.uri != nil {
		template.URIs = []*url.URL{l.uri}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.signer.cert, key.Public(), a.signer.key)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	encoded, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		corev1.TLSCertKey: encodeCertificate(der), corev1.TLSPrivateKeyKey: encoded, bundleKey: a.pem(),
	}, nil
}

// ends is when a certificate expires that is signed now: not after the CA does.
func (a *authority) ends(now time.Time, t terms) time.Time {
	end := now.Add(t.leafValidity).Truncate(time.Second) // as certificates say it
	if limit := a.signer.cert.NotAfter; limit.Before(end) {
		return limit
	}
	return end
}

// revise returns what the Secret of a leaf is to hold, given what it holds, and why it
// has to change; "": it need not.
func (a *authority) revise(now time.Time, t terms, l leaf, data map[string][]byte) (map[string][]byte, string, error) {
	why := a.flaw(now, t, l, data)
	switch {
	case why != "":
		data, err := a.issue(now, t, l)
		return data, why, err
	case !bytes.Equal(data[bundleKey], a.pem()):
		return map[string][]byte{
			corev1.TLSCertKey: data[corev1.TLSCertKey], corev1.TLSPrivateKeyKey: data[corev1.TLSPrivateKeyKey], bundleKey: a.pem(),
		}, "the bundle has changed", nil
	}
	return data, "", nil
}

// flaw says why the certificate in data must be replaced.
func (a *authority) flaw(now time.Time, t terms, l leaf, data map[string][]byte) string {
	if len(data) == 0 {
		return "there is none yet"
	}
	p, err := parsePair(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return err.Error()
	}
	roots := x509.NewCertPool()
	for _, c := range a.bundle {
		roots.AddCert(c)
	}
	if _, err := p.cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{l.usage}}); err != nil {
		return err.Error()
	}
	var uris []string
	for _, u := range p.cert.URIs {
		uris = append(uris, u.String())
	}
	var want []string
	if l.uri != nil {
		want = []string{l.uri.String()}
	}
	switch {
	case !slices.Equal(p.cert.DNSNames, l.dns) || !slices.Equal(uris, want):
		return fmt.Sprintf("its names are %q %q", p.cert.DNSNames, uris)
	case !now.Before(p.cert.NotAfter.Add(-t.leafRenew)) && p.cert.NotAfter.Before(a.ends(now, t)):
		// With a CA near its end a new one would be no better, until another signs.
		return "it expires at " + p.cert.NotAfter.UTC().Format(time.RFC3339)
	}
	return ""
}

// renewal is when the certificate in data, which is without a flaw, is to be replaced.
func renewal(data map[string][]byte, t terms) (time.Time, error) {
	certs, err := parseCertificates(data[corev1.TLSCertKey])
	if err != nil {
		return time.Time{}, err
	}
	return certs[0].NotAfter.Add(-t.leafRenew), nil
}
