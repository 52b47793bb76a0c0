package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/egctl/egctl/pkg/inspect/proxies"
	"github.com/egctl/egctl/pkg/portforward"
)

type portForwardOptions struct {
	kubeOptions
	Target              portforward.Target
	Ports               []portforward.Port
	Addresses           []string
	Admin               bool
	ControllerNamespace string
	PodTimeout          time.Duration
}

func newPortForward(s Streams) *cobra.Command {
	o := &portForwardOptions{kubeOptions: newKubeOptions(s)}
	cmd := &cobra.Command{
		Use:   "port-forward TYPE/NAME [LOCAL:]REMOTE...",
		Short: "Reach a Gateway, a Service or a pod from this machine",
		Long: `Make ports of a Gateway, a Service or a pod reachable on this machine, by way of
the API server. The ports of a Gateway are those of its listeners, by number or
name; its proxies also have admin, metrics, ready and shutdown.

The connection goes to a pod that is ready. When it goes away another takes over,
and the local ports stay open. A remote port alone is the local one, too; without
a number before the colon, the local port is any that is free.`,
		Example: `  # Listener port 80 of Gateway eg, on port 8888 of this machine
  egctl port-forward gateway/eg 8888:80

  # Two listeners by name, on any free ports
  egctl port-forward gateway/eg :http :https

  # Envoy's admin interface
  egctl port-forward gateway/eg --admin

  # A Service in another namespace, for all machines of the network
  egctl port-forward -n shop svc/web 8080:80 --address 0.0.0.0`,
		ValidArgsFunction: o.complete,
		RunE:              runs(o),
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.Addresses, "address", []string{"localhost"}, "IP addresses to listen on; localhost for 127.0.0.1 and ::1")
	f.BoolVar(&o.Admin, "admin", false, "forward Envoy's admin port, too; of a Gateway only")
	f.DurationVar(&o.PodTimeout, "pod-running-timeout", time.Minute, "how long to wait for a pod at the beginning")
	controllerNamespaceFlag(cmd, s, &o.ControllerNamespace)
	o.flags(cmd)
	return cmd
}

// controllerNamespaceFlag says where the proxies of Gateways run.
func controllerNamespaceFlag(cmd *cobra.Command, s Streams, to *string) {
	namespace := proxies.DefaultControllerNamespace
	if s.Getenv != nil && s.Getenv("ENVOY_GATEWAY_NAMESPACE") != "" {
		namespace = s.Getenv("ENVOY_GATEWAY_NAMESPACE")
	}
	cmd.Flags().StringVar(to, "controller-namespace", namespace, "namespace of the controller, where proxies are looked for first")
}

func (o *portForwardOptions) Complete(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usagef("nothing to forward to: name a TYPE/NAME, such as gateway/eg")
	}
	var err error
	if o.Target, err = portforward.ParseTarget(args[0]); err != nil {
		return usagef("%w", err)
	}
	for _, a := range args[1:] {
		p, err := portforward.ParsePort(a)
		if err != nil {
			return usagef("%w", err)
		}
		o.Ports = append(o.Ports, p)
	}
	if o.Admin {
		o.Ports = append(o.Ports, portforward.Port{Local: -1, Remote: "admin"})
	}
	return nil
}

func (o *portForwardOptions) Validate() error {
	if len(o.Ports) == 0 {
		return usagef("no port to forward: name one, such as 8888:80")
	}
	if o.Admin && o.Target.Bare {
		return usagef("--admin is for a gateway, and a name alone is that of a pod: did you mean gateway/%s?", o.Target.Name)
	}
	if o.Admin && o.Target.Kind != "gateway" {
		return usagef("--admin is for a gateway; of %s name the port %d", o.Target, portforward.AdminPort)
	}
	for _, a := range o.Addresses {
		if err := portforward.ParseAddress(a); err != nil {
			return usagef("--address: %w", err)
		}
	}
	if o.PodTimeout < 0 {
		return usagef("--pod-running-timeout %s is negative", o.PodTimeout)
	}
	return nil
}

func (o *portForwardOptions) Run(ctx context.Context) error {
	config, err := o.config()
	if err != nil {
		return err
	}
	namespace, err := o.namespace()
	if err != nil {
		return err
	}
	return portforward.Forward(ctx, portforward.Options{
		Config: config, Namespace: namespace, Target: o.Target, Ports: o.Ports, Addresses: o.Addresses,
		ControllerNamespace: o.ControllerNamespace, PodTimeout: o.PodTimeout, Out: o.Out, Err: o.Err,
	})
}

// complete completes the target, then its ports.
func (o *portForwardOptions) complete(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return o.completeTarget(cmd.Context(), typed)
	}
	target, err := portforward.ParseTarget(args[0])
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return o.ports(cmd.Context(), target), cobra.ShellCompDirectiveNoFileComp
}
