package cli

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/egctl/egctl/pkg/shutdown"
)

// newEnvoy groups what runs beside Envoy in the pods of a fleet. Nobody types it, so
// help does not list it.
func newEnvoy(s Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:    "envoy",
		Short:  "Let the proxies of a cluster end without losing a request",
		Hidden: true,
	}
	cmd.AddCommand(newShutdownManager(s), newShutdown(s))
	return cmd
}

type shutdownManagerOptions struct {
	Streams
	ReadyTimeout time.Duration
}

func newShutdownManager(s Streams) *cobra.Command {
	o := &shutdownManagerOptions{Streams: s}
	cmd := &cobra.Command{
		Use:   "shutdown-manager",
		Short: "Tell the kubelet when the Envoy of this pod may end",
		Long: `Tell the kubelet when the Envoy of this pod may end: /shutdown/ready on port 19002
answers when "egctl envoy shutdown" is done. It runs in the container beside Envoy.`,
		Example: `  # Wait for five minutes at most
  egctl envoy shutdown-manager --ready-timeout=5m`,
		Args: noArgs(""),
		RunE: runs(o),
	}
	cmd.Flags().DurationVar(&o.ReadyTimeout, "ready-timeout", shutdown.DefaultReadyTimeout, "how long to wait for the drain before the answer is an error")
	return cmd
}

func (o *shutdownManagerOptions) Complete(*cobra.Command, []string) error { return nil }

func (o *shutdownManagerOptions) Validate() error {
	if o.ReadyTimeout <= 0 {
		return usagef("--ready-timeout %s is no time to wait", o.ReadyTimeout)
	}
	return nil
}

func (o *shutdownManagerOptions) Run(ctx context.Context) error {
	listener, err := net.Listen("tcp", ":"+strconv.Itoa(shutdown.Port))
	if err != nil {
		return fmt.Errorf("shutdown manager: %w", err)
	}
	m := &shutdown.Manager{ReadyTimeout: o.ReadyTimeout, Logger: slog.New(slog.NewTextHandler(o.Err, nil))}
	return m.Serve(ctx, listener)
}

type shutdownOptions struct {
	Streams
	shutdown.DrainOptions
}

func newShutdown(s Streams) *cobra.Command {
	o := &shutdownOptions{Streams: s}
	cmd := &cobra.Command{
		Use:   "shutdown",
		Short: "Drain the Envoy of this pod",
		Long: `Drain the Envoy of this pod: its health check fails, so that clients go elsewhere,
and the command waits until they are gone. Then it asks Envoy to end. It is the
preStop hook of the container beside Envoy.`,
		Example: `  # Give connections two minutes
  egctl envoy shutdown --drain-timeout=2m`,
		Args: noArgs(""),
		RunE: runs(o),
	}
	f := cmd.Flags()
	f.DurationVar(&o.DrainTimeout, "drain-timeout", shutdown.DefaultDrainTimeout, "how long to wait at most")
	f.DurationVar(&o.MinDrainDuration, "min-drain-duration", shutdown.DefaultMinDrainDuration, "how long to wait at least")
	f.IntVar(&o.ExitAtConnections, "exit-at-connections", 0, "how many connections may be left")
	f.DurationVar(&o.HealthCheckFailureDelay, "health-check-failure-delay", 0, "how long the health check still succeeds, while clients are asked to go elsewhere")
	return cmd
}

func (o *shutdownOptions) Complete(*cobra.Command, []string) error { return nil }

func (o *shutdownOptions) Validate() error {
	if o.ExitAtConnections < 0 {
		return usagef("--exit-at-connections %d is negative", o.ExitAtConnections)
	}
	return nil
}

func (o *shutdownOptions) Run(ctx context.Context) error {
	o.Logger = slog.New(slog.NewTextHandler(o.Err, nil))
	err := shutdown.Drain(ctx, o.DrainOptions)
	if gone := shutdown.Quit(ctx, o.DrainOptions); gone != nil {
		o.Logger.Info("Envoy cannot be asked to end, and has ended by itself if all is well", "error", gone)
	}
	return err
}
