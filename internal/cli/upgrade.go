package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/egctl/egctl/pkg/install"
)

type upgradeOptions struct {
	releaseOptions
	ResetValues bool
	Yes         bool
}

func newUpgrade(s Streams, version string) *cobra.Command {
	o := &upgradeOptions{releaseOptions: newReleaseOptions(s, version)}
	cmd := &cobra.Command{
		Use:   "upgrade",
		Short: "Bring an installation to this version, or to other values",
		Long: `Bring an installation to the version of this egctl, or to other values: say what
changes, ask, do it, and wait until it runs. If it does not, go back to what ran
before. It also turns an installation of Envoy Gateway by its Helm chart into one
of egctl. That is refused while the cluster has objects that only Envoy Gateway
acts on, such as a SecurityPolicy, unless --ignore-unsupported names their kinds.

Values that were given before still hold, unless --reset-values. How
CustomResourceDefinitions are upgraded: see egctl install.`,
		Example: `  # See what would change
  egctl upgrade --dry-run

  # Change a value, keep the others
  egctl upgrade --set deployment.replicas=2 --yes`,
		Args: noArgs("name the release with --name"),
		RunE: runs(o),
	}
	cmd.Flags().StringVar(&o.Name, "name", "", "name of the Helm release; default: the one in the namespace")
	cmd.Flags().BoolVar(&o.ResetValues, "reset-values", false, "forget the values that were given before")
	cmd.Flags().BoolVarP(&o.Yes, "yes", "y", false, "do not ask")
	o.releaseOptions.flags(cmd)
	return cmd
}

func (o *upgradeOptions) Complete(*cobra.Command, []string) error { return nil }

func (o *upgradeOptions) Validate() error { return o.validate() }

func (o *upgradeOptions) Run(ctx context.Context) error {
	defer o.done()
	request, err := o.request()
	if err != nil {
		return err
	}
	request.ResetValues = o.ResetValues
	i, err := o.installer()
	if err != nil {
		return err
	}
	o.state("planning")
	if err := i.Reachable(ctx); err != nil {
		return err
	}
	plan, err := i.PlanUpgrade(ctx, request)
	if err != nil {
		return err
	}
	before := plan.Previous.Chart.Metadata
	o.say(fmt.Sprintf("release %s, namespace %s, revision %d: chart %s %s → %s %s", plan.Request.Name, *o.Kube.Namespace, plan.Previous.Version,
		before.Name, before.Version, plan.Chart, plan.Version))
	if len(plan.CRDs) > 0 {
		o.say("CustomResourceDefinitions:")
		o.crds(plan)
	}
	o.notes(plan)
	if err := plan.Refusal(); err != nil && !o.DryRun {
		return err
	}
	o.done()
	// With --dry-run the changes are what was asked for.
	w := o.Err
	if o.DryRun {
		w = o.Out
	}
	if err := install.WriteChanges(w, plan.Changes); err != nil {
		return err
	}
	switch {
	case plan.Same:
		o.say(fmt.Sprintf("nothing to do: revision %d has this chart and these values already", plan.Previous.Version))
	case len(plan.Changes) == 0 && !o.OnlyCRDs:
		o.say("no object of the release changes")
	}
	if o.DryRun {
		return plan.Refusal()
	}
	if plan.Same {
		return nil
	}
	if !o.Yes {
		if err := o.confirm("Upgrade?"); err != nil {
			return err
		}
	}
	if _, err := i.Apply(ctx, plan); err != nil {
		return err
	}
	o.say(upgraded(plan))
	return nil
}

// upgraded says what is known to be the case after an upgrade.
func upgraded(p *install.Plan) string {
	switch {
	case p.Request.OnlyCRDs || !p.Request.Wait:
		return "upgraded"
	case p.Restarts():
		return "upgraded, and running"
	case p.Reconfigures():
		return "upgraded; nothing had to restart: the controller that runs takes up its new configuration when the kubelet hands it over, within a minute or two, and its log says so"
	default:
		return "upgraded; nothing had to restart"
	}
}
