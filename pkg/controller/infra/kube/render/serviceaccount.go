package render

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/store"
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

// marked says whether a fleet has a mark. Labels and annotations of a Gateway's
// spec.infrastructure are to be found in its namespace, by the label
// gateway.networking.k8s.io/gateway-name (GEP-1762, GEP-1867), and proxies beside
// the controller leave nothing there. A Gateway that asks for none gets no mark.
func (c *Config) marked(f *translate.Fleet) bool {
	return f.Key.Namespace != "" && !c.GatewayNamespaceMode && len(f.Labels)+len(f.Annotations) > 0
}

// MarkName is what the mark of a fleet is called. No other object of a fleet is.
func MarkName(fleet store.Key) string { return ResourceName(fleet) + "-mark" }

// mark is a ServiceAccount that nobody runs as, which is why it can be in a
// namespace of users: it serves nothing and costs nothing. The Gateway owns it.
func (c *Config) mark(f *translate.Fleet) *corev1.ServiceAccount {
	labels := c.labels(f)
	labels[gateway.GatewayNameLabelKey] = f.Key.Name
	m := metav1.ObjectMeta{Namespace: f.Key.Namespace, Name: MarkName(f.Key), Labels: labels, Annotations: merged(f.Annotations)}
	if f.GatewayUID != "" {
		m.OwnerReferences = []metav1.OwnerReference{{APIVersion: gateway.GroupVersion.String(), Kind: store.Gateway.Kind, Name: f.Key.Name, UID: f.GatewayUID}}
	}
	return &corev1.ServiceAccount{ObjectMeta: m, AutomountServiceAccountToken: ptr.To(false)}
}
