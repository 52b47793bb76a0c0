// Command egctl installs, runs and operates gateways: Gateway API with Envoy.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/egctl/egctl/internal/cli"
)

// version is set by the linker.
var version string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// Who cannot wait for the end of what the first signal began sends another.
	context.AfterFunc(ctx, stop)
	code := cli.Run(ctx, cli.System(), version, os.Args)
	stop()
	os.Exit(code)
}
