package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"

	"github.com/egctl/egctl/charts"
	"github.com/egctl/egctl/pkg/cluster"
	"github.com/egctl/egctl/pkg/wellknown"
)

type controllerOptions struct {
	kubeOptions
	ConfigPath string

	version, image, namespace, pod, domain string
}

func newController(s Streams, version string) *cobra.Command {
	o := &controllerOptions{kubeOptions: newKubeOptions(s), version: version}
	cmd := &cobra.Command{
		Use:     "controller",
		Aliases: []string{"server", "serve"},
		Short:   "Run the controller (what the Deployment envoy-gateway runs)",
		Long: `Run the controller: it watches the objects of a cluster, runs proxies for its
Gateways, configures them, and writes what became of it to the objects' status.

It reads the environment: $ENVOY_GATEWAY_NAMESPACE (envoy-gateway-system),
$KUBERNETES_CLUSTER_DOMAIN (cluster.local), $ENVOY_POD_NAME (the host's name), and
$EGCTL_IMAGE, the image that it is from, which also drains proxies.`,
		Example: `  # As the chart calls it
  egctl server --config-path=/config/envoy-gateway.yaml

  # Outside of the cluster, with the current kubeconfig, to try a change
  egctl controller`,
		Args: noArgs(""),
		RunE: runs(o),
	}
	cmd.Flags().StringVarP(&o.ConfigPath, "config-path", "c", "", "file with an EnvoyGateway, followed as it changes; without it the defaults hold")
	o.kubeOptions.flags(cmd)
	_ = cmd.MarkFlagFilename("config-path", "yaml", "yml") // the flag is there: see above
	return cmd
}

func (o *controllerOptions) Complete(*cobra.Command, []string) error {
	value := func(name, otherwise string) string {
		if v := o.Getenv(name); v != "" {
			return v
		}
		return otherwise
	}
	host, err := os.Hostname()
	if err != nil {
		host = "egctl"
	}
	o.namespace = value("ENVOY_GATEWAY_NAMESPACE", wellknown.Namespace)
	o.domain = value("KUBERNETES_CLUSTER_DOMAIN", "cluster.local")
	o.pod = value("ENVOY_POD_NAME", host)
	o.image = value("EGCTL_IMAGE", charts.Image(o.version))
	return nil
}

func (o *controllerOptions) Validate() error { return nil }

func (o *controllerOptions) Run(ctx context.Context) error {
	config, err := o.clusterConfig()
	if err != nil {
		return err
	}
	log := cluster.NewLog(o.Out)
	log.Clients()
	started := steady(o.Getenv)
	return cluster.Run(ctx, cluster.Options{
		Config: config, ConfigFile: o.ConfigPath, Namespace: o.namespace, Pod: o.pod, ClusterDomain: o.domain,
		Image: o.image, Log: log, Ready: started,
	})
}

// clusterConfig prefers the pod's own ServiceAccount to a kubeconfig, but not to
// flags.
func (o *controllerOptions) clusterConfig() (*rest.Config, error) {
	if *o.Kube.KubeConfig == "" && *o.Kube.Context == "" && *o.Kube.APIServer == "" && o.Getenv("KUBERNETES_SERVICE_HOST") != "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("find the cluster from inside: %w", err)
		}
		config.UserAgent = "egctl-controller"
		return config, nil
	}
	return o.config()
}
