package xds

import (
	matching "github.com/cncf/xds/go/xds/core/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/ir"
)

// ServerTLS is how a chain terminates TLS.
type ServerTLS struct {
	// Certificates are SDS names.
	Certificates []string
	Validation   *ir.ClientValidation
	// HTTP offers HTTP/2 and HTTP/1.1 by ALPN.
	HTTP bool
}

func typedAction(name string, m proto.Message) *matching.TypedExtensionConfig {
	return &matching.TypedExtensionConfig{Name: name, TypedConfig: mustAny(m)}
}

func transportSocket(m proto.Message) *core.TransportSocket {
	return &core.TransportSocket{
		Name:       "envoy.transport_sockets.tls",
		ConfigType: &core.TransportSocket_TypedConfig{TypedConfig: mustAny(m)},
	}
}

func sds(name string) *tls.SdsSecretConfig {
	return &tls.SdsSecretConfig{Name: name, SdsConfig: ads()}
}

func downstreamTLS(t *ServerTLS) *core.TransportSocket {
	common := &tls.CommonTlsContext{}
	for _, name := range t.Certificates {
		common.TlsCertificateSdsSecretConfigs = append(common.TlsCertificateSdsSecretConfigs, sds(name))
	}
	if t.HTTP {
		common.AlpnProtocols = []string{"h2", "http/1.1"}
	}
	ctx := &tls.DownstreamTlsContext{
		CommonTlsContext: common,
		// A resumed session would skip the checks of a certificate that was
		// renewed or revoked since.
		SessionTicketKeysType:            &tls.DownstreamTlsContext_DisableStatelessSessionResumption{DisableStatelessSessionResumption: true},
		DisableStatefulSessionResumption: true,
	}
	if v := t.Validation; v != nil {
		defaults := &tls.CertificateValidationContext{}
		if v.Optional {
			defaults.TrustChainVerification = tls.CertificateValidationContext_ACCEPT_UNTRUSTED
		}
		ctx.RequireClientCertificate = wrapperspb.Bool(!v.Optional)
		common.ValidationContextType = combined(v.Secret, defaults)
	}
	return transportSocket(ctx)
}

func combined(secret string, defaults *tls.CertificateValidationContext) *tls.CommonTlsContext_CombinedValidationContext {
	return &tls.CommonTlsContext_CombinedValidationContext{CombinedValidationContext: &tls.CommonTlsContext_CombinedCertificateValidationContext{
		DefaultValidationContext:         defaults,
		ValidationContextSdsSecretConfig: sds(secret),
	}}
}

// upstreamTLS verifies a backend as a BackendTLSPolicy says: by the given
// subject alternative names, or else by the name sent as SNI.
func upstreamTLS(t *ir.TLSUpstream, alpn []string, systemTrust string) *core.TransportSocket {
	check := &tls.CertificateValidationContext{}
	san := func(kind tls.SubjectAltNameMatcher_SanType, value string) {
		check.MatchTypedSubjectAltNames = append(check.MatchTypedSubjectAltNames, &tls.SubjectAltNameMatcher{
			SanType: kind,
			Matcher: &matcher.StringMatcher{MatchPattern: &matcher.StringMatcher_Exact{Exact: value}},
		})
	}
	for _, n := range t.DNSNames {
		san(tls.SubjectAltNameMatcher_DNS, n)
	}
	for _, u := range t.URIs {
		san(tls.SubjectAltNameMatcher_URI, u)
	}
	if len(check.MatchTypedSubjectAltNames) == 0 {
		san(tls.SubjectAltNameMatcher_DNS, t.SNI)
	}
	common := &tls.CommonTlsContext{
		TlsParams: &tls.TlsParameters{
			TlsMinimumProtocolVersion: tls.TlsParameters_TLSv1_2,
			TlsMaximumProtocolVersion: tls.TlsParameters_TLSv1_3,
		},
		AlpnProtocols: alpn,
	}
	if t.CASecret != "" {
		common.ValidationContextType = combined(t.CASecret, check)
	} else {
		check.TrustedCa = &core.DataSource{Specifier: &core.DataSource_Filename{Filename: systemTrust}}
		common.ValidationContextType = &tls.CommonTlsContext_ValidationContext{ValidationContext: check}
	}
	if t.ClientCertificate != (store.Key{}) {
		common.TlsCertificateSdsSecretConfigs = []*tls.SdsSecretConfig{sds(t.ClientCertificate.Namespace + "/" + t.ClientCertificate.Name)}
	}
	return transportSocket(&tls.UpstreamTlsContext{CommonTlsContext: common, Sni: t.SNI})
}
