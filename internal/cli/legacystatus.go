package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/egctl/egctl/pkg/inspect/status"
)

// legacyStatusOptions are those of Envoy Gateway's `egctl x status`.
type legacyStatusOptions struct {
	statusOptions
}

func newLegacyStatus(s Streams) *cobra.Command {
	o := &legacyStatusOptions{statusOptions{kubeOptions: newKubeOptions(s)}}
	cmd := &cobra.Command{
		Use:   "status KIND [NAME...]",
		Short: "Print the conditions of Gateways, routes and policies",
		Long: `Print a line for each condition of the objects of a KIND, or of several: all,
xroute, xpolicy. The columns are those of Envoy Gateway's egctl, for scripts that
read them; "egctl status" says more.`,
		Example: `  # The conditions of all Gateways of the namespace
  egctl x status gateway

  # The newest condition of every route and policy of the cluster
  egctl x status all -A -q`,
		ValidArgsFunction: o.complete,
		RunE:              runs(o),
	}
	f := cmd.Flags()
	f.BoolVarP(&o.AllNamespaces, "all-namespaces", "A", false, "look in all namespaces")
	f.BoolVarP(&o.Quiet, "quiet", "q", false, "print the newest condition only")
	f.BoolVarP(&o.Verbose, "verbose", "v", false, "print messages, generations and times, too")
	o.flags(cmd)
	return cmd
}

func (o *legacyStatusOptions) Complete(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usagef("status of what? Name a kind, or all, xroute or xpolicy")
	}
	return o.statusOptions.Complete(cmd, args)
}

func (o *legacyStatusOptions) Validate() error {
	if o.AllNamespaces && len(o.Names) > 0 {
		return usagef("a name is in one namespace: leave out -A")
	}
	return nil
}

func (o *legacyStatusOptions) Run(ctx context.Context) error {
	a, err := o.ask(ctx)
	if err != nil {
		return err
	}
	// Envoy Gateway's egctl prints empty tables then, and does not fail.
	gone, err := a.client.NamespaceGone(ctx, a.world, a.query)
	if err != nil {
		return err
	}
	if gone {
		fmt.Fprintln(o.Err, "warning: "+noNamespace(a.query))
	}
	resources := a.world.Resources
	_, several := status.Select(resources, o.Kinds[0])
	options := status.LegacyOptions{AllNamespaces: o.AllNamespaces, Verbose: o.Verbose, Quiet: o.Quiet, Kinds: several}
	printed := false
	for i, r := range resources {
		objects := a.world.Objects[i]
		if several && !slices.ContainsFunc(objects, status.HasConditions) {
			continue
		}
		if len(objects) == 0 && !gone {
			fmt.Fprintln(o.Err, o.nothing(a.query))
		}
		if printed {
			fmt.Fprintln(o.Out)
		}
		printed = true
		if err := status.WriteLegacy(o.Out, r, objects, options); err != nil {
			return err
		}
	}
	return nil
}
