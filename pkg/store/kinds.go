package store

import (
	"reflect"

	certificates "k8s.io/api/certificates/v1beta1"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/api/v1alpha1"
)

// The kinds that the translator reads.
var (
	GatewayClass     = Kind{gateway.GroupName, "GatewayClass"}
	Gateway          = Kind{gateway.GroupName, "Gateway"}
	ListenerSet      = Kind{gateway.GroupName, "ListenerSet"}
	HTTPRoute        = Kind{gateway.GroupName, "HTTPRoute"}
	GRPCRoute        = Kind{gateway.GroupName, "GRPCRoute"}
	TLSRoute         = Kind{gateway.GroupName, "TLSRoute"}
	TCPRoute         = Kind{gateway.GroupName, "TCPRoute"}
	UDPRoute         = Kind{gateway.GroupName, "UDPRoute"}
	ReferenceGrant   = Kind{gateway.GroupName, "ReferenceGrant"}
	BackendTLSPolicy = Kind{gateway.GroupName, "BackendTLSPolicy"}

	Namespace          = Kind{"", "Namespace"}
	Service            = Kind{"", "Service"}
	Secret             = Kind{"", "Secret"}
	ConfigMap          = Kind{"", "ConfigMap"}
	EndpointSlice      = Kind{discovery.GroupName, "EndpointSlice"}
	ClusterTrustBundle = Kind{certificates.GroupName, "ClusterTrustBundle"}
	ServiceImport      = Kind{"multicluster.x-k8s.io", "ServiceImport"}

	// EnvoyProxy is the kind that a parametersRef may name.
	EnvoyProxy = Kind{v1alpha1.GroupName, v1alpha1.KindEnvoyProxy}
)

// KindInfo describes how a kind is decoded and addressed.
type KindInfo struct {
	Kind
	// Version is the API version of the Go type.
	Version string
	// Versions are all API versions of the kind that decode into the same Go
	// type without loss, Version included.
	Versions []string
	// Namespaced says whether objects live in a namespace.
	Namespaced bool
	typ        reflect.Type
}

// New returns a zero object of the kind with its TypeMeta set.
func (i KindInfo) New() Object {
	o := reflect.New(i.typ).Interface().(Object)
	o.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{Group: i.Group, Version: i.Version, Kind: i.Kind.Kind})
	return o
}

func info[T any](k Kind, namespaced bool, version string, others ...string) KindInfo {
	return KindInfo{Kind: k, Version: version, Versions: append([]string{version}, others...), Namespaced: namespaced, typ: reflect.TypeFor[T]()}
}

// Kinds lists every kind the store can hold, in the order in which they are
// best read by a person.
var Kinds = []KindInfo{
	info[gateway.GatewayClass](GatewayClass, false, "v1", "v1beta1"),
	info[gateway.Gateway](Gateway, true, "v1", "v1beta1"),
	info[gateway.ListenerSet](ListenerSet, true, "v1"),
	info[gateway.HTTPRoute](HTTPRoute, true, "v1", "v1beta1"),
	info[gateway.GRPCRoute](GRPCRoute, true, "v1", "v1alpha2"),
	info[gateway.TLSRoute](TLSRoute, true, "v1", "v1alpha3", "v1alpha2"),
	info[gateway.TCPRoute](TCPRoute, true, "v1", "v1alpha2"),
	info[gateway.UDPRoute](UDPRoute, true, "v1", "v1alpha2"),
	info[gateway.ReferenceGrant](ReferenceGrant, true, "v1", "v1beta1", "v1alpha2"),
	info[gateway.BackendTLSPolicy](BackendTLSPolicy, true, "v1", "v1alpha3"),
	info[core.Namespace](Namespace, false, "v1"),
	info[core.Service](Service, true, "v1"),
	info[discovery.EndpointSlice](EndpointSlice, true, "v1"),
	info[core.Secret](Secret, true, "v1"),
	info[core.ConfigMap](ConfigMap, true, "v1"),
	info[certificates.ClusterTrustBundle](ClusterTrustBundle, false, "v1beta1", "v1alpha1", "v1"),
	info[v1alpha1.EnvoyProxy](EnvoyProxy, true, v1alpha1.Version),
	info[ServiceImportObject](ServiceImport, true, "v1alpha1", "v1beta1"),
}

var kindInfos = func() map[Kind]KindInfo {
	m := make(map[Kind]KindInfo, len(Kinds))
	for _, i := range Kinds {
		m[i.Kind] = i
	}
	return m
}()

// Info returns what is known of a kind; false for kinds the store does not hold.
func Info(k Kind) (KindInfo, bool) {
	i, ok := kindInfos[k]
	return i, ok
}

// KeyOf returns the key of an object of a known kind. TypeMeta may be empty,
// as it is on objects that come from typed clients.
func KeyOf(o Object) Key {
	gvk := o.GetObjectKind().GroupVersionKind()
	k := Kind{gvk.Group, gvk.Kind}
	if k.Kind == "" {
		k = kindOfType(o)
	}
	return ID{Kind: k, Namespace: o.GetNamespace(), Name: o.GetName()}.Key()
}

func kindOfType(o runtime.Object) Kind {
	t := reflect.TypeOf(o).Elem()
	for _, i := range Kinds {
		if i.typ == t {
			return i.Kind
		}
	}
	return Kind{Kind: t.Name()}
}
