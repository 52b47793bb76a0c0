package render

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egctl/egctl/pkg/envoy"
	"github.com/egctl/egctl/pkg/translate"
)

// caKey is the key of the ConfigMap with those who may sign the controller's
// certificate.
const caKey = "ca.crt"

// Files returns the ConfigMap of a fleet alone: by which its proxies know the
// controller, and which nothing in an EnvoyProxy changes.
func (c *Config) Files(f *translate.Fleet) (*unstructured.Unstructured, error) {
	m, err := c.configMap(f, c.Names(f))
	if err != nil {
		return nil, err
	}
	return object(ConfigMap, m, c.StableLabels(f.Key), nil)
}

// configMap tells Envoy how to know the controller, and itself to it.
func (c *Config) configMap(f *translate.Fleet, n Names) (*corev1.ConfigMap, error) {
	files, err := envoy.FleetSDSFiles(c.GatewayNamespaceMode, envoy.FleetPaths{})
	if err != nil {
		return nil, err
	}
	data := maps.Clone(files)
	if c.GatewayNamespaceMode && c.CABundle != nil {
		data[caKey] = string(c.CABundle())
	}
	return &corev1.ConfigMap{ObjectMeta: c.meta(f, n.Namespace, n.Resource, c.labels(f), merged(f.Annotations)), Data: data}, nil
}
