package status

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/egctl/egctl/pkg/inspect/proxies"
)

// Stuck is what keeps the proxies of Gateways from running, by the Gateway's
// "namespace/name".
type Stuck map[string][]Issue

// FindStuck looks why the Gateways of a world that are accepted and not programmed are not:
// at the pods of their proxies, and where there are none at the Deployments that should have
// made them. What may not be read in the whole cluster is read in the namespace, if one is
// given; what may not be read at all says nothing. Without such Gateways nothing is asked.
func (c *Client) FindStuck(ctx context.Context, w *World, namespace string) (Stuck, error) {
	stuck, open := Stuck{}, w.unprogrammed()
	read := func(r Resource, selector string, do func(json.RawMessage) error) error {
		_, err := c.each(ctx, r, Query{Labels: selector}, do)
		if Unavailable(err) && namespace != "" {
			_, err = c.each(ctx, r, Query{Labels: selector, Namespace: namespace}, do)
		}
		if refused(err) {
			return nil
		}
		return err
	}
	for _, label := range []string{proxies.OwningGatewayName, proxies.OwningGatewayClass} {
		if len(open) == 0 {
			break
		}
		selector := ownedBy(label, open)
		var pods []core.Pod
		if err := read(Resource{Version: "v1", Kind: "Pod", Plural: "pods", Namespaced: true}, selector, appendTo(&pods)); err != nil {
			return nil, err
		}
		if open = stuck.diagnose(open, pods, nil); len(open) == 0 {
			break
		}
		var deployments []apps.Deployment
		if err := read(Resource{Group: "apps", Version: "v1", Kind: "Deployment", Plural: "deployments", Namespaced: true}, selector, appendTo(&deployments)); err != nil {
			return nil, err
		}
		open = stuck.diagnose(open, nil, deployments)
	}
	return stuck, nil
}

func appendTo[T any](list *[]T) func(json.RawMessage) error {
	return func(b json.RawMessage) error {
		var o T
		err := json.Unmarshal(b, &o)
		*list = append(*list, o)
		return err
	}
}

// unprogrammed are the Gateways that a controller has taken and whose proxies do not serve.
func (w *World) unprogrammed() []*Object {
	var list []*Object
	for i, r := range w.Resources {
		if r.Family != Gateway {
			continue
		}
		for _, g := range w.Objects[i] {
			a, p := find(g.Status.Conditions, "Accepted"), find(g.Status.Conditions, "Programmed")
			if a != nil && a.Status == "True" && (p == nil || p.Status != "True") {
				list = append(list, g)
			}
		}
	}
	return list
}

// ownedBy selects what is of Gateways, or of Gateways like them where so many names would
// not fit in a URL. A name that is no value of a label has nothing.
func ownedBy(label string, gateways []*Object) string {
	const enough = 50
	var names []string
	for _, g := range gateways {
		name := g.Metadata.Name
		if label == proxies.OwningGatewayClass {
			name = g.Spec.GatewayClassName
		}
		if len(validation.IsValidLabelValue(name)) == 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) > enough {
		return label
	}
	return label + " in (" + strings.Join(names, ",") + ")"
}

// owned says whether an object with such labels is of the fleet of a Gateway.
func owned(labels map[string]string, g *Object) bool {
	if name, ok := labels[proxies.OwningGatewayName]; ok {
		return name == g.Metadata.Name && labels[proxies.OwningGatewayNamespace] == g.Metadata.Namespace
	}
	class, ok := labels[proxies.OwningGatewayClass]
	return ok && class == g.Spec.GatewayClassName
}

// diagnose adds what pods and Deployments say of Gateways, and returns those of which there
// are none.
func (s Stuck) diagnose(gateways []*Object, pods []core.Pod, deployments []apps.Deployment) (open []*Object) {
	for _, g := range gateways {
		own := slices.DeleteFunc(slices.Clone(pods), func(p core.Pod) bool { return !owned(p.Labels, g) })
		made := slices.DeleteFunc(slices.Clone(deployments), func(d apps.Deployment) bool { return !owned(d.Labels, g) })
		if len(own)+len(made) == 0 {
			open = append(open, g)
			continue
		}
		if found := append(podIssues(own), deploymentIssues(made)...); len(found) > 0 {
			s[g.id()] = found
		}
	}
	return open
}

// ofProxies says that the issue is one of [Stuck].
func (i Issue) ofProxies() bool {
	return strings.HasPrefix(i.On, "pod ") || strings.HasPrefix(i.On, "deployment ")
}

// podIssues says why pods are not ready, once for all that say the same.
func podIssues(pods []core.Pod) []Issue {
	slices.SortFunc(pods, func(a, b core.Pod) int { return strings.Compare(a.Name, b.Name) })
	var list []Issue
	count := map[string]int{} // by reason
	for i := range pods {
		p := &pods[i]
		if p.DeletionTimestamp != nil || p.Status.Phase == core.PodSucceeded || p.Status.Phase == core.PodFailed || proxies.Ready(p) {
			continue // others take the place of those that are gone
		}
		reason, message := proxies.Obstacle(p)
		if reason == "" {
			reason, message = "NotReady", "The pod "+proxies.Ailment(p)+"."
		}
		if count[reason]++; count[reason] > 1 {
			continue
		}
		v := Failed
		if reason == "ContainerCreating" || reason == "PodInitializing" || p.Status.Phase == core.PodPending && reason == "NotReady" {
			v = Waiting
		}
		list = append(list, Issue{Verdict: v, On: "pod " + p.Namespace + "/" + p.Name, Condition: Condition{
			Type: string(core.PodReady), Status: "False", Reason: reason, Message: message,
		}})
	}
	for i := range list {
		if more := count[list[i].Reason] - 1; more > 0 {
			list[i].On += fmt.Sprintf(" and %d more", more)
		}
	}
	return list
}

// deploymentIssues says why there are no pods.
func deploymentIssues(list []apps.Deployment) []Issue {
	var found []Issue
	for i := range list {
		d := &list[i]
		for _, c := range d.Status.Conditions {
			if c.Type == apps.DeploymentReplicaFailure && c.Status == core.ConditionTrue {
				found = append(found, Issue{Verdict: Failed, On: "deployment " + d.Namespace + "/" + d.Name, Condition: Condition{
					Type: string(c.Type), Status: string(c.Status), Reason: c.Reason, Message: c.Message,
				}})
			}
		}
	}
	return found
}
