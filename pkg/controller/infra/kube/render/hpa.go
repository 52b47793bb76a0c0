package render

import (
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/translate"
)

// defaultUtilization is the CPU use, in percent of what is requested, that the
// autoscaler aims at unless told otherwise.
const defaultUtilization = 80

func (c *Config) scaler(f *translate.Fleet, n Names, h *v1alpha1.KubernetesHorizontalPodAutoscalerSpec) *autoscalingv2.HorizontalPodAutoscaler {
	metrics := h.Metrics
	if len(metrics) == 0 {
		metrics = []autoscalingv2.MetricSpec{{
			Type: autoscalingv2.ResourceMetricSourceType,
			Resource: &autoscalingv2.ResourceMetricSource{
				Name:   corev1.ResourceCPU,
				Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: ptr.To[int32](defaultUtilization)},
			},
		}}
	}
	return &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: c.meta(f, n.Namespace, n.Scaler, c.StableLabels(f.Key), merged(f.Annotations)),
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment", Name: n.Workload},
			MinReplicas:    h.MinReplicas,
			MaxReplicas:    max(1, ptr.Deref(h.MaxReplicas, 1)),
			Metrics:        metrics,
			Behavior:       h.Behavior,
		},
	}
}

// Scaled says whether an autoscaler decides on the number of a fleet's replicas.
func Scaled(f *translate.Fleet) bool {
	k := kubernetes(f)
	return k.EnvoyHpa != nil && (k.EnvoyDaemonSet == nil || k.EnvoyDeployment != nil)
}
