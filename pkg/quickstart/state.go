package quickstart

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/inspect/proxies"
	"github.com/egctl/egctl/pkg/inspect/status"
	"github.com/egctl/egctl/pkg/inspect/sync"
)

// accepted says what keeps the route from being served.
func (r *clusterRun) accepted(ctx context.Context) (string, error) {
	route, err := r.gateway.HTTPRoutes(r.Namespace).Get(ctx, routeName, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	if len(route.Status.Parents) == 0 {
		return "HTTPRoute " + routeName + ": no controller has looked at it", nil
	}
	for _, p := range route.Status.Parents {
		for _, condition := range []gateway.RouteConditionType{gateway.RouteConditionAccepted, gateway.RouteConditionResolvedRefs} {
			if missing := lacks(p.Conditions, string(condition), route.Generation); missing != "" {
				return "HTTPRoute " + routeName + ": " + missing, nil
			}
		}
	}
	return "", nil
}

// serving waits until every proxy has acknowledged the configuration. The Gateway
// may lack an address: where no load balancer gives one, a port is forwarded.
func (r *clusterRun) serving(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	_, err := status.WaitServing(ctx, status.ServingOptions{
		Config: r.config, Namespace: r.Namespace, Name: gatewayName, ControllerNamespace: r.Controller, NoAddress: true,
		Acknowledged: r.acknowledged,
		Progress:     func(missing string) { r.State("waiting until every proxy serves the route: " + missing) },
	})
	if err != nil {
		return fmt.Errorf("wait until every proxy serves the route: %w", err)
	}
	return nil
}

// lacks says why a condition is not true of a generation; empty if it is.
func lacks(conditions []metav1.Condition, kind string, generation int64) string {
	c := meta.FindStatusCondition(conditions, kind)
	switch {
	case c == nil || c.ObservedGeneration < generation:
		return kind + " is not known yet"
	case c.Status != metav1.ConditionTrue:
		return fmt.Sprintf("%s is %s (%s): %s", kind, c.Status, c.Reason, c.Message)
	}
	return ""
}

// backend says what keeps the demo backend from answering.
func (r *clusterRun) backend(ctx context.Context) (string, error) {
	d, err := r.client.AppsV1().Deployments(r.Namespace).Get(ctx, routeName, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	if d.Status.AvailableReplicas > 0 && d.Status.ObservedGeneration >= d.Generation {
		return "", nil
	}
	pods, err := r.client.CoreV1().Pods(r.Namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(d.Spec.Selector)})
	if err != nil {
		return "", err
	}
	return ailments(pods.Items, "no pod is made yet"), nil
}

// acknowledged says which of the proxies have not acknowledged all they are to run.
func (r *clusterRun) acknowledged(ctx context.Context, _ *proxies.Fleet, pods []core.Pod) (string, error) {
	known, err := sync.Ask(ctx, r.config, r.Controller)
	if errors.Is(err, sync.ErrUnknown) {
		return "", nil // another controller's: that the proxies are ready must do
	}
	if err != nil {
		return err.Error(), nil //nolint:nilerr // the controller may be starting
	}
	for i := range pods {
		at := slices.IndexFunc(known, func(p sync.Proxy) bool { return p.Node == pods[i].Name })
		switch {
		case at < 0:
			return "proxy " + pods[i].Name + " is not connected", nil
		case len(known[at].Refused) > 0:
			return "proxy " + pods[i].Name + " refuses " + strings.Join(known[at].Refused, ", "), nil
		case !known[at].Synced:
			return "proxy " + pods[i].Name + " has not acknowledged", nil
		}
	}
	return "", nil
}

// ailments says why pods are not ready; empty if all are.
func ailments(pods []core.Pod, none string) string {
	if len(pods) == 0 {
		return none
	}
	for i := range pods {
		if !proxies.Ready(&pods[i]) {
			return fmt.Sprintf("pod %s: %s", pods[i].Name, proxies.Ailment(&pods[i]))
		}
	}
	return ""
}
