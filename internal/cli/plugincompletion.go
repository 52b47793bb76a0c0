package cli

import (
	"github.com/spf13/cobra"

	"github.com/egctl/egctl/plugins"
)

// newPluginCompletion takes the place of cobra's command where egctl is a plugin: kubectl
// completes its plugins by a program, the same for all shells.
func newPluginCompletion() *cobra.Command {
	return &cobra.Command{
		Use:   "completion",
		Short: "Print the program by which kubectl completes this plugin",
		Long: `Print the program by which kubectl completes "kubectl eg", in every shell in which
"kubectl completion" is set up. It has to be called kubectl_complete-eg, be
executable, and lie in a folder of your PATH.`,
		Example: `  # Install it
  kubectl eg completion > ~/.local/bin/kubectl_complete-eg && chmod +x ~/.local/bin/kubectl_complete-eg`,
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write([]byte(plugins.Completion))
			return coded(exitFailed, err)
		},
	}
}
