package store

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// ServiceImportObject is the part of a multi-cluster ServiceImport
// (multicluster.x-k8s.io, KEP-1645) that routing needs.
type ServiceImportObject struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              ServiceImportSpec `json:"spec"`
}

// ServiceImportSpec describes an imported service.
type ServiceImportSpec struct {
	// Type is ClusterSetIP or Headless.
	Type  string              `json:"type,omitempty"`
	IPs   []string            `json:"ips,omitempty"`
	Ports []ServiceImportPort `json:"ports,omitempty"`
}

// ServiceImportPort is a port of an imported service.
type ServiceImportPort struct {
	Name        string  `json:"name,omitempty"`
	Protocol    string  `json:"protocol,omitempty"`
	AppProtocol *string `json:"appProtocol,omitempty"`
	Port        int32   `json:"port"`
}

// DeepCopyObject implements runtime.Object.
func (s *ServiceImportObject) DeepCopyObject() runtime.Object {
	c := *s
	s.ObjectMeta.DeepCopyInto(&c.ObjectMeta)
	c.Spec.IPs = append([]string(nil), s.Spec.IPs...)
	c.Spec.Ports = append([]ServiceImportPort(nil), s.Spec.Ports...)
	for i, p := range c.Spec.Ports {
		if p.AppProtocol != nil {
			v := *p.AppProtocol
			c.Spec.Ports[i].AppProtocol = &v
		}
	}
	return &c
}
