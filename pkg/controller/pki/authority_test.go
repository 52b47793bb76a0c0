package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/egctl/egctl/internal/testcert"
	"github.com/egctl/egctl/pkg/controller/identity"
)

var (
	start = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	days  = 24 * time.Hour
)

func defaultTerms(t *testing.T) terms {
	t.Helper()
	terms, err := (&Options{}).terms()
	if err != nil {
		t.Fatal(err)
	}
	return terms
}

func leafOf(t *testing.T, fleet string) leaf {
	t.Helper()
	uri, err := identity.URI("cluster.local", fleet)
	if err != nil {
		t.Fatal(err)
	}
	return clientLeaf(uri)
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// reread is what another leader reads out of the Secret.
func reread(t *testing.T, a *authority, now time.Time) *authority {
	t.Helper()
	b, _, err := parseAuthority(must(a.data())(t), now)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestYearsOfRotation lets time pass in steps of half a day, with pods that get a
// renewed Secret late, and demands that controller and proxy always trust each other.
func TestYearsOfRotation(t *testing.T) {
	terms := defaultTerms(t)
	// Of what is rotated here, everything happens several times.
	terms.caValidity, terms.caRenew = 400*days, 200*days
	step := 12 * time.Hour
	terms.propagation = 2 * step
	a := must(newAuthority(start, terms))(t)
	server, client := serverLeaf("ns", "cluster.local"), leafOf(t, "default/eg")
	var serverData, clientData map[string][]byte
	// What the pod has is what the Secret was one step ago.
	var mounted, secret map[string][]byte
	settled := start
	signers, leaves := map[string]bool{}, map[string]bool{}
	for now := start; now.Before(start.Add(5 * 365 * days)); now = now.Add(step) {
		a = reread(t, a, now)
		known := bytes.Equal(serverData[bundleKey], a.pem()) && bytes.Equal(clientData[bundleKey], a.pem()) && now.Sub(settled) >= terms.propagation
		next, why, err := a.step(now, terms, known)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(why, "expired") {
			t.Fatalf("%s: %s", now, why)
		}
		a = next
		for l, data := range map[*leaf]*map[string][]byte{&server: &serverData, &client: &clientData} {
			before := *data
			if *data, _, err = a.revise(now, terms, *l, before); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(before[bundleKey], (*data)[bundleKey]) {
				settled = now
			}
		}
		mounted, secret = secret, clientData
		if mounted == nil {
			mounted = secret
		}
		verify(t, now, serverData, mounted[bundleKey], x509.ExtKeyUsageServerAuth)
		verify(t, now, mounted, serverData[bundleKey], x509.ExtKeyUsageClientAuth)
		if n := len(a.bundle); n > 3 {
			t.Fatalf("%s: %d CAs are trusted", now, n)
		}
		signers[a.signer.cert.SerialNumber.String()] = true
		leaves[string(clientData[corev1.TLSCertKey])] = true
	}
	if len(signers) < 8 || len(leaves) < 25 {
		t.Errorf("%d CAs and %d client certificates in 5 years: the test shows little", len(signers), len(leaves))
	}
	if len(leaves) > 40 {
		t.Errorf("%d client certificates in 5 years, about 31 are needed", len(leaves))
	}
}

func verify(t *testing.T, now time.Time, data map[string][]byte, bundle []byte, usage x509.ExtKeyUsage) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	cert := must(parseCertificates(data[corev1.TLSCertKey]))(t)[0]
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}}); err != nil {
		t.Fatalf("%s: %v", now, err)
	}
}

func TestASuccessorSignsWhenAllKnowIt(t *testing.T) {
	terms := defaultTerms(t)
	a := must(newAuthority(start, terms))(t)
	first := a.signer.cert
	if _, why, err := a.step(start.Add(364*days), terms, true); why != "" || err != nil {
		t.Fatalf("before half of its time: %q, %v", why, err)
	}
	now := start.Add(366 * days)
	a, why, err := a.step(now, terms, true)
	if err != nil || why == "" || a.next == nil || !a.signer.cert.Equal(first) || len(a.bundle) != 2 {
		t.Fatalf("a successor is announced: %q, %v, %d trusted", why, err, len(a.bundle))
	}
	a = reread(t, a, now)
	if _, why, _ := a.step(now.Add(days), terms, false); why != "" {
		t.Fatalf("nobody knows it yet, but %s", why)
	}
	if b, why, _ := a.step(now.Add(200*days), terms, false); why == "" || b.next != nil {
		t.Error("a Secret that cannot be written holds up the succession for ever")
	}
	a, why, err = a.step(now.Add(days), terms, true)
	if err != nil || why == "" || a.next != nil || a.signer.cert.Equal(first) || len(a.bundle) != 2 {
		t.Fatalf("it signs: %q, %v, %d trusted", why, err, len(a.bundle))
	}
	a = reread(t, a, now)
	if a, _, _ = a.step(first.NotAfter.Add(-time.Second), terms, false); !bytes.Contains(a.pem(), encodeCertificate(first.Raw)) {
		t.Error("the first CA has left the bundle before its time")
	}
	if a, _, _ = a.step(first.NotAfter, terms, false); bytes.Contains(a.pem(), encodeCertificate(first.Raw)) {
		t.Error("the first CA is trusted after its time")
	}
}

