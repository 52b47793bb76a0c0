package render

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/egctl/egctl/pkg/translate"
)

// serviceAccount is who the proxies are to the cluster, which gives them nothing:
// they need no API, so no token is mounted.
func (c *Config) serviceAccount(f *translate.Fleet, n Names) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{
		ObjectMeta:                   c.meta(f, n.Namespace, n.ServiceAccount, c.labels(f), merged(f.Annotations)),
		AutomountServiceAccountToken: ptr.To(false),
	}
}
