package render

import (
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/translate"
)

// disruptionBudget is nil if the parameters put no bound on disruptions.
func (c *Config) disruptionBudget(f *translate.Fleet, n Names, p *v1alpha1.KubernetesPodDisruptionBudgetSpec) *policyv1.PodDisruptionBudget {
	spec := policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: c.StableLabels(f.Key)}}
	switch {
	case p.MinAvailable != nil:
		spec.MinAvailable = p.MinAvailable
	case p.MaxUnavailable != nil:
		spec.MaxUnavailable = p.MaxUnavailable
	case p.Patch != nil:
		spec.MinAvailable = ptr.To(intstr.FromInt32(0)) // until the patch says otherwise
	default:
		return nil
	}
	return &policyv1.PodDisruptionBudget{ObjectMeta: c.meta(f, n.Namespace, n.PDB, c.StableLabels(f.Key), merged(f.Annotations)), Spec: spec}
}
