package cli

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/egctl/egctl/pkg/echo"
)

// echoGrace is what requests under way are given when the server is stopped.
const echoGrace = 10 * time.Second

type echoOptions struct {
	Streams
	// Addresses by protocol; any that is given turns the defaults off.
	Addresses map[echo.Protocol]*string
	Verbose   bool

	server echo.Options
}

func echoProtocols() []echo.Protocol {
	return []echo.Protocol{echo.HTTP, echo.H2C, echo.HTTPS, echo.GRPC, echo.GRPCS, echo.TCP, echo.TLS, echo.UDP}
}

func newEcho(s Streams) *cobra.Command {
	o := &echoOptions{Streams: s, Addresses: map[echo.Protocol]*string{}}
	cmd := &cobra.Command{
		Use:   "echo",
		Short: "Serve a backend that answers with what it was asked",
		Long: `Serve a backend for trials and tests: it answers every request with a description
of the request and of itself, as the echo server of the Gateway API conformance
tests does, until it is interrupted. Like that one it reads HTTP_PORT, POD_NAME,
NAMESPACE and their like from the environment; an address on the command line
counts instead of all ports of the environment. Port 0 takes a free one.`,
		Example: `  # Answer HTTP on port 3000, and HTTP/2 without TLS on port 3001
  egctl echo

  # Answer HTTP and gRPC on this machine only
  egctl echo --http 127.0.0.1:3000 --grpc 127.0.0.1:3002`,
		Args: noArgs(""),
		RunE: runs(o),
	}
	for _, p := range echoProtocols() {
		o.Addresses[p] = cmd.Flags().String(string(p), "", "address for "+string(p)+", as host:port")
	}
	cmd.Flags().BoolVarP(&o.Verbose, "verbose", "v", false, "say each request on standard error")
	return cmd
}

func (o *echoOptions) Complete(*cobra.Command, []string) error {
	if err := o.server.FromEnv(o.Getenv); err != nil {
		return err
	}
	given := map[echo.Protocol]string{}
	for p, address := range o.Addresses {
		if *address != "" {
			given[p] = *address
		}
	}
	if len(given) > 0 {
		o.server.Addresses = given
	}
	level := slog.LevelInfo
	if o.Verbose {
		level = slog.LevelDebug
	}
	o.server.Logger = slog.New(slog.NewTextHandler(o.Err, &slog.HandlerOptions{Level: level}))
	return nil
}

func (o *echoOptions) Validate() error {
	for _, p := range echoProtocols() {
		if a := o.server.Addresses[p]; a != "" {
			if _, _, err := net.SplitHostPort(a); err != nil {
				return usagef("--%s: %w", p, err)
			}
		}
	}
	return nil
}

func (o *echoOptions) Run(ctx context.Context) error {
	server, err := echo.Start(ctx, o.server)
	if err != nil {
		return err
	}
	stopped := make(chan error, 1)
	go func() { stopped <- server.Wait() }()
	select {
	case err := <-stopped:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), echoGrace)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		return fmt.Errorf("stop the echo server: %w", err)
	}
	return nil
}
