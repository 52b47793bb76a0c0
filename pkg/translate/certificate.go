package translate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	certificates "k8s.io/api/certificates/v1beta1"
	core "k8s.io/api/core/v1"

	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// certificateProblem says why a Secret is not a usable key pair; empty if it
// is. Its readers are spared the renewal of a good certificate by a good one.
var certificateProblem = incr.NewQuery("certificate problem", func(c *incr.Context, k store.Key) string {
	s, ok := store.Get[*core.Secret](c, k)
	if !ok {
		return "does not exist"
	}
	crt, key := s.Data[core.TLSCertKey], s.Data[core.TLSPrivateKeyKey]
	if len(crt) == 0 || len(key) == 0 {
		return fmt.Sprintf("has no %s and %s", core.TLSCertKey, core.TLSPrivateKeyKey)
	}
	pair, err := tls.X509KeyPair(crt, key)
	if err != nil {
		return "is not a key pair: " + err.Error()
	}
	return weakKey(pair.PrivateKey)
}, incr.Equal[store.Key](equal[string]))

// weakKey says why Envoy would refuse a private key; empty if it would not. A
// listener whose key is refused waits for a better one with all its port.
func weakKey(key any) string {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() < 2048 {
			return fmt.Sprintf("has an RSA key of %d bits; Envoy takes 2048 and more", k.N.BitLen())
		}
	case *ecdsa.PrivateKey:
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() && k.Curve != elliptic.P521() {
			return "has an ECDSA key on " + k.Params().Name + "; Envoy takes P-256, P-384 and P-521"
		}
	}
	return ""
}

// certificateSecret is the SDS resource of a key pair; nil while it is unusable.
var certificateSecret = incr.NewQuery("certificate secret", func(c *incr.Context, k store.Key) *xds.Resource {
	if certificateProblem.Get(c, k) != "" {
		return nil
	}
	s, _ := store.Get[*core.Secret](c, k)
	return xds.CertificateSecret(certificateName(k), s.Data[core.TLSCertKey], s.Data[core.TLSPrivateKeyKey], k.Object())
}, incr.Equal[store.Key](xds.Equal))

// certificateName is the SDS name of a key pair.
func certificateName(k store.Key) string { return k.Namespace + "/" + k.Name }

// trustKind says whether CA certificates can be read from a kind.
func trustKind(k store.Kind) bool {
	return k == store.ConfigMap || k == store.Secret || k == store.ClusterTrustBundle
}

// trust is what an object says about certificate authorities.
type trust struct {
	PEM     string
	Problem string
}

// trustAnchors reads CA certificates from an object of a [trustKind].
var trustAnchors = incr.NewQuery("trust anchors", func(c *incr.Context, k store.Key) trust {
	var data string
	switch k.Kind {
	case store.ConfigMap:
		m, ok := store.Get[*core.ConfigMap](c, k)
		if !ok {
			return trust{Problem: "does not exist"}
		}
		data = m.Data["ca.crt"]
	case store.Secret:
		s, ok := store.Get[*core.Secret](c, k)
		if !ok {
			return trust{Problem: "does not exist"}
		}
		data = string(s.Data["ca.crt"])
	case store.ClusterTrustBundle:
		b, ok := store.Get[*certificates.ClusterTrustBundle](c, k)
		if !ok {
			return trust{Problem: "does not exist"}
		}
		data = b.Spec.TrustBundle
	}
	if data == "" {
		return trust{Problem: "has no ca.crt"}
	}
	if err := checkCertificates([]byte(data)); err != nil {
		return trust{Problem: err.Error()}
	}
	return trust{PEM: data}
}, incr.Equal[store.Key](equal[trust]))

// trustProblem is the Problem of trustAnchors alone: who only asks whether the
// anchors are usable is not run again when they are renewed.
var trustProblem = incr.NewQuery("trust problem", func(c *incr.Context, k store.Key) string {
	return trustAnchors.Get(c, k).Problem
}, incr.Equal[store.Key](equal[string]))

// checkCertificates demands that data is PEM with nothing but certificates,
// since Envoy refuses a resource with one bad certificate as a whole.
func checkCertificates(data []byte) error {
	n := 0
	for len(data) > 0 {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("holds a PEM block of type %q where only certificates belong", block.Type)
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Errorf("holds a bad certificate: %w", err)
		}
		n, data = n+1, rest
	}
	if n == 0 {
		return errors.New("holds no PEM certificate")
	}
	return nil
}
