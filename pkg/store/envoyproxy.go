package store

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// EnvoyProxy is the kind that a parametersRef may name.
var EnvoyProxy = Kind{"gateway.envoyproxy.io", "EnvoyProxy"}

// EnvoyProxyObject holds an EnvoyProxy whose spec is not read yet: it exists, so
// that references to it can be followed.
type EnvoyProxyObject struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              map[string]any `json:"spec,omitempty"`
}

// DeepCopyObject implements runtime.Object.
func (e *EnvoyProxyObject) DeepCopyObject() runtime.Object {
	c := *e
	e.ObjectMeta.DeepCopyInto(&c.ObjectMeta)
	c.Spec = runtime.DeepCopyJSON(e.Spec)
	return &c
}
