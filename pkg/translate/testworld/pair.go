package testworld

import "github.com/egctl/egctl/internal/testcert"

// Pair is a self-signed certificate and its key in PEM.
type Pair struct{ Certificate, Key string }

// Pairs are made once for a test binary.
var Pairs = []Pair{NewPair("example.com"), NewPair("*.example.com")}

// NewPair makes a certificate for a DNS name that is its own CA.
func NewPair(name string) Pair {
	p := testcert.SelfSigned(name)
	return Pair{Certificate: string(p.Certificate), Key: string(p.Key)}
}
