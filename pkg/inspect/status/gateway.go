package status

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	typedgateway "sigs.k8s.io/gateway-api/pkg/client/clientset/versioned/typed/apis/v1"

	"github.com/egctl/egctl/pkg/inspect/proxies"
)

// ServingOptions say which Gateway to wait for.
type ServingOptions struct {
	Config          *rest.Config
	Namespace, Name string
	// ControllerNamespace is where proxies are looked for first; empty for
	// [proxies.DefaultControllerNamespace].
	ControllerNamespace string
	// NoAddress takes a Gateway that lacks nothing but an address, as where there is
	// no load balancer.
	NoAddress bool
	// Acknowledged asks the controller whether every proxy has taken over the
	// configuration, and says what is missing if not. Nil: that the proxies are ready has to
	// do, and a route that has just been accepted may not be in force yet.
	Acknowledged func(ctx context.Context, fleet *proxies.Fleet, pods []core.Pod) (missing string, err error)
	// Progress is called with what is waited for when that changes; nil: not.
	Progress func(string)
}

// Serving is a Gateway that serves.
type Serving struct {
	Fleet *proxies.Fleet
	Pods  []core.Pod
	// Addresses are those of the Gateway's status.
	Addresses []string
}

// poll is how often a Gateway and its pods are looked at.
const poll = 500 * time.Millisecond

// WaitServing waits until a Gateway is programmed as it is now, and every one of its
// proxies is ready. When the context ends it says what was missing, as a
// [TimeoutError] if it was a deadline.
func WaitServing(ctx context.Context, o ServingOptions) (*Serving, error) {
	client, err := typedcore.NewForConfig(o.Config)
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	gateways, err := typedgateway.NewForConfig(o.Config)
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	finder := proxies.Client{Core: client, Gateways: gateways, ControllerNamespace: o.ControllerNamespace}
	last := "nothing has been seen yet"
	for {
		s, missing, err := o.look(ctx, finder)
		switch {
		case ctx.Err() != nil:
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil, &TimeoutError{Missing: []string{last}}
			}
			return nil, ctx.Err()
		case err != nil && !Passing(err):
			return nil, err
		case err != nil:
			missing = err.Error()
		case missing == "":
			return s, nil
		}
		if missing != last {
			last = missing
			if o.Progress != nil {
				o.Progress(missing)
			}
		}
		pause(ctx, poll)
	}
}

// Passing says whether an error of a request may be gone at the next: there was no
// answer, or the API server says that it cannot give one now. Any other answer, such
// as that something is forbidden, stays; so do a certificate that is not trusted and
// a host that there is not.
func Passing(err error) bool {
	var untrusted *tls.CertificateVerificationError
	var unknown *net.DNSError
	if errors.As(err, &untrusted) || errors.As(err, &unknown) && unknown.IsNotFound {
		return false
	}
	if answer := apierrors.APIStatus(nil); !errors.As(err, &answer) {
		return true
	}
	return apierrors.IsTooManyRequests(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsInternalError(err) ||
		apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) || apierrors.IsUnexpectedServerError(err)
}

// look returns what is missing.
func (o ServingOptions) look(ctx context.Context, finder proxies.Client) (s *Serving, missing string, err error) {
	fleet, err := finder.Find(ctx, o.Namespace, o.Name)
	if proxies.IsNotFound(err) {
		return nil, err.Error(), nil
	}
	if err != nil {
		return nil, "", err
	}
	gw := fleet.Gateway
	name := "gateway " + gw.Namespace + "/" + gw.Name + ": "
	if m := o.programmed(gw.Status.Conditions, gw.Generation); m != "" {
		return nil, name + m, nil
	}
	list, err := finder.Core.Pods(fleet.Namespace).List(ctx, metav1.ListOptions{LabelSelector: fleet.Selector.String()})
	if err != nil {
		return nil, "", fmt.Errorf("list the proxies of gateway %s/%s: %w", gw.Namespace, gw.Name, err)
	}
	s = &Serving{Fleet: fleet}
	var ill []string
	for _, p := range list.Items {
		if p.DeletionTimestamp != nil || p.Status.Phase == core.PodSucceeded || p.Status.Phase == core.PodFailed {
			continue // others take their place
		}
		if m := proxies.Ailment(&p); m != "" {
			ill = append(ill, "pod "+p.Namespace+"/"+p.Name+" "+m)
		}
		s.Pods = append(s.Pods, p)
	}
	if len(s.Pods) == 0 {
		return nil, name + "there are no pods of its proxies yet", nil
	}
	if len(ill) > 0 {
		slices.Sort(ill)
		return nil, name + strings.Join(ill, "; "), nil
	}
	if o.Acknowledged != nil {
		m, err := o.Acknowledged(ctx, fleet, s.Pods)
		if err != nil {
			return nil, "", fmt.Errorf("ask whether the proxies of gateway %s/%s have their configuration: %w", gw.Namespace, gw.Name, err)
		}
		if m != "" {
			return nil, name + m, nil
		}
	}
	for _, a := range gw.Status.Addresses {
		s.Addresses = append(s.Addresses, a.Value)
	}
	return s, "", nil
}

// programmed says what is missing to a Gateway of that generation.
func (o ServingOptions) programmed(conditions []metav1.Condition, generation int64) string {
	for _, c := range conditions {
		if c.Type != "Programmed" {
			continue
		}
		i := Issue{Condition: Condition{Type: c.Type, Status: string(c.Status), Reason: c.Reason, Message: c.Message}}
		switch {
		case c.ObservedGeneration < generation:
			return "the controller has not seen the newest change yet"
		case c.Status == metav1.ConditionTrue, o.NoAddress && c.Reason == "AddressNotAssigned":
			return ""
		default:
			return i.state()
		}
	}
	return "no controller has answered for it"
}
