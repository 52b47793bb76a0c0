package cli

import (
	"context"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/egctl/egctl/pkg/crds"
	"github.com/egctl/egctl/pkg/envoy"
)

// unknownVersion is that of a binary which was built without the linker's flag.
const unknownVersion = "unknown"

type versionOptions struct {
	Streams
	Version string
	Output  string
}

func newVersion(s Streams, version string) *cobra.Command {
	o := &versionOptions{Streams: s, Version: version}
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of egctl and of what it is made for",
		Long:  "Print the version of egctl, the Go it was built with, the Envoy that it runs,\nand the Gateway API that it implements.",
		Example: `  # Print all versions
  egctl version

  # ... for a script
  egctl version -o json`,
		Args: noArgs(""),
		RunE: runs(o),
	}
	choiceFlag(cmd, &o.Output, "output", "o", "yaml", structured(), "output format")
	return cmd
}

func (o *versionOptions) Complete(*cobra.Command, []string) error {
	if o.Version == "" {
		o.Version = unknownVersion
	}
	return nil
}

func (o *versionOptions) Validate() error { return choice("output", o.Output, structured()) }

func (o *versionOptions) Run(context.Context) error {
	return printObject(o.Out, o.Output, struct {
		Egctl      string `json:"egctl"`
		Go         string `json:"go"`
		Platform   string `json:"platform"`
		Envoy      string `json:"envoy"`
		GatewayAPI string `json:"gatewayAPI"`
	}{o.Version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, envoy.Version, crds.Version})
}
