package cli

import (
	"strings"

	"github.com/spf13/cobra"
)

// newExperimental groups the commands that Envoy Gateway's egctl has under this
// name, for the scripts and habits that were made for it, and new ones.
func newExperimental(s Streams, version string) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "experimental",
		Aliases: []string{"x"},
		Short:   "Commands as Envoy Gateway's egctl has them",
		Long:    "Commands under the names and with the output of Envoy Gateway's egctl, and new ones.",
		Example: `  # What there is
  egctl x --help`,
		RunE: needsSubcommand,
	}
	cmd.AddCommand(
		newInstall(s, version, "envoy-gateway"),
		newUninstall(s),
		newPrecheck(s, version),
		newLegacyStatus(s),
	)
	return cmd
}

// needsSubcommand is the action of a command that only groups others.
func needsSubcommand(cmd *cobra.Command, args []string) error {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	if len(args) == 0 {
		return usagef("%s what? One of %s", cmd.CommandPath(), strings.Join(names, ", "))
	}
	return usagef("unknown command %q for %q; there are %s", args[0], cmd.CommandPath(), strings.Join(names, ", "))
}
