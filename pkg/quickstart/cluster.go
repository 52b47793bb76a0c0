package quickstart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	gatewayclient "sigs.k8s.io/gateway-api/pkg/client/clientset/versioned/typed/apis/v1"

	"github.com/egctl/egctl/pkg/inspect/proxies"
	"github.com/egctl/egctl/pkg/inspect/status"
	"github.com/egctl/egctl/pkg/install"
	"github.com/egctl/egctl/pkg/portforward"
)

// gatewayName and listenerPort are those of the manifest.
const (
	gatewayName  = "eg"
	routeName    = "backend"
	listenerPort = 80
)

// ClusterOptions configure a quickstart in a cluster.
type ClusterOptions struct {
	// Getter reaches the cluster.
	Getter genericclioptions.RESTClientGetter
	// Namespace is that of the demo, Controller that of the controller.
	Namespace, Controller string
	// Version is that of this egctl.
	Version string
	// Values are those of the chart, if the controller must be installed.
	Values map[string]any
	// Timeout is how long each thing is waited for.
	Timeout time.Duration
	// Once ends after the answer even if it took a port-forward to get it.
	Once bool
	// Out takes the answer, Err the narration. State is told what is waited for.
	Out, Err   io.Writer
	Say, State func(string)
}

// clusterRun is a quickstart in a cluster, or its clean-up.
type clusterRun struct {
	ClusterOptions
	config  *rest.Config
	client  kubernetes.Interface
	gateway gatewayclient.GatewayV1Interface
	demo    *demo
	install *install.Installer
}

func newClusterRun(o ClusterOptions) (*clusterRun, error) {
	r := &clusterRun{ClusterOptions: o, demo: &demo{namespace: o.Namespace}}
	var err error
	if r.config, err = o.Getter.ToRESTConfig(); err != nil {
		return nil, fmt.Errorf("find the cluster: %w", err)
	}
	if r.client, err = kubernetes.NewForConfig(r.config); err != nil {
		return nil, fmt.Errorf("client of the cluster: %w", err)
	}
	if r.gateway, err = gatewayclient.NewForConfig(r.config); err != nil {
		return nil, fmt.Errorf("client of the cluster: %w", err)
	}
	if r.demo.client, err = dynamic.NewForConfig(r.config); err != nil {
		return nil, fmt.Errorf("client of the cluster: %w", err)
	}
	if r.install, err = install.New(install.Options{Getter: o.Getter, Namespace: o.Controller, Say: o.Say, State: o.State}); err != nil {
		return nil, err
	}
	return r, r.demo.read(Manifest(o.Version))
}

// Cluster installs the controller where it is not there, applies the manifest,
// waits until every proxy has acknowledged it, sends a request through, and shows
// it. Where the Gateway's address does not answer from here it forwards a port, and
// goes on with that until ctx ends.
func Cluster(ctx context.Context, o ClusterOptions) error {
	r, err := newClusterRun(o)
	if err != nil {
		return err
	}
	o.State("checking the cluster")
	if err := r.install.Reachable(ctx); err != nil {
		return fmt.Errorf("%w\n  Without a cluster: egctl quickstart --local", err)
	}
	if err := r.namespaced(ctx); err != nil {
		return err
	}
	if err := r.learnKinds(); err != nil {
		return err
	}
	if err := r.demo.foreign(ctx); err != nil {
		return err
	}
	if err := r.ensureController(ctx); err != nil {
		return err
	}
	if err := r.learnKinds(); err != nil {
		return err
	}
	if err := r.demo.apply(ctx, o.Say); err != nil {
		return err
	}
	o.Say("applied the demo to namespace " + o.Namespace)
	if err := r.wait(ctx, "the route is accepted", r.accepted); err != nil {
		return err
	}
	if err := r.wait(ctx, "the demo backend is available", r.backend); err != nil {
		return err
	}
	if err := r.serving(ctx); err != nil {
		return err
	}
	if host, ok := r.address(ctx); ok {
		if err := ask(ctx, question{host, listenerPort}, o.Out, o.Err); err != nil {
			return err
		}
		r.next()
		return nil
	}
	return r.forward(ctx)
}

// namespaced refuses to go on without a namespace for the demo. Who may not see it may
// still be let to apply things there.
func (r *clusterRun) namespaced(ctx context.Context) error {
	ns, err := r.client.CoreV1().Namespaces().Get(ctx, r.Namespace, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("namespace %[1]s does not exist: kubectl create namespace %[1]s makes it", r.Namespace)
	case err == nil && ns.DeletionTimestamp != nil:
		return fmt.Errorf("namespace %s is being removed: try again when it is gone, or name another with -n", r.Namespace)
	case err != nil && !apierrors.IsForbidden(err):
		return fmt.Errorf("look for namespace %s: %w", r.Namespace, err)
	}
	return nil
}

