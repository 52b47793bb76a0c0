package render

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egctl/egctl/pkg/controller/pki"
	"github.com/egctl/egctl/pkg/wellknown"
)

// fleetCertificate are the names that [ResourceName] gives.
var fleetCertificate = regexp.MustCompile(`^envoy-.+-[0-9a-f]{8}$`)

// certgenSecrets are what Envoy Gateway's certgen makes. They stay after a move from
// it, so that one can go back.
var certgenSecrets = []string{"envoy-gateway", "envoy"}

// guard refuses a workload in the controller's namespace whose pods would have a
// key of the controller, of its API access, or of another fleet: with these its
// author would be everybody. It looks at what is to be applied, whatever field or
// patch that is from.
func (c *Config) guard(n Names, workload *unstructured.Unstructured) error {
	if n.Namespace != c.Namespace {
		return nil
	}
	const at = "spec.template.spec"
	pod, _, err := unstructured.NestedFieldNoCopy(workload.Object, strings.Split(at, ".")...)
	spec, ok := pod.(map[string]any)
	if err != nil || !ok {
		return fmt.Errorf("%s %s/%s has no %s", workload.GetKind(), n.Namespace, n.Workload, at)
	}
	refuse := func(field, what string) error {
		return fmt.Errorf("%s %s/%s: %s: %s: proxies may not have it; refer to another", workload.GetKind(), n.Namespace, n.Workload, field, what)
	}
	for _, field := range []string{"serviceAccountName", "serviceAccount"} {
		if spec[field] == wellknown.Deployment {
			return refuse(at+"."+field, "ServiceAccount "+wellknown.Deployment+" is the controller's")
		}
	}
	for _, r := range secretsOf(spec, at, false) {
		switch {
		case r.name == pki.CASecret || r.name == pki.ServerSecret:
			return refuse(r.field, "Secret "+r.name+" holds a key of the controller")
		case slices.Contains(certgenSecrets, r.name):
			return refuse(r.field, "Secret "+r.name+" holds a key of Envoy Gateway's controller or proxies")
		// Beside Gateways no fleet has a certificate; but a Gateway may be called like
		// one that is left of the other mode.
		case (r.name != n.Resource || c.GatewayNamespaceMode) && fleetCertificate.MatchString(r.name):
			return refuse(r.field, "Secret "+r.name+" has a name of those that hold keys of other Gateways' proxies")
		}
	}
	return nil
}

// secretRef is a place in a pod that names a Secret.
type secretRef struct{ field, name string }

// secretsOf finds all names of Secrets in a part of a pod. It goes by how the API
// calls such fields rather than by a list of them, so that a new one is not missed:
// secretName, or name in something that is called a secret (secretKeyRef, secretRef,
// imagePullSecrets, the source of a projected volume). in says that v is such a thing.
func secretsOf(v any, at string, in bool) []secretRef {
	var out []secretRef
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			field := at + "." + k
			if s, ok := v[k].(string); ok {
				if k == "secretName" || in && k == "name" {
					out = append(out, secretRef{field, s})
				}
				continue
			}
			out = append(out, secretsOf(v[k], field, strings.Contains(strings.ToLower(k), "secret"))...)
		}
	case []any:
		for i, e := range v {
			out = append(out, secretsOf(e, fmt.Sprintf("%s[%d]", at, i), in)...)
		}
	}
	return out
}