func TestAControllerThatWasAwayForYears(t *testing.T) {
	terms := defaultTerms(t)
	a := must(newAuthority(start, terms))(t)
	now := start.Add(3 * 365 * days)
	a = reread(t, a, now)
	a, why, err := a.step(now, terms, false)
	if err != nil || why == "" || len(a.bundle) != 1 {
		t.Fatalf("got %q, %v, %d trusted", why, err, len(a.bundle))
	}
	data := must(a.issue(now, terms, leafOf(t, "default/eg")))(t)
	verify(t, now, data, a.pem(), x509.ExtKeyUsageClientAuth)
}

func TestDamagedAuthority(t *testing.T) {
	terms := defaultTerms(t)
	good := must(must(newAuthority(start, terms))(t).data())(t)
	other := must(must(newAuthority(start, terms))(t).data())(t)
	leafOnly := must(must(newAuthority(start, terms))(t).issue(start, terms, leafOf(t, "eg")))(t)
	for name, test := range map[string]struct {
		spoil   func(map[string][]byte)
		broken  bool
		trusted int
	}{
		"untouched":              {func(map[string][]byte) {}, false, 1},
		"no bundle":              {func(d map[string][]byte) { delete(d, bundleKey) }, false, 1},
		"a bundle of garbage":    {func(d map[string][]byte) { d[bundleKey] = []byte("x") }, false, 1},
		"a successor of garbage": {func(d map[string][]byte) { d[nextCertKey], d[nextKeyKey] = []byte("x"), []byte("y") }, false, 1},
		"no key":                 {func(d map[string][]byte) { delete(d, corev1.TLSPrivateKeyKey) }, true, 1},
		"another's key":          {func(d map[string][]byte) { d[corev1.TLSPrivateKeyKey] = other[corev1.TLSPrivateKeyKey] }, true, 1},
		"a leaf in place of the CA": {func(d map[string][]byte) {
			d[corev1.TLSCertKey], d[corev1.TLSPrivateKeyKey] = leafOnly[corev1.TLSCertKey], leafOnly[corev1.TLSPrivateKeyKey]
		}, true, 1},
		"empty":   {func(d map[string][]byte) { clear(d) }, true, 0},
		"garbage": {func(d map[string][]byte) { d[corev1.TLSCertKey], d[bundleKey] = []byte("x"), []byte("-----BEGIN") }, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			data := merge(good)
			test.spoil(data)
			a, trusted, err := parseAuthority(data, start)
			if (err != nil) != test.broken || len(trusted) != 0 && test.trusted == 0 {
				t.Fatalf("got %v and %d trusted", err, len(trusted))
			}
			if err != nil {
				a = must(newAuthority(start, terms, trusted...))(t)
				test.trusted++ // the new one
			}
			a, why, _ := a.step(start, terms, false)
			if len(a.bundle) != test.trusted {
				t.Errorf("%d are trusted, want %d", len(a.bundle), test.trusted)
			}
			if name == "untouched" && why != "" {
				t.Errorf("a good one is changed: %s", why)
			}
		})
	}
}

func merge(data map[string][]byte) map[string][]byte {
	out := map[string][]byte{}
	for k, v := range data {
		out[k] = v
	}
	return out
}

