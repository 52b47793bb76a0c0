package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
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
	connection := pflag.NewFlagSet(cmd.Name(), pflag.ContinueOnError)
	o.Kube.AddFlags(connection)
	connection.VisitAll(func(f *pflag.Flag) {
		// Which namespace is a question of what is done, not of how the cluster is reached.
		if f.Name != "namespace" {
			f.Annotations = map[string][]string{connectionFlag: {"true"}}
		}
	})
	cmd.Flags().AddFlagSet(connection)
	o.completeFlags(cmd)
}

// connectionFlag marks the flags by which a cluster is reached: every command that talks
// to one has them, and few calls need them.
const connectionFlag = "egctl/connection"

// SplitFlags sorts flags into those of the command, and those by which it reaches a
// cluster.
func SplitFlags(all *pflag.FlagSet) (own, connection *pflag.FlagSet) {
	own, connection = pflag.NewFlagSet("", pflag.ContinueOnError), pflag.NewFlagSet("", pflag.ContinueOnError)
	all.VisitAll(func(f *pflag.Flag) {
		if _, ok := f.Annotations[connectionFlag]; ok {
			connection.AddFlag(f)
		} else {
			own.AddFlag(f)
		}
	})
	return own, connection
}

// usage is cobra's, with the flags of the connection after all others.
func usage(cmd *cobra.Command) error {
	_, connection := SplitFlags(cmd.Flags())
	hide := func(hidden bool) {
		connection.VisitAll(func(f *pflag.Flag) { f.Hidden = hidden })
	}
	hide(true)
	err := new(cobra.Command).UsageFunc()(cmd)
	hide(false)
	if err == nil && connection.HasFlags() {
		_, err = fmt.Fprintf(cmd.OutOrStderr(), "\nConnection flags:\n%s", connection.FlagUsages())
	}
	return err
}

// config is how the cluster is reached.
func (o *kubeOptions) config() (*rest.Config, error) {
	config, err := o.Kube.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("find the cluster: %w; name a kubeconfig with --kubeconfig or $KUBECONFIG", err)
	}
	return config, o.configured(config)
}

// unconfigured is where kubectl looks for a cluster that nobody has told it of.
const unconfigured = "http://localhost:8080"

// configured says what is missing where nothing says which cluster is meant. Somebody who
// is told of a refused connection to a port that he never heard of looks in vain.
func (o *kubeOptions) configured(config *rest.Config) error {
	if config.Host != unconfigured || *o.Kube.APIServer != "" || o.Getenv("KUBERNETES_MASTER") != "" {
		return nil
	}
	raw, err := o.Kube.ToRawKubeConfigLoader().RawConfig()
	switch {
	case err != nil:
		return fmt.Errorf("find the cluster: %w", err)
	case len(raw.Contexts) == 0 && len(raw.Clusters) == 0:
		if file := o.kubeconfigFile(); file != "" {
			return fmt.Errorf("%s names no cluster: it is empty, or no kubeconfig", file)
		}
		return errors.New("no kubeconfig: set $KUBECONFIG or --kubeconfig; without a cluster there are egctl quickstart --local and egctl run")
	case raw.CurrentContext == "" && *o.Kube.Context == "":
		return errors.New("the kubeconfig has no current context: say --context, or kubectl config use-context")
	}
	return nil
}

// kubeconfigFile is the file that was named and is there; empty if there is none.
func (o *kubeOptions) kubeconfigFile() string {
	for _, file := range append([]string{*o.Kube.KubeConfig}, filepath.SplitList(o.Getenv("KUBECONFIG"))...) {
		if file == "" {
			continue
		}
		if _, err := os.Stat(file); err == nil {
			return file
		}
	}
	return ""
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
