package render

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/api/v1alpha1"
	shutdownmanager "github.com/egctl/egctl/pkg/shutdown"
	"github.com/egctl/egctl/pkg/translate"
	"github.com/egctl/egctl/pkg/wellknown"
)

// Ports of a proxy's pod that are not a listener's.
const (
	// MetricsPort answers /stats/prometheus.
	MetricsPort = wellknown.ProxyMetricsPort
	// ShutdownPort is the shutdown manager's.
	ShutdownPort = wellknown.ProxyShutdownPort
	// ReadyPort answers /ready once Envoy serves what it was sent, until it drains.
	ReadyPort = wellknown.ProxyReadyPort
)

// EnvoyContainer is the container of a proxy's pod that carries the traffic.
const EnvoyContainer = "envoy"

const shutdownContainer = "shutdown-manager"

// shutdownVolume is where the shutdown manager and its hook leave word for each
// other, whether or not the root of their container can be written.
const shutdownVolume = "shutdown"

const (
	defaultDrainTimeout = time.Minute
	// endGrace is what a pod is given beyond the draining itself. When the drain is
	// over Envoy ends at once, so it is for a slow node only; and it is not free: who
	// deletes a namespace waits for half of what its pods may take, even if they are
	// gone long before.
	endGrace = 30 * time.Second
)

// shutdown is spec.shutdown, read.
type shutdown struct{ drainTimeout, minDrainDuration, healthCheckFailureDelay *time.Duration }

func shutdownOf(f *translate.Fleet) (shutdown, error) {
	var s shutdown
	c := f.Parameters.Shutdown
	if c == nil {
		return s, nil
	}
	for field, d := range map[string]struct {
		from *gateway.Duration
		to   **time.Duration
	}{
		"drainTimeout":            {c.DrainTimeout, &s.drainTimeout},
		"minDrainDuration":        {c.MinDrainDuration, &s.minDrainDuration},
		"healthCheckFailureDelay": {c.HealthCheckFailureDelay, &s.healthCheckFailureDelay},
	} {
		if d.from == nil {
			continue
		}
		v, err := time.ParseDuration(string(*d.from))
		if err != nil {
			return s, fmt.Errorf("spec.shutdown.%s: %w", field, err)
		}
		*d.to = &v
	}
	return s, nil
}

// workload is what a Deployment and a DaemonSet have in common.
type workload struct {
	pod            *v1alpha1.KubernetesPodSpec
	container      *v1alpha1.KubernetesContainerSpec
	initContainers []corev1.Container
}

// podTemplate is the pod that runs Envoy beside its shutdown manager.
func (c *Config) podTemplate(f *translate.Fleet, n Names, w workload) (corev1.PodTemplateSpec, error) {
	pod, container := ptr.Deref(w.pod, v1alpha1.KubernetesPodSpec{}), ptr.Deref(w.container, v1alpha1.KubernetesContainerSpec{})
	down, err := shutdownOf(f)
	if err != nil {
		return corev1.PodTemplateSpec{}, err
	}
	envoy, err := c.envoy(f, container, down)
	if err != nil {
		return corev1.PodTemplateSpec{}, err
	}
	grace := defaultDrainTimeout + endGrace
	if down.drainTimeout != nil {
		grace = *down.drainTimeout + endGrace
	}
	own := map[string]string{}
	if !prometheusDisabled(f) {
		own = map[string]string{
			"prometheus.io/path":   "/stats/prometheus",
			"prometheus.io/scrape": "true",
			"prometheus.io/port":   strconv.Itoa(MetricsPort),
		}
	}
	spec := corev1.PodSpec{
		InitContainers:                w.initContainers,
		Containers:                    []corev1.Container{envoy, c.shutdownManager(container, down)},
		ServiceAccountName:            n.ServiceAccount,
		AutomountServiceAccountToken:  ptr.To(false),
		TerminationGracePeriodSeconds: ptr.To(int64(grace.Round(time.Second) / time.Second)),
		DNSPolicy:                     corev1.DNSClusterFirst,
		RestartPolicy:                 corev1.RestartPolicyAlways,
		SchedulerName:                 "default-scheduler",
		SecurityContext:               pod.SecurityContext,
		Affinity:                      pod.Affinity,
		Tolerations:                   pod.Tolerations,
		NodeSelector:                  pod.NodeSelector,
		TopologySpreadConstraints:     pod.TopologySpreadConstraints,
		ImagePullSecrets:              pod.ImagePullSecrets,
		PriorityClassName:             ptr.Deref(pod.PriorityClassName, ""),
		Volumes:                       override(c.ownVolumes(n), pod.Volumes, func(v corev1.Volume) string { return v.Name }),
	}
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: c.labels(f, pod.Labels), Annotations: merged(own, f.Annotations, pod.Annotations)},
		Spec:       spec,
	}, nil
}

