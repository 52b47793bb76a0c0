// Command cluster builds, starts and stops Kubernetes clusters of one node, for
// tests and for a look by hand.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/egctl/egctl/test/cluster"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := root(os.Stdout, os.Stderr).ExecuteContext(ctx)
	stop()
	if err == nil {
		return
	}
	// A command that ran and failed has said so itself.
	var exit *exec.ExitError
	if errors.As(err, &exit) && errors.Is(err, errCommand) {
		os.Exit(max(exit.ExitCode(), 1))
	}
	fmt.Fprintln(os.Stderr, "cluster:", err)
	os.Exit(1)
}

// errCommand marks the error of the command that exec ran.
var errCommand = errors.New("command")

func root(out, progress io.Writer) *cobra.Command {
	o := cluster.Options{Progress: progress, Envoy: os.Getenv("EGCTL_ENVOY")}
	cmd := &cobra.Command{
		Use:           "cluster",
		Short:         "A real Kubernetes of one node, for tests",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	flags := cmd.PersistentFlags()
	flags.StringVar(&o.Name, "name", "default", "which cluster of this machine")
	flags.StringVar(&o.CacheDir, "cache", "", "`folder` for what was built (default: egctl/cluster in the user's cache folder)")
	flags.StringVar(&o.RunDir, "run", "", "`folder` of the clusters that are up (default: run in the cache)")
	flags.IntVar(&o.Jobs, "jobs", 0, "packages that the compiler works on at once (default: one a core)")
	flags.StringVar(&o.Envoy, "envoy", o.Envoy, "the `program` to make the Envoy image of (default: the one in egctl's cache)")

	var args []string
	up := &cobra.Command{
		Use: "up", Args: cobra.NoArgs,
		Short: "Start the cluster, and first build what it needs",
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, a := range args {
				component, argument, ok := strings.Cut(a, "=")
				if !ok {
					return fmt.Errorf("--arg %s: it has to be COMPONENT=ARGUMENT", a)
				}
				if o.Args == nil {
					o.Args = map[string][]string{}
				}
				o.Args[component] = append(o.Args[component], argument)
			}
			_, err := cluster.Up(cmd.Context(), o)
			return err
		},
	}
	up.Flags().StringArrayVar(&args, "arg", nil, "add an argument to a component's, as `COMPONENT=ARGUMENT`, such as kube-apiserver=--v=4")
	down := &cobra.Command{
		Use: "down", Args: cobra.NoArgs,
		Short: "Stop the cluster and remove all that it had",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cluster.Down(cmd.Context(), o)
		},
	}
	build := &cobra.Command{
		Use: "build", Args: cobra.NoArgs,
		Short: "Build what clusters need, into the cache",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cluster.Build(cmd.Context(), o)
		},
	}
	run := &cobra.Command{
		Use: "exec -- COMMAND [ARGUMENT…]", Args: cobra.MinimumNArgs(1),
		Short:   "Run a command in the cluster's network namespace, with KUBECONFIG set and kubectl in PATH",
		Example: "  cluster exec -- kubectl get pods -A",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := cluster.Open(o)
			if err != nil {
				return err
			}
			command := c.Command(cmd.Context(), args[0], args[1:]...)
			command.Stdin, command.Stdout, command.Stderr = os.Stdin, out, os.Stderr
			// What the terminal sends is for the command, which may take its time.
			command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
			if err := command.Run(); err != nil {
				return errors.Join(errCommand, err)
			}
			return nil
		},
	}
	kubeconfig := &cobra.Command{
		Use: "kubeconfig", Args: cobra.NoArgs,
		Short: "Print the path of the kubeconfig, which works in the network namespace",
		RunE: func(*cobra.Command, []string) error {
			c, err := cluster.Open(o)
			if err == nil {
				fmt.Fprintln(out, c.Kubeconfig())
			}
			return err
		},
	}
	load := &cobra.Command{
		Use: "load IMAGE.tar…", Args: cobra.MinimumNArgs(1),
		Short: "Load images of tarballs into the node",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := cluster.Open(o)
			if err != nil {
				return err
			}
			for _, tar := range args {
				if err := c.LoadImage(cmd.Context(), tar); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.AddCommand(up, down, build, run, kubeconfig, load, componentCommand(&o, "stop", "Stop a component, such as kube-apiserver or etcd", (*cluster.Cluster).StopComponent),
		componentCommand(&o, "start", "Start a component that was stopped", (*cluster.Cluster).StartComponent), logs(&o, out))
	return cmd
}

func componentCommand(o *cluster.Options, use, short string, do func(*cluster.Cluster, context.Context, string) error) *cobra.Command {
	return &cobra.Command{
		Use: use + " COMPONENT", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := cluster.Open(*o)
			if err != nil {
				return err
			}
			return do(c, cmd.Context(), args[0])
		},
	}
}

func logs(o *cluster.Options, out io.Writer) *cobra.Command {
	return &cobra.Command{
		Use: "logs COMPONENT", Args: cobra.ExactArgs(1),
		Short: "Print what a component wrote, also of a cluster that failed to start",
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := cluster.LogFile(*o, args[0])
			if err != nil {
				return err
			}
			f, err := os.Open(file)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = io.Copy(out, f)
			return err
		},
	}
}
