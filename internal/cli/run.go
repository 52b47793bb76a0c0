package cli

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/egctl/egctl/pkg/complete"
	"github.com/egctl/egctl/pkg/controller/source/file"
	"github.com/egctl/egctl/pkg/local"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/validate"
)

type runOptions struct {
	envoyOptions
	Files       []string
	Recursive   bool
	Namespace   string
	Backends    []string
	Listen      string
	PortShift   int32
	DrainTime   time.Duration
	Concurrency int
	Zone        string

	backends []local.Backend
}

func newRun(s Streams) *cobra.Command {
	o := &runOptions{envoyOptions: envoyOptions{Streams: s}}
	cmd := &cobra.Command{
		Use:   "run -f FOLDER",
		Short: "Run the gateway on this machine, from files",
		Long: `Run the gateway on this machine, without Kubernetes: the manifests of a folder are
served by an Envoy for each Gateway, and followed as they change. An edit that an API
server would refuse changes nothing that worked, and is reported with file and line;
so is what refers to something that does not exist, which is answered as the Gateway
API says. GatewayClass and Gateway may be left out; what is made up is announced.

Ports below 1024 need privileges, so --port-shift is added to them.

Ctrl-C drains open connections and ends everything.`,
		Example: `  # Serve the manifests of a folder
  egctl run -f ./gateway

  # Say where a Service of the routes is really served
  egctl run -f ./gateway --backend web:8080=localhost:3000`,
		Args: noArgs("name files with -f"),
		RunE: runs(o),
	}
	f := cmd.Flags()
	f.StringArrayVarP(&o.Files, "filename", "f", nil, "file or folder with manifests to serve; may be repeated")
	f.BoolVarP(&o.Recursive, "recursive", "R", false, "read the folders in folders, too")
	f.StringVarP(&o.Namespace, "namespace", "n", "default", "namespace of objects that name none")
	f.StringArrayVar(&o.Backends, "backend", nil, "where a Service is served, as [namespace/]name:port=host:port; may be repeated")
	f.StringVar(&o.Listen, "listen", "127.0.0.1", "IP address to listen on; 0.0.0.0 or :: for all")
	f.Int32Var(&o.PortShift, "port-shift", 10000, "added to listener ports below 1024; 0 to bind them as they are")
	f.DurationVar(&o.DrainTime, "drain-time", 5*time.Second, "how long open connections are given at the end")
	f.StringVar(&o.Zone, "zone", "", "topology zone of this machine, to follow the hints of EndpointSlices")
	f.IntVar(&o.Concurrency, "concurrency", 0, "worker threads of each Envoy; 0 for one per CPU")
	o.envoyOptions.flags(cmd)
	_ = cmd.MarkFlagFilename("filename", "yaml", "yml", "json") // the flag is there: see above
	return cmd
}

func (o *runOptions) Complete(cmd *cobra.Command, _ []string) error {
	for _, s := range o.Backends {
		b, err := local.ParseBackend(cmd.Context(), s, o.Namespace)
		if err != nil {
			return usagef("--backend: %w", err)
		}
		o.backends = append(o.backends, b)
	}
	return nil
}

func (o *runOptions) Validate() error {
	if len(o.Files) == 0 {
		return usagef("nothing to serve: name a file or a folder with -f")
	}
	for _, f := range o.Files {
		if f == "-" || strings.Contains(f, "://") {
			return usagef("-f %s: run follows files and folders of this machine only", f)
		}
	}
	if err := checkNamespace(o.Namespace); err != nil {
		return err
	}
	if _, err := netip.ParseAddr(o.Listen); err != nil {
		return usagef("--listen %q is not an IP address", o.Listen)
	}
	if o.PortShift < 0 || o.PortShift > 64000 {
		return usagef("--port-shift %d is not between 0 and 64000", o.PortShift)
	}
	return o.envoyOptions.validate()
}

func (o *runOptions) Run(ctx context.Context) error {
	for _, f := range o.Files { // before Envoy is looked for, which can take long
		if _, err := os.Stat(f); err != nil {
			return fmt.Errorf("read manifests: %w", err)
		}
	}
	binary, err := o.find(ctx)
	if err != nil {
		return err
	}
	validator, err := validate.New()
	if err != nil {
		return err
	}
	started := steady(o.Getenv)
	return local.Run(ctx, local.Options{
		Ready: func(store.Key) { started() },
		Files: &file.Options{
			Paths: o.Files, Recursive: o.Recursive, Namespace: o.Namespace, Validator: validator, Complete: o.complete,
		},
		Envoy: binary, Listen: o.Listen, PortShift: o.PortShift, DrainTime: o.DrainTime, Concurrency: o.Concurrency, Zone: o.Zone,
		LogLevel: o.LogLevel, Out: o.Out, Err: o.Err, Color: o.Terminal, Logger: o.logger(),
	})
}

// complete adds the backends of the command line and what the files leave out.
func (o *runOptions) complete(objects []store.Object) ([]store.Object, []string) {
	added := local.BackendObjects(o.backends, objects)
	more, notes := complete.Objects(append(objects, added...), complete.Options{})
	if len(objects) == 0 {
		notes = append(notes, "nothing to serve yet: waiting for manifests in "+strings.Join(o.Files, ", "))
	}
	for i := range notes {
		notes[i] = "note: " + notes[i]
	}
	return append(added, more...), notes
}