// learnKinds asks which kinds there are, as of now: the installation has made some.
func (r *clusterRun) learnKinds() error {
	groups, err := restmapper.GetAPIGroupResources(r.client.Discovery())
	if err != nil {
		return fmt.Errorf("kinds of the cluster: %w", err)
	}
	r.demo.mapper = restmapper.NewDiscoveryRESTMapper(groups)
	return nil
}

// address returns that of the Gateway if it answers from here.
func (r *clusterRun) address(ctx context.Context) (string, bool) {
	host := r.assigned(ctx)
	if host == "" {
		r.Say("the Gateway has no address, as nothing here gives Services of type LoadBalancer one: forwarding a port")
		return "", false
	}
	// The way to new proxies may open a moment after they are ready.
	for deadline := time.Now().Add(addressWithin); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		conn, err := (&net.Dialer{Deadline: deadline}).DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(listenerPort)))
		if err == nil {
			return host, conn.Close() == nil
		}
	}
	r.Say(fmt.Sprintf("the Gateway's address %s does not answer from here: forwarding a port", host))
	return "", false
}

// assigned waits a moment for the Gateway's address; empty: it has none.
func (r *clusterRun) assigned(ctx context.Context) string {
	for deadline := time.Now().Add(assignedWithin); ; {
		gw, err := r.gateway.Gateways(r.Namespace).Get(ctx, gatewayName, metav1.GetOptions{})
		switch {
		case err == nil && len(gw.Status.Addresses) > 0:
			return gw.Status.Addresses[0].Value
		case ctx.Err() != nil, time.Now().After(deadline):
			return ""
		}
		r.State("waiting for an address of the Gateway")
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// How long the Gateway may take to get an address, once its proxies run, and how
// long that may take to answer.
const (
	assignedWithin = 10 * time.Second
	addressWithin  = 3 * time.Second
)

// forward asks through a forwarded port.
func (r *clusterRun) forward(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err := portforward.Forward(ctx, portforward.Options{
		Config: r.config, Namespace: r.Namespace, ControllerNamespace: r.Controller,
		Target: portforward.Target{Kind: "gateway", Name: gatewayName}, Ports: []portforward.Port{{Local: 0, Remote: strconv.Itoa(listenerPort)}},
		Addresses: []string{"127.0.0.1"}, PodTimeout: r.Timeout, Err: r.Err,
		Ready: func(ports []portforward.ForwardedPort) {
			go func() {
				if err := ask(ctx, question{"127.0.0.1", int(ports[0].Local.Port())}, r.Out, r.Err); err != nil {
					cancel(err)
					return
				}
				r.next()
				if r.Once {
					cancel(errDone)
					return
				}
				fmt.Fprintln(r.Err, "The port stays forwarded; Ctrl-C ends that, and nothing else.")
			}()
		},
	})
	cause := context.Cause(ctx)
	switch {
	case err != nil:
		return err
	case errors.Is(cause, errDone), errors.Is(cause, context.Canceled) && !r.Once:
		return nil
	case errors.Is(cause, context.Canceled):
		return errInterrupted
	default:
		return cause
	}
}

func (r *clusterRun) next() {
	fmt.Fprintf(r.Err, `
What next?
  # What is there, and how it is
  egctl status tree -n %[1]s
  # The gateway on this machine
  egctl port-forward -n %[1]s gateway/%[2]s 8888:80
  # Change the route
  kubectl edit -n %[1]s httproute %[3]s
  # Take all of this away again
  egctl quickstart --cleanup -n %[1]s
`, r.Namespace, gatewayName, routeName)
}

// wait asks until it is so, and says on time-out what was last missing. A question
// answers "" for yes. A request that fails is asked again, unless that is of no use.
func (r *clusterRun) wait(ctx context.Context, what string, question func(context.Context) (missing string, err error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, r.Timeout, fmt.Errorf("not within %s", r.Timeout))
	defer cancel()
	said, last := "", "nothing is known"
	for {
		missing, err := question(ctx)
		switch {
		case err == nil && missing == "":
			return nil
		case err == nil:
			last = missing
		case ctx.Err() != nil: // that is why it failed
		case status.Passing(err):
			last = err.Error()
		default:
			return fmt.Errorf("wait until %s: %w", what, err)
		}
		if last != said {
			r.State(fmt.Sprintf("waiting until %s: %s", what, last))
			said = last
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w; last seen: %s", what, context.Cause(ctx), last)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (r *clusterRun) fleet(ctx context.Context) (*proxies.Fleet, error) {
	return proxies.Client{Core: r.client.CoreV1(), Gateways: r.gateway, ControllerNamespace: r.Controller}.Find(ctx, r.Namespace, gatewayName)
}
