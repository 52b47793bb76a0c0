// Package cli is egctl's command line: one file a command, each a struct of
// options that is completed from flags, arguments and environment, validated,
// and run.
package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/egctl/egctl/pkg/install"
)

// Run executes the command line args, whose first element is the name by which
// the program was called, and returns its exit code.
func Run(ctx context.Context, s Streams, version string, args []string) int {
	root := newRoot(s, version, displayName(args))
	if len(args) > 0 {
		args = args[1:]
	}
	root.SetArgs(args)
	strictCompletion(root, args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	var exit *exitError
	if !errors.As(err, &exit) {
		exit = &exitError{code: exitUsage, err: err} // cobra's own: it has run nothing
	}
	if exit.err != nil {
		fmt.Fprintf(s.Err, "error: %v\n", exit.err)
		if exit.code == exitUsage {
			fmt.Fprintf(s.Err, "See '%s --help' for usage.\n", cmd.CommandPath())
		}
	}
	return exit.code
}

// Other names of egctl: as a plugin of kubectl, and in the controller's image.
const (
	pluginName     = "kubectl eg"
	controllerName = "envoy-gateway"
)

// displayName is how the user calls egctl: as a plugin it is "kubectl eg".
func displayName(args []string) string {
	if len(args) == 0 {
		return "egctl"
	}
	switch base := filepath.Base(args[0]); {
	case strings.HasPrefix(base, "kubectl-eg"):
		return pluginName
	case base == controllerName:
		return controllerName
	default:
		return "egctl"
	}
}

// Root returns the command line without running it, for what documents it.
func Root(s Streams, version string) *cobra.Command { return newRoot(s, version, "egctl") }

func newRoot(s Streams, version, name string) *cobra.Command {
	root := &cobra.Command{
		Use:   "egctl",
		Short: "Install, run and operate gateways: Gateway API with Envoy",
		Long: `egctl installs, runs and operates gateways. Gateway API is the language, Envoy
carries the traffic, with Kubernetes or, from files, without.

Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 findings at or above the
threshold of --fail-on.`,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.AddCommand(
		newQuickstart(s, version),
		newInstall(s, version, install.Release),
		newUpgrade(s, version),
		newUninstall(s),
		newRun(s),
		newTranslate(s),
		newValidate(s, version),
		newExplain(s),
		newEcho(s),
		newCertgen(s),
		newController(s, version),
		newEnvoy(s),
		newStatus(s),
		newPortForward(s),
		newExperimental(s, version),
		newVersion(s, version, name == controllerName),
	)
	if version == "" {
		root.Version = unknownVersion
	}
	if name == pluginName {
		root.AddCommand(newPluginCompletion())
	}
	root.SetHelpCommand(newHelp())
	root.SetUsageFunc(usage)
	group(root)
	rename(root, name)
	return root
}

// group sorts the commands by what they are for. A command that is not named here
// is listed after the others.
func group(root *cobra.Command) {
	for i, g := range []struct {
		title    string
		commands []string
	}{
		{"Gateways on this machine:", []string{"quickstart", "run", "echo"}},
		{"Gateways in Kubernetes:", []string{"install", "upgrade", "uninstall", "port-forward", "status"}},
		{"Understand configuration:", []string{"translate", "validate", "explain"}},
		{"Run by other programs:", []string{"controller", "server", "envoy", "certgen"}},
	} {
		var members []*cobra.Command
		visible := false
		for _, c := range root.Commands() {
			if slices.Contains(g.commands, c.Name()) {
				members = append(members, c)
				visible = visible || !c.Hidden
			}
		}
		if !visible {
			continue // a title above nothing
		}
		id := strconv.Itoa(i)
		root.AddGroup(&cobra.Group{ID: id, Title: g.title})
		for _, c := range members {
			c.GroupID = id
		}
	}
}

// newHelp is cobra's help command, except that it fails for what does not exist.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about any command",
		Long:  "Help about any command: what it does, its flags, and examples.",
		Example: `  # How to run a gateway from files
  egctl help run`,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var list []string
			for _, c := range about.Commands() {
				if c.IsAvailableCommand() {
					list = append(list, cobra.CompletionWithDesc(c.Name(), c.Short))
				}
			}
			return list, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || about.HasSubCommands() && len(rest) > 0 {
				return usagef("there is no command %q", strings.Join(args, " "))
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// strictCompletion makes cobra's completion command fail for a shell that it does not
// know: a script that goes by the exit code would install its help.
func strictCompletion(root *cobra.Command, args []string) {
	root.InitDefaultCompletionCmd(args...)
	for _, c := range root.Commands() {
		if c.Name() != "completion" || c.Runnable() {
			continue
		}
		var shells []string
		for _, s := range c.Commands() {
			shells = append(shells, s.Name())
		}
		c.Args = cobra.ArbitraryArgs
		c.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return usagef("%q is none of the shells %s", args[0], strings.Join(shells, ", "))
		}
	}
}

// rename makes help speak of the program by the name it was called by.
func rename(root *cobra.Command, name string) {
	if name == root.Name() {
		return
	}
	root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: name}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		c.Example = strings.ReplaceAll(c.Example, "egctl ", name+" ")
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
}

// options are those of a command. The three steps run in this order; an error
// of Validate is one of usage.
type options interface {
	// Complete takes over arguments and what they imply.
	Complete(cmd *cobra.Command, args []string) error
	// Validate says what is wrong with the options, before anything is done.
	Validate() error
	Run(ctx context.Context) error
}

// runs makes options the action of a command.
func runs(o options) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := o.Complete(cmd, args); err != nil {
			return coded(exitFailed, err)
		}
		if err := o.Validate(); err != nil {
			return coded(exitUsage, err)
		}
		return coded(exitFailed, o.Run(cmd.Context()))
	}
}

// noArgs refuses arguments, with a word on what to do instead.
func noArgs(instead string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return nil
		case instead == "":
			return usagef("unexpected argument %q", args[0])
		default:
			return usagef("unexpected argument %q: %s", args[0], instead)
		}
	}
}

// checkNamespace checks the value of --namespace.
func checkNamespace(name string) error {
	if name == "" {
		return usagef("--namespace is empty")
	}
	if wrong := validation.IsDNS1123Label(name); len(wrong) > 0 {
		return usagef("--namespace %q is no name of a namespace: %s", name, wrong[0])
	}
	return nil
}

// choice checks the value of a flag that takes one of a few.
func choice(flag, value string, allowed []string) error {
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	return usagef("--%s %q is not one of %s", flag, value, strings.Join(allowed, ", "))
}

// choiceFlag adds a flag that takes one of a few values, and completes them.
func choiceFlag(cmd *cobra.Command, to *string, name, short, value string, allowed []string, usage string) {
	cmd.Flags().StringVarP(to, name, short, value, usage+" ("+strings.Join(allowed, ", ")+")")
	completeFlag(cmd, name, allowed)
}

func completeFlag(cmd *cobra.Command, flag string, values []string) {
	// It fails for a flag that does not exist only, which the tests would see.
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}
