package store

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// internalGroup holds kinds that exist only inside egctl: what other parts of
// the program tell the translator.
const internalGroup = "internal.egctl"

// Kinds of [Value] objects.
var (
	// SettingsKind holds one object, the translator's settings.
	SettingsKind = Kind{internalGroup, "Settings"}
	// InfrastructureKind says what runs for a Gateway, under the Gateway's name.
	InfrastructureKind = Kind{internalGroup, "Infrastructure"}
	// RejectionKind says which routes are left out, under "Kind.name" of the route.
	RejectionKind = Kind{internalGroup, "Rejection"}
	// RefusalKind says what Envoy refuses at present, under "Kind.name" of the
	// object that it was made from.
	RefusalKind = Kind{internalGroup, "Refusal"}
	// BundleKind holds one object, the [Bundle].
	BundleKind = Kind{internalGroup, "Bundle"}
)

// Bundle says which release of the Gateway API the CRDs of the cluster are from,
// by their annotations gateway.networking.k8s.io/bundle-version and …/channel. A
// store without one, such as of files, knows every field there is.
type Bundle struct {
	// Version is such as "v1.7.0", Channel "standard" or "experimental"; empty where
	// a CRD does not say.
	Version, Channel string
}

// BundleKey is where the Bundle is stored.
func BundleKey() Key { return ID{Kind: BundleKind, Name: "gateway-api"}.Key() }

// Value makes an immutable Go value an object of the store, so that functions
// can read it and a change of it is a change like any other.
type Value[T any] struct {
	metav1.TypeMeta
	metav1.ObjectMeta
	V T
}

// PutValue returns the change that stores v under k.
func PutValue[T any](k Key, v T) Change {
	o := &Value[T]{V: v}
	o.APIVersion, o.Kind = k.Group+"/v1", k.Kind.Kind
	o.Namespace, o.Name = k.Namespace, k.Name
	return Change{Key: k, Object: o}
}

// DeepCopyObject returns the value itself: it is immutable.
func (v *Value[T]) DeepCopyObject() runtime.Object { return v }
