package cli

import "github.com/spf13/cobra"

// newExperimental groups commands under the names that Envoy Gateway's egctl has
// for them.
func newExperimental(s Streams, version string) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "experimental",
		Aliases: []string{"x"},
		Short:   "Commands by the names that they have in Envoy Gateway's egctl, and new ones",
		Example: `  # Would egctl work in this cluster?
  egctl x precheck`,
		Args: noArgs("see the commands below"),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newInstall(s, version, "envoy-gateway"),
		newUninstall(s),
		newPrecheck(s),
	)
	return cmd
}
