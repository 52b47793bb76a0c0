package cli

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"
	"k8s.io/client-go/kubernetes"

	"github.com/egctl/egctl/pkg/controller/pki"
	"github.com/egctl/egctl/pkg/wellknown"
)

// certgenOptions are of a command that Envoy Gateway's manifests run as a job. The
// controller makes its certificates by itself, so that it has little to do; that it is
// there lets such manifests work.
type certgenOptions struct {
	kubeOptions
	Local, Overwrite, NoTopology bool
	ConfigHome                   string
}

func newCertgen(s Streams) *cobra.Command {
	o := &certgenOptions{kubeOptions: newKubeOptions(s)}
	cmd := &cobra.Command{
		Use:   "certgen",
		Short: "Make the controller's certificates, which it also does itself",
		Long: `Make the CA and the certificate of the controller in the namespace
$ENVOY_GATEWAY_NAMESPACE (envoy-gateway-system), if they are not there. The
controller makes and renews its certificates by itself, so that nobody needs to run
this; it is here for manifests written for Envoy Gateway, whose flags it takes.`,
		Example: `  # On this machine there is nothing to do
  egctl certgen --local`,
		Hidden: true,
		Args:   noArgs(""),
		RunE:   runs(o),
	}
	f := cmd.Flags()
	f.BoolVarP(&o.Local, "local", "l", false, "for a gateway on this machine, which needs no certificates")
	f.BoolVarP(&o.Overwrite, "overwrite", "o", false, "has no effect: what is good stays, and what is not is replaced anyway")
	f.BoolVar(&o.NoTopology, "disable-topology-injector", false, "has no effect: there is no webhook")
	f.StringVar(&o.ConfigHome, "config-home", "", "has no effect")
	o.kubeOptions.flags(cmd)
	return cmd
}

func (o *certgenOptions) Complete(*cobra.Command, []string) error { return nil }

func (o *certgenOptions) Validate() error { return nil }

func (o *certgenOptions) Run(ctx context.Context) error {
	if o.Local {
		fmt.Fprintln(o.Err, "A gateway on this machine needs no certificates: egctl run reaches its proxies by private sockets.")
		return nil
	}
	config, err := o.config()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("certificates: %w", err)
	}
	namespace := o.Getenv("ENVOY_GATEWAY_NAMESPACE")
	if namespace == "" {
		namespace = wellknown.Namespace
	}
	m, err := pki.New(pki.Options{
		Client: client, Namespace: namespace, ClusterDomain: o.Getenv("KUBERNETES_CLUSTER_DOMAIN"),
		Logger: slog.New(slog.NewTextHandler(o.Err, nil)),
	})
	if err != nil {
		return err
	}
	if err := m.Once(ctx); err != nil {
		return err
	}
	fmt.Fprintf(o.Err, "Secrets %s and %s in namespace %s hold what the controller needs.\n", pki.CASecret, pki.ServerSecret, namespace)
	return nil
}
