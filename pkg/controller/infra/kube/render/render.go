// Package render makes the Kubernetes objects that run a fleet of proxies. It is
// pure: no client, no clock.
//
// Names, labels and fields are those of Envoy Gateway, so that what its users
// select by, patch and look at is where they expect it.
package render

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

// Config is what all fleets have in common.
type Config struct {
	// Namespace is the controller's.
	Namespace string
	// ClusterDomain is the DNS domain of the cluster, such as "cluster.local".
	ClusterDomain string
	// GatewayNamespaceMode runs proxies beside their Gateways rather than beside the
	// controller.
	GatewayNamespaceMode bool
	// ProxyImage runs Envoy; ShutdownManagerImage holds Command.
	ProxyImage, ShutdownManagerImage string
	// Command is how this program is called in ShutdownManagerImage.
	Command []string
	// Bootstrap returns Envoy's configuration at its start, as YAML.
	Bootstrap func(*translate.Fleet) (string, error)
	// CABundle returns the PEM certificates of those who may sign the controller's;
	// needed in GatewayNamespaceMode.
	CABundle func() []byte
}

// Kinds of objects that a fleet consists of.
var (
	ServiceAccount = corev1.SchemeGroupVersion.WithKind("ServiceAccount")
	ConfigMap      = corev1.SchemeGroupVersion.WithKind("ConfigMap")
	Deployment     = appsv1.SchemeGroupVersion.WithKind("Deployment")
	DaemonSet      = appsv1.SchemeGroupVersion.WithKind("DaemonSet")
	Service        = corev1.SchemeGroupVersion.WithKind("Service")
	Scaler         = autoscalingv2.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler")
	PDB            = policyv1.SchemeGroupVersion.WithKind("PodDisruptionBudget")
)

// Kinds returns all kinds in the order in which their objects are applied: what
// a pod refers to before the pod.
func Kinds() []schema.GroupVersionKind {
	return []schema.GroupVersionKind{ServiceAccount, ConfigMap, Deployment, DaemonSet, Service, Scaler, PDB}
}

// Objects returns the objects that run a fleet, in the order of [Kinds]. An error
// is the user's to mend, in the EnvoyProxy.
func (c *Config) Objects(f *translate.Fleet) ([]*unstructured.Unstructured, error) {
	if f.Parameters == nil {
		with := *f
		with.Parameters = &v1alpha1.EnvoyProxySpec{}
		f = &with
	}
	n, k := c.Names(f), kubernetes(f)
	stable := c.StableLabels(f.Key)
	var out []*unstructured.Unstructured
	add := func(gvk schema.GroupVersionKind, typed store.Object, patch *v1alpha1.KubernetesPatchSpec) error {
		u, err := object(gvk, typed, stable, patch)
		if err != nil {
			return fmt.Errorf("EnvoyProxy: %w", err)
		}
		if gvk == Deployment || gvk == DaemonSet {
			if err := c.guard(n, u); err != nil {
				return fmt.Errorf("EnvoyProxy: %w", err)
			}
		}
		out = append(out, u)
		return nil
	}
	if err := add(ServiceAccount, c.serviceAccount(f, n), nil); err != nil {
		return nil, err
	}
	if c.marked(f) {
		if err := add(ServiceAccount, c.mark(f), nil); err != nil {
			return nil, err
		}
	}
	files, err := c.configMap(f, n)
	if err != nil {
		return nil, err
	}
	if err := add(ConfigMap, files, nil); err != nil {
		return nil, err
	}
	if err := c.addWorkload(f, n, add); err != nil {
		return nil, err
	}
	var patch *v1alpha1.KubernetesPatchSpec
	if k.EnvoyService != nil {
		patch = k.EnvoyService.Patch
	}
	if err := add(Service, c.service(f, n), patch); err != nil {
		return nil, err
	}
	if h := k.EnvoyHpa; h != nil && !n.DaemonSet {
		if err := add(Scaler, c.scaler(f, n, h), h.Patch); err != nil {
			return nil, err
		}
	}
	if p := k.EnvoyPDB; p != nil {
		if budget := c.disruptionBudget(f, n, p); budget != nil {
			if err := add(PDB, budget, p.Patch); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func (c *Config) addWorkload(f *translate.Fleet, n Names, add func(schema.GroupVersionKind, store.Object, *v1alpha1.KubernetesPatchSpec) error) error {
	k := kubernetes(f)
	if n.DaemonSet {
		d, err := c.daemonSet(f, n)
		if err != nil {
			return fmt.Errorf("EnvoyProxy: %w", err)
		}
		return add(DaemonSet, d, k.EnvoyDaemonSet.Patch)
	}
	d, err := c.deployment(f, n)
	if err != nil {
		return fmt.Errorf("EnvoyProxy: %w", err)
	}
	var patch *v1alpha1.KubernetesPatchSpec
	if k.EnvoyDeployment != nil {
		patch = k.EnvoyDeployment.Patch
	}
	return add(Deployment, d, patch)
}