func prometheusDisabled(f *translate.Fleet) bool {
	t := f.Parameters.Telemetry
	return t != nil && t.Metrics != nil && t.Metrics.Prometheus != nil && t.Metrics.Prometheus.Disable
}

func (c *Config) envoy(f *translate.Fleet, container v1alpha1.KubernetesContainerSpec, down shutdown) (corev1.Container, error) {
	args, err := c.arguments(f, down)
	if err != nil {
		return corev1.Container{}, err
	}
	ports := []corev1.ContainerPort{{Name: "readiness", ContainerPort: ReadyPort, Protocol: corev1.ProtocolTCP}}
	if !prometheusDisabled(f) {
		ports = append([]corev1.ContainerPort{{Name: "metrics", ContainerPort: MetricsPort, Protocol: corev1.ProtocolTCP}}, ports...)
	}
	return corev1.Container{
		Name: EnvoyContainer, Image: proxyImage(c.ProxyImage, container), ImagePullPolicy: corev1.PullIfNotPresent,
		Command: []string{"envoy"}, Args: args, Env: environment(container), Ports: ports,
		Resources:       ptr.Deref(container.Resources, requests("100m", "512Mi")),
		SecurityContext: securityContext(container),
		// A proxy that asked a moment too early should not be thought unready for
		// long: five minutes to start, asked each second.
		StartupProbe:             alone(probe("/ready", ReadyPort, 1, 300)),
		ReadinessProbe:           probe("/ready", ReadyPort, 5, 1),
		LivenessProbe:            alone(probe("/ready", ReadyPort, 10, 3)),
		Lifecycle:                &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{HTTPGet: get("/shutdown/ready", ShutdownPort)}},
		TerminationMessagePath:   corev1.TerminationMessagePathDefault,
		TerminationMessagePolicy: corev1.TerminationMessageReadFile,
		VolumeMounts:             override(c.ownMounts(), container.VolumeMounts, func(m corev1.VolumeMount) string { return m.Name }),
	}, nil
}

// arguments are Envoy's. Each flag and its value are one argument, as Envoy
// Gateway has them.
func (c *Config) arguments(f *translate.Fleet, down shutdown) ([]string, error) {
	bootstrap, err := c.Bootstrap(f)
	if err != nil {
		return nil, fmt.Errorf("bootstrap of the proxies: %w", err)
	}
	p := f.Parameters
	args := []string{
		"--service-cluster " + translate.FleetName(f.Key),
		"--service-node $(ENVOY_POD_NAME)",
		"--config-yaml " + bootstrap,
		"--log-level " + logLevel(p),
		"--cpuset-threads",
		"--drain-strategy immediate",
	}
	if p.Concurrency != nil {
		args = append(args, fmt.Sprintf("--concurrency %d", *p.Concurrency))
	}
	drain := defaultDrainTimeout
	if down.drainTimeout != nil {
		drain = *down.drainTimeout
	}
	args = append(args,
		"--component-log-level "+componentLevels(p),
		"--drain-time-s "+seconds(drain),
	)
	return append(args, p.ExtraArgs...), nil
}

func logLevel(p *v1alpha1.EnvoyProxySpec) string {
	if l := p.Logging.Level[v1alpha1.ProxyLogComponentDefault]; l != "" {
		return string(l)
	}
	return "warn"
}

func componentLevels(p *v1alpha1.EnvoyProxySpec) string {
	var levels []string
	for _, component := range slices.Sorted(maps.Keys(p.Logging.Level)) {
		if level := p.Logging.Level[component]; component != v1alpha1.ProxyLogComponentDefault && level != "" {
			levels = append(levels, fmt.Sprintf("%s:%s", component, level))
		}
	}
	if len(levels) == 0 {
		return "misc:error" // or every deprecated field is a line
	}
	return strings.Join(levels, ",")
}

