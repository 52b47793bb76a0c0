package cli

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/egctl/egctl/pkg/crds"
	"github.com/egctl/egctl/pkg/envoy"
	"github.com/egctl/egctl/pkg/inspect/controllers"
)

// unknownVersion is that of a binary which was built without the linker's flag.
const unknownVersion = "unknown"

type versionOptions struct {
	kubeOptions
	Version string
	Output  string
	Remote  bool
	// Controller says that the program was called by the name that the controller has in
	// its image.
	Controller bool
}

func newVersion(s Streams, version string, controller bool) *cobra.Command {
	o := &versionOptions{kubeOptions: newKubeOptions(s), Version: version, Controller: controller}
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of egctl and of what it is made for",
		Long: `Print the version of egctl, the Go it was built with, the Envoy that it runs,
and the Gateway API that it implements. With --remote ask the controllers in the
cluster, too, Envoy Gateway's included.`,
		Example: `  # Print all versions
  egctl version

  # ... for a script
  egctl version -o json

  # ... and those of the controllers in the cluster
  egctl version --remote`,
		Args: noArgs(""),
		RunE: runs(o),
	}
	formats, format := structured(), "yaml"
	if controller {
		formats, format = append(formats, "text"), "text"
	}
	choiceFlag(cmd, &o.Output, "output", "o", format, formats, "output format")
	cmd.Flags().BoolVarP(&o.Remote, "remote", "r", false, "ask the controllers in the cluster, too")
	o.flags(cmd)
	return cmd
}

func (o *versionOptions) Complete(*cobra.Command, []string) error {
	if o.Version == "" {
		o.Version = unknownVersion
	}
	return nil
}

func (o *versionOptions) Validate() error {
	if o.Controller {
		return choice("output", o.Output, append(structured(), "text"))
	}
	return choice("output", o.Output, structured())
}

// versions are what is printed. Client and Server are what Envoy Gateway's egctl
// prints.
type versions struct {
	Egctl      string `json:"egctl"`
	Go         string `json:"go"`
	Platform   string `json:"platform"`
	Envoy      string `json:"envoy"`
	GatewayAPI string `json:"gatewayAPI"`

	Client string `json:"client,omitempty"`
	// Server is nil where nobody has asked.
	Server *[]controllers.Version `json:"server,omitempty"`
}

func (o *versionOptions) Run(ctx context.Context) error {
	if o.Controller {
		return o.printController()
	}
	v := versions{
		Egctl: o.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Envoy: envoy.Version, GatewayAPI: crds.Version,
	}
	if !o.Remote {
		return printObject(o.Out, o.Output, v)
	}
	v.Client = o.Version
	config, err := o.config()
	if err != nil {
		return err
	}
	// There may be a firewall instead of a cluster.
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	found, err := controllers.Versions(ctx, config, func(format string, args ...any) {
		fmt.Fprintf(o.Err, "WARN "+format+"\n", args...)
	})
	if err != nil {
		return err
	}
	v.Server = &found
	if len(found) == 0 {
		fmt.Fprintln(o.Err, "note: there is no controller in the cluster")
	}
	return printObject(o.Out, o.Output, v)
}

// printController prints the versions as Envoy Gateway's controller does: its egctl
// runs `envoy-gateway version -ojson` in the pod.
func (o *versionOptions) printController() error {
	v := struct {
		EnvoyGatewayVersion string `json:"envoyGatewayVersion"`
		GatewayAPIVersion   string `json:"gatewayAPIVersion"`
		EnvoyProxyVersion   string `json:"envoyProxyVersion"`
		GitCommitID         string `json:"gitCommitID"`
		GolangVersion       string `json:"golangVersion"`
	}{o.Version, crds.Version, envoy.Version, commit(), runtime.Version()}
	if o.Output != "text" {
		return printObject(o.Out, o.Output, v)
	}
	_, err := fmt.Fprintf(o.Out, "ENVOY_GATEWAY_VERSION: %s\nENVOY_PROXY_VERSION: %s\nGATEWAYAPI_VERSION: %s\nGIT_COMMIT_ID: %s\nGOLANG_VERSION: %s\n",
		v.EnvoyGatewayVersion, v.EnvoyProxyVersion, v.GatewayAPIVersion, v.GitCommitID, v.GolangVersion)
	return err
}

// commit is what the binary was built from, as far as it knows.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return unknownVersion
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && s.Value != "" {
			return strings.ToLower(s.Value)
		}
	}
	return unknownVersion
}