func TestLeavesThatAreReplaced(t *testing.T) {
	terms := defaultTerms(t)
	a := must(newAuthority(start, terms))(t)
	stranger := must(newAuthority(start, terms))(t)
	l := leafOf(t, "default/eg")
	good := must(a.issue(start, terms, l))(t)
	with := func(of map[string][]byte, bundle []byte) map[string][]byte {
		of = merge(of)
		of[bundleKey] = bundle
		return of
	}
	for name, test := range map[string]struct {
		data map[string][]byte
		now  time.Time
		why  string // a part of it
		kept bool   // the certificate
	}{
		"good":                       {good, start, "", true},
		"good for long":              {good, start.Add(59 * days), "", true},
		"bundle of others":           {with(good, stranger.pem()), start, "bundle has changed", true},
		"two thirds are over":        {good, start.Add(61 * days), "expires at", false},
		"expired":                    {good, start.Add(91 * days), "expired", false},
		"empty":                      {nil, start, "none yet", false},
		"garbage":                    {map[string][]byte{corev1.TLSCertKey: []byte("x")}, start, "PEM", false},
		"signed by a stranger":       {with(must(stranger.issue(start, terms, l))(t), a.pem()), start, "unknown authority", false},
		"of another fleet":           {must(a.issue(start, terms, leafOf(t, "default/other")))(t), start, "spiffe://cluster.local/gateway/default/other", false},
		"of a server":                {must(a.issue(start, terms, serverLeaf("ns", "cluster.local")))(t), start, "incompatible key usage", false},
		"of Envoy Gateway's certgen": {certgen(t), start, "none of ours", false},
	} {
		t.Run(name, func(t *testing.T) {
			data, why, err := a.revise(test.now, terms, l, test.data)
			if err != nil || !strings.Contains(why, test.why) || (why == "") != (test.why == "") {
				t.Fatalf("got %q, %v, want %q", why, err, test.why)
			}
			if kept := bytes.Equal(data[corev1.TLSCertKey], test.data[corev1.TLSCertKey]); kept != test.kept {
				t.Errorf("kept: %t", kept)
			}
			verify(t, test.now, data, a.pem(), x509.ExtKeyUsageClientAuth)
			if _, again, _ := a.revise(test.now, terms, l, data); again != "" {
				t.Errorf("what was just made is to be replaced: %s", again)
			}
		})
	}
}

// certgen makes what Envoy Gateway's own job leaves behind: RSA, five years, a CA
// whose key nobody has.
func certgen(t *testing.T) map[string][]byte {
	t.Helper()
	of := func(c *testcert.Template) {
		c.PrivateKey = must(rsa.GenerateKey(rand.Reader, 2048))(t)
		c.NotBefore, c.NotAfter = start.Add(-days), start.Add(5*365*days)
	}
	ca := testcert.Authority("envoy-gateway", of)
	p := ca.Issue("*", of, func(c *testcert.Template) {
		c.DNSNames, c.KeyUsage, c.ExtKeyUsage = []string{"*.envoy-gateway-system"}, 0, nil
	})
	return map[string][]byte{bundleKey: ca.Certificate, corev1.TLSCertKey: p.Certificate, corev1.TLSPrivateKeyKey: p.Key}
}

func TestLeafNearTheEndOfItsCA(t *testing.T) {
	terms := defaultTerms(t)
	a := must(newAuthority(start, terms))(t)
	now := a.signer.cert.NotAfter.Add(-10 * days)
	l := leafOf(t, "eg")
	data := must(a.issue(now, terms, l))(t)
	cert := must(parseCertificates(data[corev1.TLSCertKey]))(t)[0]
	if !cert.NotAfter.Equal(a.signer.cert.NotAfter) {
		t.Errorf("it ends %s, its CA %s", cert.NotAfter, a.signer.cert.NotAfter)
	}
	if _, why, _ := a.revise(now.Add(days), terms, l, data); why != "" {
		t.Errorf("it is renewed again and again to no avail: %s", why)
	}
}

func TestKeysAreNotQuoted(t *testing.T) {
	key := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))(t)
	der := must(x509.MarshalECPrivateKey(key))(t)
	cert := must(must(newAuthority(start, defaultTerms(t)))(t).data())(t)[corev1.TLSCertKey]
	_, err := parsePair(cert, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
	if err == nil || !strings.Contains(err.Error(), "PKCS #8") {
		t.Errorf("got %v", err)
	}
}

func TestOptions(t *testing.T) {
	for want, o := range map[string]Options{
		"":                    {},
		"cannot be renewed":   {LeafValidity: time.Hour, LeafRenewBefore: time.Hour},
		"leaves no room":      {CAValidity: 100 * days},
		"cannot be succeeded": {CAValidity: 100 * days, CARenewBefore: 101 * days},
	} {
		if _, err := o.terms(); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("without a client there is nothing to do")
	}
}