// seconds writes a duration in whole seconds, which is what Envoy takes, rounded
// up, because no time is not a short time.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// shutdownManager keeps Envoy's container from being killed before its
// connections are drained.
func (c *Config) shutdownManager(container v1alpha1.KubernetesContainerSpec, down shutdown) corev1.Container {
	args := []string{"envoy", "shutdown-manager"}
	if down.drainTimeout != nil {
		args = append(args, fmt.Sprintf("--ready-timeout=%ss", seconds(*down.drainTimeout+10*time.Second)))
	}
	stop := append(slices.Clone(c.Command), "envoy", "shutdown")
	if d := down.healthCheckFailureDelay; d != nil {
		stop = append(stop, fmt.Sprintf("--health-check-failure-delay=%s", d))
	}
	if d := down.drainTimeout; d != nil {
		stop = append(stop, fmt.Sprintf("--drain-timeout=%ss", seconds(*d)))
	}
	if d := down.minDrainDuration; d != nil {
		stop = append(stop, fmt.Sprintf("--min-drain-duration=%ss", seconds(*d)))
	}
	return corev1.Container{
		Name: shutdownContainer, Image: c.ShutdownManagerImage, ImagePullPolicy: corev1.PullIfNotPresent,
		Command: c.Command, Args: args, Env: environment(v1alpha1.KubernetesContainerSpec{}),
		Resources:                requests("10m", "32Mi"),
		SecurityContext:          securityContext(container),
		StartupProbe:             probe("/healthz", ShutdownPort, 1, 300),
		ReadinessProbe:           probe("/healthz", ShutdownPort, 10, 3),
		LivenessProbe:            probe("/healthz", ShutdownPort, 10, 3),
		Lifecycle:                &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: stop}}},
		TerminationMessagePath:   corev1.TerminationMessagePathDefault,
		TerminationMessagePolicy: corev1.TerminationMessageReadFile,
		VolumeMounts:             []corev1.VolumeMount{{Name: shutdownVolume, MountPath: path.Dir(shutdownmanager.DefaultReadyFile)}},
	}
}

// proxyImage chooses Envoy's image: a repository of the user's with our tag, or
// the user's image, or ours.
func proxyImage(own string, container v1alpha1.KubernetesContainerSpec) string {
	if repository := ptr.Deref(container.ImageRepository, ""); repository != "" {
		_, tag, _ := strings.Cut(own[strings.LastIndexByte(own, '/')+1:], ":")
		return repository + ":" + tag
	}
	return cmp.Or(ptr.Deref(container.Image, ""), own)
}

func environment(container v1alpha1.KubernetesContainerSpec) []corev1.EnvVar {
	field := func(name, path string) corev1.EnvVar {
		return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: path}}}
	}
	return override([]corev1.EnvVar{
		field("ENVOY_POD_NAMESPACE", "metadata.namespace"),
		field("ENVOY_POD_NAME", "metadata.name"),
		field("ENVOY_SERVICE_ZONE", "metadata.annotations['"+corev1.LabelTopologyZone+"']"),
	}, container.Env, func(e corev1.EnvVar) string { return e.Name })
}

func requests(cpu, memory string) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{Requests: corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory),
	}}
}

// nonroot is the user and group of distroless images.
const nonroot = 65532

func securityContext(container v1alpha1.KubernetesContainerSpec) *corev1.SecurityContext {
	if container.SecurityContext != nil {
		return container.SecurityContext
	}
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: ptr.To(false),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		Privileged:               ptr.To(false),
		RunAsNonRoot:             ptr.To(true),
		RunAsUser:                ptr.To[int64](nonroot),
		RunAsGroup:               ptr.To[int64](nonroot),
		SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

func get(path string, port int) *corev1.HTTPGetAction {
	return &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt(port), Scheme: corev1.URISchemeHTTP}
}

// alone is for a probe whose failure ends Envoy without its pod. Then nobody drains
// it, and its preStop hook would wait for that until the grace period of the pod is
// over: six minutes, during which the pod cannot be deleted either.
func alone(p *corev1.Probe) *corev1.Probe {
	p.TerminationGracePeriodSeconds = ptr.To[int64](5)
	return p
}

func probe(path string, port int, period, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{HTTPGet: get(path, port)},
		PeriodSeconds: period, FailureThreshold: failures, TimeoutSeconds: 1, SuccessThreshold: 1,
	}
}
