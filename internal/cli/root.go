// Package cli is egctl's command line: one file a command, each a struct of
// options that is completed from flags, arguments and environment, validated,
// and run.
package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Run executes the command line args, whose first element is the name by which
// the program was called, and returns its exit code.
func Run(ctx context.Context, s Streams, version string, args []string) int {
	root := newRoot(s, version, displayName(args))
	if len(args) > 0 {
		args = args[1:]
	}
	root.SetArgs(args)
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

// displayName is how the user calls egctl: as a plugin it is "kubectl eg".
func displayName(args []string) string {
	if len(args) > 0 && strings.HasPrefix(filepath.Base(args[0]), "kubectl-eg") {
		return "kubectl eg"
	}
	return "egctl"
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
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.AddCommand(
		newQuickstart(s),
		newRun(s),
		newTranslate(s),
		newValidate(s, version),
		newExplain(s),
		newEcho(s),
		newEnvoy(s),
		newCertgen(s),
		newVersion(s, version),
	)
	rename(root, name)
	return root
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
