package render

import (
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/translate"
)

func (c *Config) deployment(f *translate.Fleet, n Names) (*appsv1.Deployment, error) {
	k := kubernetes(f)
	d := ptr.Deref(k.EnvoyDeployment, v1alpha1.KubernetesDeploymentSpec{})
	template, err := c.podTemplate(f, n, workload{d.Pod, d.Container, d.InitContainers})
	if err != nil {
		return nil, err
	}
	out := &appsv1.Deployment{
		ObjectMeta: c.workloadMeta(f, n, d.Pod),
		Spec: appsv1.DeploymentSpec{
			Replicas:                d.Replicas,
			Selector:                &metav1.LabelSelector{MatchLabels: c.StableLabels(f.Key)},
			Template:                template,
			Strategy:                ptr.Deref(d.Strategy, appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType}),
			RevisionHistoryLimit:    ptr.To[int32](10),
			ProgressDeadlineSeconds: ptr.To[int32](600),
		},
	}
	if k.EnvoyHpa != nil {
		out.Spec.Replicas = nil // they are the autoscaler's
	}
	return out, nil
}

func (c *Config) daemonSet(f *translate.Fleet, n Names) (*appsv1.DaemonSet, error) {
	d := ptr.Deref(kubernetes(f).EnvoyDaemonSet, v1alpha1.KubernetesDaemonSetSpec{})
	template, err := c.podTemplate(f, n, workload{pod: d.Pod, container: d.Container})
	if err != nil {
		return nil, err
	}
	return &appsv1.DaemonSet{
		ObjectMeta: c.workloadMeta(f, n, d.Pod),
		Spec: appsv1.DaemonSetSpec{
			Selector:             &metav1.LabelSelector{MatchLabels: c.StableLabels(f.Key)},
			Template:             template,
			UpdateStrategy:       ptr.Deref(d.Strategy, appsv1.DaemonSetUpdateStrategy{Type: appsv1.RollingUpdateDaemonSetStrategyType}),
			RevisionHistoryLimit: ptr.To[int32](10),
		},
	}, nil
}

func (c *Config) workloadMeta(f *translate.Fleet, n Names, pod *v1alpha1.KubernetesPodSpec) metav1.ObjectMeta {
	labels := c.labels(f)
	if pod != nil {
		labels = c.labels(f, maps.Clone(pod.Labels))
	}
	return c.meta(f, n.Namespace, n.Workload, labels, merged(f.Annotations))
}
