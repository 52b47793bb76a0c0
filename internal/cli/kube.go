package cli

import (
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"
)

// kubeOptions are those of every command that talks to a cluster: the flags of
// kubectl, with the same meaning.
type kubeOptions struct {
	Streams
	Kube *genericclioptions.ConfigFlags
}

func newKubeOptions(s Streams) kubeOptions {
	return kubeOptions{Streams: s, Kube: genericclioptions.NewConfigFlags(true).WithWrapConfigFn(forPerson)}
}

func (o *kubeOptions) flags(cmd *cobra.Command) {
	o.Kube.CacheDir = nil // its default is another on every machine, which help is not to show
	o.Kube.AddFlags(cmd.Flags())
	o.completeFlags(cmd)
}

// config is how the cluster is reached.
func (o *kubeOptions) config() (*rest.Config, error) {
	config, err := o.Kube.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("find the cluster: %w; name a kubeconfig with --kubeconfig or $KUBECONFIG", err)
	}
	return config, nil
}

// forPerson makes a connection one for a person, who waits: the client's own
// limits would be felt.
func forPerson(config *rest.Config) *rest.Config {
	config.UserAgent = "egctl"
	config.QPS, config.Burst = 100, 200
	return config
}

// namespace is that of --namespace or, without it, of the kubeconfig's context.
func (o *kubeOptions) namespace() (string, error) {
	namespace, _, err := o.Kube.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return "", fmt.Errorf("find the namespace: %w", err)
	}
	return namespace, nil
}
