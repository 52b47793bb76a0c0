package envoy

import (
	"fmt"
	"path"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	mutationrulesv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	codecv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/upstream_codec/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	filecontentv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/formatter/file_content/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Files of the folder from which a proxy reads its secrets, and the secrets in them.
const (
	SDSTrustedCA   = "xds-trusted-ca.json"
	SDSCertificate = "xds-certificate.json"
	SDSToken       = "xds_service_account_token.json"

	secretTrustedCA   = "xds_trusted_ca"
	secretCertificate = "xds_certificate"
	secretToken       = "jwt-sa-bearer"
)

const httpOptionsKey = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

// FleetSDSFiles returns the content of the files in the SDS folder by name: what Envoy
// is to read from where, with the folder to watch for renewed mounts. Of the paths,
// zero values mean the defaults.
func FleetSDSFiles(token bool, p FleetPaths) (map[string]string, error) {
	p.defaults()
	certs := &corev3.WatchedDirectory{Path: p.CertsDir}
	secrets := map[string]*tlsv3.Secret{
		SDSTrustedCA: {Name: secretTrustedCA, Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
			TrustedCa:        fromFile(path.Join(p.CertsDir, "ca.crt")),
			WatchedDirectory: certs,
			MatchTypedSubjectAltNames: []*tlsv3.SubjectAltNameMatcher{{
				SanType: tlsv3.SubjectAltNameMatcher_DNS,
				Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: serverName}},
			}},
		}}},
	}
	if token {
		// For bootstraps that users have written for Envoy Gateway; see injectToken.
		secrets[SDSToken] = &tlsv3.Secret{Name: secretToken, Type: &tlsv3.Secret_GenericSecret{GenericSecret: &tlsv3.GenericSecret{
			Secret: fromFile(p.TokenPath),
		}}}
	} else {
		secrets[SDSCertificate] = &tlsv3.Secret{Name: secretCertificate, Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: fromFile(path.Join(p.CertsDir, "tls.crt")),
			PrivateKey:       fromFile(path.Join(p.CertsDir, "tls.key")),
			WatchedDirectory: certs,
		}}}
	}
	files := make(map[string]string, len(secrets))
	for name, secret := range secrets {
		resource, err := pack(secret)
		if err != nil {
			return nil, err
		}
		text, err := BootstrapJSON(&discoveryv3.DiscoveryResponse{Resources: []*anypb.Any{resource}})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		files[name] = string(text)
	}
	return files, nil
}

func fromFile(name string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: name}}
}

// fromSDS refers to a secret in a file; watch is the folder whose change makes Envoy
// read the file again.
func fromSDS(secret, dir, file, watch string) *tlsv3.SdsSecretConfig {
	return &tlsv3.SdsSecretConfig{Name: secret, SdsConfig: &corev3.ConfigSource{
		ResourceApiVersion: corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_PathConfigSource{PathConfigSource: &corev3.PathConfigSource{
			Path: path.Join(dir, file), WatchedDirectory: &corev3.WatchedDirectory{Path: watch},
		}},
	}}
}

// fleetTransport is TLS to the controller, which both sides know as new enough for 1.3.
func fleetTransport(o FleetBootstrapOptions) (*corev3.TransportSocket, error) {
	common := &tlsv3.CommonTlsContext{
		TlsParams:     &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_3, TlsMaximumProtocolVersion: tlsv3.TlsParameters_TLSv1_3},
		AlpnProtocols: []string{"h2"},
		ValidationContextType: &tlsv3.CommonTlsContext_ValidationContextSdsSecretConfig{
			ValidationContextSdsSecretConfig: fromSDS(secretTrustedCA, o.SDSDir, SDSTrustedCA, o.SDSDir),
		},
	}
	if !o.Token {
		common.TlsCertificateSdsSecretConfigs = []*tlsv3.SdsSecretConfig{fromSDS(secretCertificate, o.SDSDir, SDSCertificate, o.SDSDir)}
	}
	config, err := pack(&tlsv3.UpstreamTlsContext{CommonTlsContext: common, Sni: serverName})
	if err != nil {
		return nil, err
	}
	return &corev3.TransportSocket{
		Name: "envoy.transport_sockets.tls", ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: config},
	}, nil
}

// injectToken has every call to the controller carry the ServiceAccount token. The
// kubelet renews it in its file long before it expires. Envoy's credential injector
// would not do: it reads a generic secret from its file once, and is left with a token
// that expires.
func injectToken(xds *clusterv3.Cluster, p FleetPaths) error {
	file, err := pack(&filecontentv3.FileContent{})
	if err != nil {
		return err
	}
	mutation, err := pack(&mutationv3.HeaderMutation{
		Mutations: &mutationv3.Mutations{RequestMutations: []*mutationrulesv3.HeaderMutation{{
			Action: &mutationrulesv3.HeaderMutation_Append{Append: &corev3.HeaderValueOption{
				Header: &corev3.HeaderValue{
					Key: "authorization", Value: "Bearer %FILE_CONTENT(" + p.TokenPath + ":" + path.Dir(p.TokenPath) + ")%",
				},
				AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
			}},
		}}, Formatters: []*corev3.TypedExtensionConfig{{Name: "envoy.formatter.file_content", TypedConfig: file}}},
	})
	if err != nil {
		return err
	}
	codec, err := pack(&codecv3.UpstreamCodec{})
	if err != nil {
		return err
	}
	options := &httpv3.HttpProtocolOptions{}
	if err := xds.TypedExtensionProtocolOptions[httpOptionsKey].UnmarshalTo(options); err != nil {
		return fmt.Errorf("envoy bootstrap: %w", err)
	}
	options.HttpFilters = []*hcmv3.HttpFilter{
		{Name: "envoy.filters.http.header_mutation", ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: mutation}},
		{Name: "envoy.filters.http.upstream_codec", ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: codec}},
	}
	xds.TypedExtensionProtocolOptions[httpOptionsKey], err = pack(options)
	return err
}

// pack makes a message one of Envoy's typed configurations.
func pack(m proto.Message) (*anypb.Any, error) {
	a, err := anypb.New(m)
	if err != nil {
		return nil, fmt.Errorf("envoy bootstrap: %w", err)
	}
	return a, nil
}
