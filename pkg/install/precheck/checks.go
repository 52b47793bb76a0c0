package precheck

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/egctl/egctl/pkg/crds"
	"github.com/egctl/egctl/pkg/install"
	"github.com/egctl/egctl/pkg/install/crd"
)

// Kubernetes releases: oldest is the first with ValidatingAdmissionPolicy v1,
// which the chart installs; newest is that of the client libraries.
const (
	oldest = "1.30"
	newest = "1.37"
)

func kubernetesVersion(server string) Result {
	r := Result{Check: "kubernetes", Status: OK, Message: server}
	v, err := version.ParseGeneric(server)
	switch {
	case err != nil:
		r.Status, r.Message = Warning, fmt.Sprintf("%s is no version that can be compared", server)
	case v.LessThan(version.MustParseGeneric(oldest)):
		r.Status, r.Message = Failed, fmt.Sprintf("%s is older than %s", server, oldest)
		r.Hint = "upgrade the cluster"
	case v.Minor() > version.MustParseGeneric(newest).Minor():
		r.Status, r.Message = Warning, fmt.Sprintf("%s is newer than %s, the newest that this egctl was tried with", server, newest)
	}
	return r
}

// need is something that who installs has to be allowed to do.
type need struct {
	group, resource string
	// verbs are asked for one by one.
	verbs []string
	// own says: in the controller's namespace only.
	own bool
	// definitions says: only to install CustomResourceDefinitions.
	definitions bool
}

// needs are for the objects of the chart, which Helm reads before it writes. That
// one may hand out the controller's own permissions is not asked: the API server
// compares them only when the roles are made.
func needs() []need {
	write := []string{"get", "create", "patch", "delete"}
	return []need{
		{resource: "namespaces", verbs: []string{"get", "create"}},
		{group: "apiextensions.k8s.io", resource: "customresourcedefinitions", verbs: []string{"get", "list", "create", "patch"}, definitions: true},
		{group: "admissionregistration.k8s.io", resource: "validatingadmissionpolicies", verbs: write, definitions: true},
		{group: "admissionregistration.k8s.io", resource: "validatingadmissionpolicybindings", verbs: write, definitions: true},
		{group: "rbac.authorization.k8s.io", resource: "clusterroles", verbs: write},
		{group: "rbac.authorization.k8s.io", resource: "clusterrolebindings", verbs: write},
		{group: "rbac.authorization.k8s.io", resource: "roles", verbs: write, own: true},
		{group: "rbac.authorization.k8s.io", resource: "rolebindings", verbs: write, own: true},
		{resource: "serviceaccounts", verbs: write, own: true},
		{resource: "configmaps", verbs: write, own: true},
		{resource: "services", verbs: write, own: true},
		{resource: "secrets", verbs: []string{"get", "list", "create", "update", "delete"}, own: true},
		{group: "apps", resource: "deployments", verbs: write, own: true},
	}
}

func (c *checker) permissions(ctx context.Context) []Result {
	var denied []string
	for _, n := range needs() {
		if n.definitions && c.SkipCRDs {
			continue
		}
		var verbs []string
		for _, verb := range n.verbs {
			attributes := &authorizationv1.ResourceAttributes{Group: n.group, Resource: n.resource, Verb: verb}
			if n.own {
				attributes.Namespace = c.Namespace
			}
			review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: attributes}}
			answer, err := c.client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
			if err != nil {
				return unknown(err)
			}
			if !answer.Status.Allowed {
				verbs = append(verbs, verb)
			}
		}
		if len(verbs) > 0 {
			denied = append(denied, strings.Join(verbs, "/")+" "+n.resource)
		}
	}
	if len(denied) > 0 {
		return []Result{{Status: Failed, Message: "you may not " + strings.Join(denied, ", "), Hint: "install as somebody who may, such as with --as or another --context"}}
	}
	return []Result{{Status: OK, Message: "you may do all that an installation does"}}
}

