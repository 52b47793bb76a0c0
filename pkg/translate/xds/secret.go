package xds

import (
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"

	"github.com/egctl/egctl/pkg/finding"
)

// mustEncode encodes a message whose strings are known to be valid UTF-8, the
// one thing protobuf can refuse. Should it refuse all the same, the resource is
// left out, and that of its neighbours is not.
func mustEncode(t Type, name string, m proto.Message, origins ...finding.Object) *Resource {
	r, err := Encode(t, name, m, origins...)
	if err != nil {
		return nil
	}
	return r
}

// CertificateSecret is a certificate chain and its private key, both PEM.
func CertificateSecret(name string, chain, key []byte, origin finding.Object) *Resource {
	return mustEncode(SecretType, name, &tls.Secret{
		Name: name,
		Type: &tls.Secret_TlsCertificate{TlsCertificate: &tls.TlsCertificate{
			CertificateChain: inlineBytes(chain),
			PrivateKey:       inlineBytes(key),
		}},
	}, origin)
}

// TrustSecret is a bundle of CA certificates in PEM.
func TrustSecret(name, pem string, origin finding.Object) *Resource {
	return mustEncode(SecretType, name, &tls.Secret{
		Name: name,
		Type: &tls.Secret_ValidationContext{ValidationContext: &tls.CertificateValidationContext{
			TrustedCa: &core.DataSource{Specifier: &core.DataSource_InlineString{InlineString: pem}},
		}},
	}, origin)
}

func inlineBytes(b []byte) *core.DataSource {
	return &core.DataSource{Specifier: &core.DataSource_InlineBytes{InlineBytes: b}}
}
