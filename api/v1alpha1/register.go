package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	// GroupName is the API group of the extension kinds.
	GroupName = "gateway.envoyproxy.io"
	// Version is the version of the group that this package holds.
	Version = "v1alpha1"

	// KindEnvoyProxy is the kind of EnvoyProxy.
	KindEnvoyProxy = "EnvoyProxy"
	// KindEnvoyGateway is the kind of EnvoyGateway, the controller's configuration
	// file.
	KindEnvoyGateway = "EnvoyGateway"
)

// GroupVersion is the group and version of the kinds in this package.
var GroupVersion = schema.GroupVersion{Group: GroupName, Version: Version}

// SchemeBuilder registers the kinds that an API server holds. EnvoyGateway is
// among them only so that it can be decoded.
var SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

// AddToScheme adds the kinds of this package to a scheme.
func AddToScheme(s *runtime.Scheme) error { return SchemeBuilder.AddToScheme(s) }

func addKnownTypes(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion, &EnvoyProxy{}, &EnvoyProxyList{}, &EnvoyGateway{})
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
