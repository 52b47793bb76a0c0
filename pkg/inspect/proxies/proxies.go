// Package proxies finds the Envoys that serve a Gateway in a cluster: by the
// labels that egctl, Envoy Gateway and, as far as the Gateway API goes (GEP-1762),
// every other controller put on what they make for a Gateway.
package proxies

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
	typedgateway "sigs.k8s.io/gateway-api/pkg/client/clientset/versioned/typed/apis/v1"

	"github.com/egctl/egctl/pkg/wellknown"
)

// Labels of a fleet's objects.
const (
	OwningGatewayName      = wellknown.OwningGatewayNameLabel
	OwningGatewayNamespace = wellknown.OwningGatewayNamespaceLabel
	// OwningGatewayClass is that of a fleet that serves all Gateways of a class.
	OwningGatewayClass = wellknown.OwningGatewayClassLabel
)

// DefaultControllerNamespace is where the controller is installed, and the
// proxies with it, unless told otherwise.
const DefaultControllerNamespace = wellknown.Namespace

// Client is how the cluster is read.
type Client struct {
	Core     typedcore.CoreV1Interface
	Gateways typedgateway.GatewaysGetter
	// ControllerNamespace is looked at first; empty for
	// [DefaultControllerNamespace].
	ControllerNamespace string
}

// Fleet is the proxies of a Gateway.
type Fleet struct {
	Gateway *gateway.Gateway
	// Namespace is that of the proxies, and Selector selects their pods in it.
	Namespace string
	Selector  labels.Selector
	// Service is what clients connect to.
	Service *core.Service
}

// NotFoundError says that a Gateway is there and has no proxies.
type NotFoundError struct {
	Gateway *gateway.Gateway
	// Looked says where.
	Looked []string
	// Denied is what kept Find from looking elsewhere, if something did.
	Denied error
}

func (e *NotFoundError) Error() string {
	s := fmt.Sprintf("gateway %s/%s has no proxies: no Service of it is in %s",
		e.Gateway.Namespace, e.Gateway.Name, strings.Join(e.Looked, ", "))
	for _, c := range e.Gateway.Status.Conditions {
		if c.Status == metav1.ConditionFalse {
			s += fmt.Sprintf("; its status says %s=False, %s: %s", c.Type, c.Reason, c.Message)
			break
		}
	}
	if e.Denied != nil {
		s += fmt.Sprintf("; looking further failed: %v", e.Denied)
	}
	return s
}

// Find returns the fleet of a Gateway. The error is a [NotFoundError] if there is
// none (yet), and what the API server said otherwise.
func (c Client) Find(ctx context.Context, namespace, name string) (*Fleet, error) {
	gw, err := c.Gateways.Gateways(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("read gateway %s/%s: %w", namespace, name, err)
	}
	controller := c.ControllerNamespace
	if controller == "" {
		controller = DefaultControllerNamespace
	}
	own := labels.Set{OwningGatewayName: name, OwningGatewayNamespace: namespace}
	class := labels.Set{OwningGatewayClass: string(gw.Spec.GatewayClassName)}
	missing := &NotFoundError{Gateway: gw}
	// The whole cluster comes last: not everybody may list it.
	for _, place := range []struct {
		namespace string
		labels    labels.Set
	}{
		{controller, own},
		{namespace, own},
		{controller, class},
		{namespace, labels.Set{gateway.GatewayNameLabelKey: name}},
		{metav1.NamespaceAll, own},
		{metav1.NamespaceAll, class},
	} {
		list, err := c.Core.Services(place.namespace).List(ctx, metav1.ListOptions{LabelSelector: place.labels.String()})
		if apierrors.IsForbidden(err) {
			missing.Denied = err
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look for the proxies of gateway %s/%s: %w", namespace, name, err)
		}
		for i := range list.Items {
			service := &list.Items[i]
			if len(service.Spec.Selector) > 0 && service.DeletionTimestamp == nil {
				return &Fleet{
					Gateway: gw, Namespace: service.Namespace, Service: service,
					Selector: labels.SelectorFromSet(service.Spec.Selector),
				}, nil
			}
		}
		missing.look(place.namespace)
	}
	return nil, missing
}

func (e *NotFoundError) look(namespace string) {
	where := "namespace " + namespace
	if namespace == metav1.NamespaceAll {
		where = "any namespace"
		e.Looked = nil
	}
	for _, l := range e.Looked {
		if l == where {
			return
		}
	}
	e.Looked = append(e.Looked, where)
}

// IsNotFound says that a fleet may still come: its Gateway or its proxies are
// not there.
func IsNotFound(err error) bool {
	var missing *NotFoundError
	return errors.As(err, &missing) || apierrors.IsNotFound(err)
}

// Ready says whether a pod can serve: ready, and not going away.
func Ready(pod *core.Pod) bool {
	if pod.DeletionTimestamp != nil {
		return false
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == core.PodReady {
			return c.Status == core.ConditionTrue
		}
	}
	return false
}

// Running says whether a pod's containers run, ready or not.
func Running(pod *core.Pod) bool {
	return pod.Status.Phase == core.PodRunning && pod.DeletionTimestamp == nil
}

// Ailment says in a few words why a pod is not ready, such as
// "ImagePullBackOff: …"; empty if it is.
func Ailment(pod *core.Pod) string {
	if pod.DeletionTimestamp != nil {
		return "is going away"
	}
	if Ready(pod) {
		return ""
	}
	if reason, message := Obstacle(pod); message != "" {
		return reason + ": " + message
	} else if reason != "" {
		return reason
	}
	if pod.Status.Phase == core.PodRunning {
		return "runs and is not ready"
	}
	return "is " + strings.ToLower(string(pod.Status.Phase))
}

// Obstacle is what the scheduler or the kubelet say is in the way of a pod that is not
// ready: a reason such as Unschedulable or CrashLoopBackOff, and more about it. The reason is
// empty if they say nothing.
func Obstacle(pod *core.Pod) (reason, message string) {
	for _, s := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
		if w := s.State.Waiting; w != nil && w.Reason != "" {
			// That a container is restarted says nothing of why it has to be.
			if t := s.LastTerminationState.Terminated; t != nil {
				return w.Reason, strings.TrimSuffix(ended(s.Name, t)+"; "+w.Message, "; ")
			}
			return w.Reason, w.Message
		}
		if t := s.State.Terminated; t != nil && t.ExitCode != 0 {
			return cmp.Or(t.Reason, "Error"), ended(s.Name, t)
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == core.PodScheduled && c.Status == core.ConditionFalse {
			return c.Reason, c.Message
		}
	}
	return "", ""
}

// ended says how a container ended.
func ended(name string, t *core.ContainerStateTerminated) string {
	s := fmt.Sprintf("container %s ended with exit code %d", name, t.ExitCode)
	if t.Reason != "" && t.Reason != "Error" {
		s += " (" + t.Reason + ")"
	}
	// It may be the end of the log, in which the last line says why.
	if m := strings.TrimSpace(t.Message); m != "" {
		s += ": " + m[strings.LastIndex(m, "\n")+1:]
	}
	return s
}