func (c *checker) definitions(ctx context.Context) []Result {
	live, err := c.crds.All(ctx, "gateway.networking.k8s.io")
	if err != nil {
		return unknown(err)
	}
	if len(live) == 0 {
		return []Result{{Status: OK, Message: "the Gateway API is not installed; the chart brings " + crds.Version}}
	}
	kinds := map[crd.Release][]string{}
	for _, d := range live {
		r := crd.ReleaseOf(d)
		kinds[r] = append(kinds[r], crd.Kind(d))
	}
	var out []Result
	for r, list := range kinds {
		slices.Sort(list)
		if r.Version == "" || r.Channel == "" {
			out = append(out, Result{Status: Warning, Message: "of unknown release: " + strings.Join(list, ", "), Hint: "who installed them has to upgrade them; egctl leaves them alone"})
			continue
		}
		out = append(out, Result{Status: OK, Message: fmt.Sprintf("Gateway API %s: %d kinds", r, len(list))})
	}
	slices.SortFunc(out, func(a, b Result) int { return strings.Compare(a.Message, b.Message) })
	if len(kinds) > 1 {
		out = append(out, Result{Status: Warning, Message: "kinds of the Gateway API are of several releases", Hint: "egctl install and egctl upgrade bring them to one, as far as that loses nothing"})
	}
	policies := schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicybindings"}
	binding, err := c.dynamic.Resource(policies).Get(ctx, crd.PolicyName, metav1.GetOptions{})
	if err == nil {
		owner := "somebody else's"
		if name := binding.GetAnnotations()["meta.helm.sh/release-name"]; name != "" {
			owner = "of release " + name
		}
		out = append(out, Result{Status: OK, Message: fmt.Sprintf("the admission policy %s guards them (%s)", crd.PolicyName, owner)})
	} else if !apierrors.IsNotFound(err) {
		out = append(out, unknown(err)...)
	}
	return out
}

// installations finds controllers by the label that they have under every
// installer.
func (c *checker) installations(ctx context.Context) []Result {
	list, err := c.client.AppsV1().Deployments("").List(ctx, metav1.ListOptions{LabelSelector: "control-plane=envoy-gateway"})
	if apierrors.IsForbidden(err) {
		list, err = c.client.AppsV1().Deployments(c.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "control-plane=envoy-gateway"})
	}
	if err != nil {
		return unknown(err)
	}
	var out []Result
	for _, d := range list.Items {
		image := ""
		if len(d.Spec.Template.Spec.Containers) > 0 {
			image = d.Spec.Template.Spec.Containers[0].Image
		}
		r := Result{Status: Warning, Message: fmt.Sprintf("there is one in namespace %s: %s", d.Namespace, image)}
		release := d.Annotations["meta.helm.sh/release-name"]
		switch {
		case release != "" && d.Namespace == c.Namespace && image == c.Image:
			c.installed = true
			r.Status, r.Message = OK, fmt.Sprintf("this one is installed, in namespace %s: %s", d.Namespace, image)
		case release == "":
			r.Hint = "Helm did not install it: delete it before you install, or install into another namespace with a controllerName of its own"
		case d.Namespace == c.Namespace:
			r.Hint = fmt.Sprintf("egctl upgrade --name %s -n %s turns it into this one", release, d.Annotations["meta.helm.sh/release-namespace"])
		default:
			r.Hint = "two controllers need different controllerNames"
		}
		out = append(out, r)
	}
	if len(out) == 0 {
		return []Result{{Status: OK, Message: "none in the cluster"}}
	}
	return out
}

