package render

import (
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
	"github.com/egctl/egctl/pkg/wellknown"
)

// Labels that every object of a fleet carries. Dashboards and scripts of users
// of Envoy Gateway select by them.
const (
	NameLabel      = wellknown.NameLabel
	ComponentLabel = wellknown.ComponentLabel
	ManagedByLabel = wellknown.ManagedByLabel

	OwningGatewayNameLabel      = wellknown.OwningGatewayNameLabel
	OwningGatewayNamespaceLabel = wellknown.OwningGatewayNamespaceLabel
	OwningGatewayClassLabel     = wellknown.OwningGatewayClassLabel
)

// ManagedBy is the value of [ManagedByLabel].
const ManagedBy = "envoy-gateway"

// AppLabels are those that all fleets have in common.
func AppLabels() map[string]string {
	return map[string]string{NameLabel: "envoy", ComponentLabel: "proxy", ManagedByLabel: ManagedBy}
}

// OwnerLabels say which fleet an object belongs to.
func OwnerLabels(fleet store.Key) map[string]string {
	if fleet.Namespace == "" {
		return map[string]string{OwningGatewayClassLabel: fleet.Name}
	}
	return map[string]string{OwningGatewayNameLabel: fleet.Name, OwningGatewayNamespaceLabel: fleet.Namespace}
}

// Owner returns the fleet that labels name. It does not look at whether they are
// those of a proxy.
func Owner(labels map[string]string) (fleet store.Key, ok bool) {
	if class := labels[OwningGatewayClassLabel]; class != "" {
		return store.ID{Kind: store.GatewayClass, Name: class}.Key(), true
	}
	name, namespace := labels[OwningGatewayNameLabel], labels[OwningGatewayNamespaceLabel]
	if name == "" || namespace == "" {
		return store.Key{}, false
	}
	return store.ID{Kind: store.Gateway, Namespace: namespace, Name: name}.Key(), true
}

// StableLabels are the labels of a fleet that nobody can change, which makes
// them fit for selectors.
func (c *Config) StableLabels(fleet store.Key) map[string]string {
	l := AppLabels()
	maps.Copy(l, OwnerLabels(fleet))
	if c.besideGateway(fleet) {
		l[gateway.GatewayNameLabelKey] = fleet.Name
	}
	return l
}

// labels returns what more there is to say, and the stable labels over it.
func (c *Config) labels(f *translate.Fleet, more ...map[string]string) map[string]string {
	l := merged(append([]map[string]string{f.Labels}, more...)...)
	if l == nil {
		l = map[string]string{}
	}
	maps.Copy(l, c.StableLabels(f.Key))
	return l
}

// merged returns all entries of maps; the later ones win. It is nil if there is
// none, so that objects do not own an empty map.
func merged(ms ...map[string]string) map[string]string {
	var out map[string]string
	for _, m := range ms {
		if len(m) == 0 {
			continue
		}
		if out == nil {
			out = make(map[string]string, len(m))
		}
		maps.Copy(out, m)
	}
	return out
}

// meta is the metadata of an object of a fleet, owned by what makes the fleet
// exist, so that nothing stays behind where the controller is gone.
func (c *Config) meta(f *translate.Fleet, namespace, name string, labels, annotations map[string]string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels, Annotations: annotations, OwnerReferences: c.Owners(f)}
}

// Owners are the owner references of a fleet's objects: its Gateway where they
// are beside it, else the GatewayClass, for owners must be in the namespace of
// what they own or in none.
func (c *Config) Owners(f *translate.Fleet) []metav1.OwnerReference {
	owner := metav1.OwnerReference{APIVersion: gateway.GroupVersion.String(), Kind: store.GatewayClass.Kind, Name: f.Class, UID: f.ClassUID}
	if c.besideGateway(f.Key) {
		owner.Kind, owner.Name, owner.UID = store.Gateway.Kind, f.Key.Name, f.GatewayUID
	}
	if owner.UID == "" {
		return nil
	}
	return []metav1.OwnerReference{owner}
}
