package render_test

import (
	"cmp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestGuard: no field and no patch puts a key of the controller, or of another
// fleet, into a pod.
func TestGuard(t *testing.T) {
	t.Parallel()
	deployment := func(s string) string { return "envoyDeployment: {" + s + "}" }
	patch := func(spec string) string {
		return deployment("patch: {type: StrategicMerge, value: {spec: {template: {spec: {" + spec + "}}}}}")
	}
	const (
		ca    = "Secret envoy-gateway-ca holds a key of the controller"
		own   = "Secret envoy-gateway-server holds a key of the controller"
		other = "Secret envoy-shop-web-0a1b2c3d has a name of those that hold keys of other Gateways' proxies"
	)
	for _, c := range []struct {
		name, kubernetes, field, want string
		namespace, gateway            string
	}{
		{name: "nothing", kubernetes: "envoyDeployment: {}"},
		{name: "a Secret of the user", kubernetes: deployment("pod: {volumes: [{name: a, secret: {secretName: mine}}, {name: envoy-gateway-ca, emptyDir: {}}]}, container: {env: [{name: A, value: envoy-gateway}]}")},
		{name: "its own certificate", kubernetes: deployment("pod: {volumes: [{name: a, secret: {secretName: envoy-default-eg-e41e7b31}}]}")},
		{name: "a volume", kubernetes: deployment("pod: {volumes: [{name: a, secret: {secretName: envoy-gateway-ca}}]}"), field: "volumes[3].secret.secretName", want: ca},
		{name: "in our volume's place", kubernetes: deployment("pod: {volumes: [{name: certs, secret: {secretName: envoy-gateway-server}}]}"), field: "volumes[0].secret.secretName", want: own},
		{name: "another fleet's", kubernetes: deployment("pod: {volumes: [{name: a, secret: {secretName: envoy-shop-web-0a1b2c3d}}]}"), field: "volumes[3].secret.secretName", want: other},
		{name: "a projected volume", kubernetes: deployment("pod: {volumes: [{name: a, projected: {sources: [{configMap: {name: envoy-gateway}}, {secret: {name: envoy-gateway-ca}}]}}]}"), field: "volumes[3].projected.sources[1].secret.name", want: ca},
		{name: "a volume of a CSI driver", kubernetes: deployment("pod: {volumes: [{name: a, csi: {driver: x, nodePublishSecretRef: {name: envoy-gateway-server}}}]}"), field: "volumes[3].csi.nodePublishSecretRef.name", want: own},
		{name: "the environment", kubernetes: deployment("container: {env: [{name: A, valueFrom: {secretKeyRef: {name: envoy-gateway-ca, key: tls.key}}}]}"), field: "containers[0].env[3].valueFrom.secretKeyRef.name", want: ca},
		{name: "an init container", kubernetes: deployment("initContainers: [{name: a, image: b, envFrom: [{secretRef: {name: envoy-gateway-server}}]}]"), field: "initContainers[0].envFrom[0].secretRef.name", want: own},
		{name: "an added container", kubernetes: patch("containers: [{name: a, image: b, envFrom: [{secretRef: {name: envoy-gateway-ca}}]}]"), field: "containers[0].envFrom[0].secretRef.name", want: ca},
		{name: "what the image is pulled with", kubernetes: deployment("pod: {imagePullSecrets: [{name: envoy-gateway-server}]}"), field: "imagePullSecrets[0].name", want: own},
		{name: "of Envoy Gateway", kubernetes: deployment("pod: {volumes: [{name: a, secret: {secretName: envoy}}]}"), field: "volumes[3].secret.secretName", want: "Secret envoy holds a key of Envoy Gateway's controller or proxies"},
		{name: "a patched volume", kubernetes: patch("volumes: [{name: a, secret: {secretName: envoy-gateway-ca}}]"), field: "volumes[0].secret.secretName", want: ca},
		{
			name: "another kind of patch", kubernetes: deployment("patch: {type: JSONMerge, value: {spec: {template: {spec: {volumes: [{name: a, secret: {secretName: envoy-gateway-ca}}]}}}}}"),
			field: "volumes[0].secret.secretName", want: ca,
		},
		{
			name: "a DaemonSet", kubernetes: "envoyDaemonSet: {patch: {value: {spec: {template: {spec: {volumes: [{name: a, secret: {secretName: envoy-gateway-ca}}]}}}}}}",
			field: "volumes[0].secret.secretName", want: ca,
		},
		{name: "the controller's account", kubernetes: patch("serviceAccountName: envoy-gateway"), field: "serviceAccountName", want: "ServiceAccount envoy-gateway is the controller's"},
		{name: "by its old field", kubernetes: patch("serviceAccount: envoy-gateway"), field: "serviceAccount", want: "ServiceAccount envoy-gateway is the controller's"},
		{name: "by its name", kubernetes: "envoyServiceAccount: {name: envoy-gateway}", field: "serviceAccountName", want: "ServiceAccount envoy-gateway is the controller's"},
		{name: "beside a Gateway", kubernetes: deployment("pod: {volumes: [{name: a, secret: {secretName: envoy-gateway-ca}}]}"), namespace: "default"},
		{
			name: "beside a Gateway in the controller's namespace", kubernetes: deployment("pod: {volumes: [{name: a, secret: {secretName: envoy-gateway-ca}}]}"), namespace: "envoy-gateway-system",
			field: "volumes[4].secret.secretName", want: ca,
		},
		{
			name: "a Gateway called like a certificate of the other mode", kubernetes: deployment("pod: {volumes: [{name: a, secret: {secretName: envoy-shop-web-0a1b2c3d}}]}"),
			namespace: "envoy-gateway-system", gateway: "envoy-shop-web-0a1b2c3d", field: "volumes[4].secret.secretName", want: other,
		},
	} {
		var in input
		if err := yaml.UnmarshalStrict([]byte("spec: {provider: {type: Kubernetes, kubernetes: {"+c.kubernetes+"}}}"), &in); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		in.Gateway, in.Ports = "default/eg", []string{"http-80"}
		if c.namespace != "" {
			in.Gateway = c.namespace + "/" + cmp.Or(c.gateway, "eg")
		}
		_, err := config(c.namespace != "").Objects(in.fleet(t))
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), "spec.template.spec."+c.field+": "+c.want)):
			t.Errorf("%s:\n got %v\nwant %s", c.name, err, "spec.template.spec."+c.field+": "+c.want)
		}
	}
}