// classes finds who else answers to the controllerName: classes that are accepted
// already have a controller.
func (c *checker) classes(ctx context.Context) []Result {
	kind := schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gatewayclasses"}
	list, err := c.dynamic.Resource(kind).List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) {
		return []Result{{Status: OK, Message: "no GatewayClass yet"}}
	}
	if err != nil {
		return unknown(err)
	}
	var accepted, waiting []string
	others := map[string]bool{}
	for _, class := range list.Items {
		controller, _, _ := unstructured.NestedString(class.Object, "spec", "controllerName")
		switch {
		case controller != c.Controller:
			others[controller] = true
		case isAccepted(&class):
			accepted = append(accepted, class.GetName())
		default:
			waiting = append(waiting, class.GetName())
		}
	}
	var out []Result
	if len(accepted) > 0 && c.installed {
		out = append(out, Result{Status: OK, Message: "the controller has accepted GatewayClass " + strings.Join(accepted, ", ")})
	} else if len(accepted) > 0 {
		out = append(out, Result{Status: Warning, Message: fmt.Sprintf("a controller has accepted GatewayClass %s, of %s", strings.Join(accepted, ", "), c.Controller),
			Hint: "two controllers of one name undo each other's work: if one still runs, give this one another config.envoyGateway.gateway.controllerName"})
	}
	if len(waiting) > 0 {
		out = append(out, Result{Status: OK, Message: fmt.Sprintf("GatewayClass %s waits for a controller like this one", strings.Join(waiting, ", "))})
	}
	if len(others) > 0 {
		out = append(out, Result{Status: OK, Message: "other controllers have classes, too: " + strings.Join(slices.Sorted(maps.Keys(others)), ", ")})
	}
	if len(out) == 0 {
		out = append(out, Result{Status: OK, Message: "no GatewayClass yet"})
	}
	return out
}

// unsupported finds objects that would have no effect.
func (c *checker) unsupported(ctx context.Context) []Result {
	found, err := install.FindUnsupported(ctx, c.dynamic)
	if err != nil {
		return unknown(err)
	}
	if len(found) == 0 {
		return []Result{{Status: OK, Message: "no objects that egctl does not act on"}}
	}
	var out []Result
	for _, u := range found {
		if u.Unknown != nil {
			out = append(out, unknown(u.Unknown)...)
			continue
		}
		out = append(out, Result{Status: Warning, Message: "without effect: " + u.String(),
			Hint: "egctl install, and egctl upgrade from Envoy Gateway, refuse to go on unless --ignore-unsupported has " + u.Kind})
	}
	return out
}

func isAccepted(class *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(class.Object, "status", "conditions")
	return slices.ContainsFunc(conditions, func(item any) bool {
		m, _ := item.(map[string]any)
		return m["type"] == "Accepted" && m["status"] == "True"
	})
}

// loadBalancers guesses whether Services of type LoadBalancer get an address:
// one that has, a cloud's nodes, or a known implementation say yes.
func (c *checker) loadBalancers(ctx context.Context) []Result {
	services, err := c.client.CoreV1().Services("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return unknown(err)
	}
	without := ""
	for _, s := range services.Items {
		if s.Spec.Type != corev1.ServiceTypeLoadBalancer {
			continue
		}
		if len(s.Status.LoadBalancer.Ingress) > 0 {
			return []Result{{Status: OK, Message: fmt.Sprintf("they get addresses: Service %s/%s has one", s.Namespace, s.Name)}}
		}
		without = s.Namespace + "/" + s.Name
	}
	if by := c.provider(ctx); by != "" {
		return []Result{{Status: OK, Message: "they should get addresses: " + by}}
	}
	hint := "without addresses, reach Gateways by egctl port-forward or an EnvoyProxy with envoyService.type NodePort; MetalLB and others give addresses outside of clouds"
	if without != "" {
		return []Result{{Status: Warning, Message: fmt.Sprintf("Service %s has no address, and nothing here looks like giving one", without), Hint: hint}}
	}
	return []Result{{Status: Warning, Message: "nothing here looks like giving addresses", Hint: hint}}
}

// provider names what would give addresses.
func (c *checker) provider(ctx context.Context) string {
	nodes, err := c.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err == nil {
		for _, n := range nodes.Items {
			if scheme, _, ok := strings.Cut(n.Spec.ProviderID, "://"); ok && scheme != "kind" {
				return "the nodes are of " + scheme
			}
		}
	}
	groups, err := c.client.Discovery().ServerGroups()
	if err != nil {
		return ""
	}
	known := map[string]string{"metallb.io": "MetalLB", "cilium.io": "Cilium", "kube-vip.io": "kube-vip", "purelb.io": "PureLB", "loxilb.io": "LoxiLB"}
	for _, g := range groups.Groups {
		if name, ok := known[g.Name]; ok {
			return name + " is installed"
		}
	}
	return ""
}
