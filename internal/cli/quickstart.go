package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/egctl/egctl/pkg/quickstart"
)

type quickstartOptions struct {
	envoyOptions
	Local bool
	Once  bool
	Print bool
}

func newQuickstart(s Streams) *cobra.Command {
	o := &quickstartOptions{envoyOptions: envoyOptions{Streams: s}}
	cmd := &cobra.Command{
		Use:   "quickstart --local",
		Short: "Start a gateway with a demo backend and send a request through it",
		Long: `Start a gateway on this machine in front of a demo backend, send a request through
it, show the answer, and keep serving until Ctrl-C. With --once end after the
answer: exit code 0 says that it was right.`,
		Example: `  # A real gateway with a real Envoy, on this machine
  egctl quickstart --local

  # The manifests that it serves
  egctl quickstart --print`,
		Args: noArgs(""),
		RunE: runs(o),
	}
	cmd.Flags().BoolVar(&o.Local, "local", false, "on this machine, without Kubernetes")
	cmd.Flags().BoolVar(&o.Once, "once", false, "end after the answer")
	cmd.Flags().BoolVar(&o.Print, "print", false, "print the manifests and do nothing")
	o.envoyOptions.flags(cmd)
	return cmd
}

func (o *quickstartOptions) Complete(*cobra.Command, []string) error { return nil }

func (o *quickstartOptions) Validate() error {
	if !o.Local && !o.Print {
		return usagef("say --local: a quickstart in a cluster is not there yet")
	}
	return o.envoyOptions.validate()
}

func (o *quickstartOptions) Run(ctx context.Context) error {
	if o.Print {
		_, err := o.Out.Write(quickstart.Manifest)
		return err
	}
	binary, err := o.find(ctx)
	if err != nil {
		return err
	}
	return quickstart.Local(ctx, quickstart.LocalOptions{
		Envoy: binary, Once: o.Once, Out: o.Out, Err: o.Err, Color: o.Terminal, Logger: o.logger(),
	})
}
