package render

import (
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/egctl/egctl/pkg/controller/identity"
	"github.com/egctl/egctl/pkg/envoy"
)

// ownVolumes are the volumes that a proxy needs to reach the controller (its
// certificate or its token, and the files that tell Envoy of them) and to end.
func (c *Config) ownVolumes(n Names) []corev1.Volume {
	certs := corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: n.Resource, DefaultMode: ptr.To[int32](420)}}
	second := envoy.SDSCertificate
	if c.GatewayNamespaceMode {
		certs = corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: n.Resource},
			Items:                []corev1.KeyToPath{{Key: caKey, Path: caKey}},
			DefaultMode:          ptr.To[int32](420),
		}}
		second = envoy.SDSToken
	}
	volumes := []corev1.Volume{
		{Name: "certs", VolumeSource: certs},
		{Name: "sds", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: n.Resource},
			Items:                []corev1.KeyToPath{{Key: envoy.SDSTrustedCA, Path: envoy.SDSTrustedCA}, {Key: second, Path: second}},
			DefaultMode:          ptr.To[int32](420),
		}}},
	}
	if c.GatewayNamespaceMode {
		volumes = append(volumes, corev1.Volume{Name: TokenVolume, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{
				Audience: c.Audience(), ExpirationSeconds: ptr.To[int64](3600), Path: path.Base(envoy.FleetTokenPath),
			}}},
			DefaultMode: ptr.To[int32](420),
		}}})
	}
	return append(volumes, corev1.Volume{Name: shutdownVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
}

// TokenVolume is the volume with the ServiceAccount token that a proxy shows to
// the controller of its audience.
const TokenVolume = "sa-token"

// Audience is whom the tokens of proxies in GatewayNamespace mode are meant for.
func (c *Config) Audience() string {
	return identity.Audience(c.Namespace, c.ClusterDomain)
}

func (c *Config) ownMounts() []corev1.VolumeMount {
	mounts := []corev1.VolumeMount{
		{Name: "certs", MountPath: envoy.FleetCertsDir, ReadOnly: true},
		{Name: "sds", MountPath: envoy.FleetSDSDir, ReadOnly: true},
	}
	if c.GatewayNamespaceMode {
		mounts = append(mounts, corev1.VolumeMount{Name: TokenVolume, MountPath: path.Dir(envoy.FleetTokenPath), ReadOnly: true})
	}
	return mounts
}

// override returns ours with those of the user's that have the same name in
// their place, and the rest of the user's after them. A user may well mount one
// volume twice, so only ours are replaced.
func override[T any](ours, users []T, name func(T) string) []T {
	out := make([]T, 0, len(ours)+len(users))
	used := make([]bool, len(users))
	for _, o := range ours {
		i := slices.IndexFunc(users, func(u T) bool { return name(u) == name(o) })
		if i < 0 {
			out = append(out, o)
			continue
		}
		out, used[i] = append(out, users[i]), true
	}
	for i, u := range users {
		if !used[i] {
			out = append(out, u)
		}
	}
	return out
}
