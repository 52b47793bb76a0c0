package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/egctl/egctl/pkg/install"
	"github.com/egctl/egctl/pkg/install/crd"
)

type uninstallOptions struct {
	kubeOptions
	console
	Name    string
	CRDs    bool
	DryRun  bool
	Yes     bool
	Timeout time.Duration
	wait    bool
}

func newUninstall(s Streams) *cobra.Command {
	o := &uninstallOptions{kubeOptions: newKubeOptions(s), console: console{s: s}}
	namespace := install.Namespace
	o.Kube.Namespace = &namespace
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Take the controller out of a cluster",
		Long: `Take the controller out of a cluster. Say what depends on it, ask, and remove the
Helm release, the certificates of the controller, and the namespace if egctl
install made it and nothing is left in it.

Gateways and routes stay, and so do the proxies of the Gateways: they go on with
what they have, and nothing follows changes any more. Delete the Gateways first if
these are to go, too.

With --crds delete the CustomResourceDefinitions of the Gateway API and of egctl as
well, and with them every object of these kinds, whoever's it is.`,
		Example: `  # What would be gone, and who needs it?
  egctl uninstall --dry-run

  egctl uninstall --yes`,
		Args: noArgs("name the release with --name"),
		RunE: runs(o),
	}
	f := cmd.Flags()
	f.StringVar(&o.Name, "name", "", "name of the Helm release; default: the one in the namespace")
	f.BoolVar(&o.CRDs, "crds", false, "delete CustomResourceDefinitions, and with them all their objects")
	f.BoolVar(&o.CRDs, "with-crds", false, "")
	f.BoolVar(&o.wait, "wait", true, "")
	// The names of Envoy Gateway's egctl. Waiting is what happens in any case.
	_ = f.MarkHidden("with-crds")
	_ = f.MarkHidden("wait")
	f.BoolVar(&o.DryRun, "dry-run", false, "say what would be done, and do nothing")
	f.BoolVarP(&o.Yes, "yes", "y", false, "do not ask")
	f.DurationVar(&o.Timeout, "timeout", 5*time.Minute, "how long to wait")
	o.kubeOptions.flags(cmd)
	return cmd
}

func (o *uninstallOptions) Complete(*cobra.Command, []string) error { return nil }

func (o *uninstallOptions) Validate() error {
	if o.Timeout <= 0 {
		return usagef("--timeout %s is no time to wait", o.Timeout)
	}
	return checkNamespace(*o.Kube.Namespace)
}

func (o *uninstallOptions) Run(ctx context.Context) error {
	defer o.done()
	if _, err := o.config(); err != nil {
		return err
	}
	i, err := install.New(install.Options{
		Getter: o.Kube, Namespace: *o.Kube.Namespace, Driver: o.Getenv("HELM_DRIVER"), Say: o.say, State: o.state,
	})
	if err != nil {
		return err
	}
	o.state("looking at what depends on it")
	if err := i.Reachable(ctx); err != nil {
		return err
	}
	removal, err := i.PlanUninstall(ctx, o.Name, o.CRDs)
	if err != nil {
		return err
	}
	o.tell(removal)
	if o.DryRun {
		return nil
	}
	if !o.Yes {
		question := "Uninstall?"
		if removal.Dependents() > 0 || len(removal.Definitions) > 0 {
			question = "Uninstall nevertheless?"
		}
		if err := o.confirm(question); err != nil {
			return err
		}
	}
	o.state("uninstalling")
	return i.Uninstall(ctx, removal, o.Timeout)
}

// tell says what goes and who needs it.
func (o *uninstallOptions) tell(r *install.Removal) {
	if r.Release != nil {
		o.say(fmt.Sprintf("release %s, namespace %s (%s %s): will be uninstalled", r.Release.Name, *o.Kube.Namespace, r.Release.Chart.Name(), r.Release.Chart.Metadata.Version))
	} else {
		o.say("no release is here")
	}
	if len(r.Gateways) > 0 {
		o.say(fmt.Sprintf("%s of GatewayClass %s will be on their own: %s", count(len(r.Gateways), "Gateway"), strings.Join(r.Classes, ", "), crd.Fields(r.Gateways, 10)))
	}
	for _, kind := range slices.Sorted(maps.Keys(r.Routes)) {
		o.say(fmt.Sprintf("  and %s on them: %s", count(len(r.Routes[kind]), kind), crd.Fields(r.Routes[kind], 10)))
	}
	if len(r.Definitions) == 0 {
		return
	}
	o.say("CustomResourceDefinitions will be deleted, with all their objects:")
	for _, name := range slices.Sorted(maps.Keys(r.Definitions)) {
		o.say(fmt.Sprintf("  - %s (%s)", name, count(r.Definitions[name], "object")))
	}
}
