package render

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/egctl/egctl/pkg/translate"
)

// Files of the ConfigMap, which Envoy reads as SDS. It watches their folder and
// that of the certificates, so that new ones count without a restart.
const (
	trustedCAFile   = "xds-trusted-ca.json"
	certificateFile = "xds-certificate.json"
	tokenFile       = "xds_service_account_token.json"
	caKey           = "ca.crt"
)

const sdsFile = `{"resources":[{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",%s}]}`

// The server must be the controller, whichever name or address it is reached by.
const trustedCA = `"name":"xds_trusted_ca","validation_context":{` +
	`"trusted_ca":{"filename":"/certs/ca.crt"},` +
	`"match_typed_subject_alt_names":[{"san_type":"DNS","matcher":{"exact":"envoy-gateway"}}]}`

const clientCertificate = `"name":"xds_certificate","tls_certificate":{` +
	`"certificate_chain":{"filename":"/certs/tls.crt"},"private_key":{"filename":"/certs/tls.key"}}`

const bearerToken = `"name":"jwt-sa-bearer","generic_secret":{"secret":{"filename":"/var/run/secrets/token/sa-token"}}`

// configMap tells Envoy how to know the controller, and itself to it.
func (c *Config) configMap(f *translate.Fleet, n Names) *corev1.ConfigMap {
	data := map[string]string{trustedCAFile: fmt.Sprintf(sdsFile, trustedCA)}
	if c.GatewayNamespaceMode {
		data[tokenFile] = fmt.Sprintf(sdsFile, bearerToken)
		if c.CABundle != nil {
			data[caKey] = string(c.CABundle())
		}
	} else {
		data[certificateFile] = fmt.Sprintf(sdsFile, clientCertificate)
	}
	return &corev1.ConfigMap{ObjectMeta: c.meta(f, n.Namespace, n.Resource, c.labels(f), merged(f.Annotations)), Data: data}
}
