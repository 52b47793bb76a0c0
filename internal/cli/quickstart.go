package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/egctl/egctl/pkg/install"
	"github.com/egctl/egctl/pkg/quickstart"
)

type quickstartOptions struct {
	envoyOptions
	kube       kubeOptions
	console    console
	version    string
	Local      bool
	Once       bool
	Print      bool
	Cleanup    bool
	Timeout    time.Duration
	Controller string
	Values     install.Values
}

func newQuickstart(s Streams, version string) *cobra.Command {
	o := &quickstartOptions{envoyOptions: envoyOptions{Streams: s}, kube: newKubeOptions(s), console: console{s: s}, version: version}
	cmd := &cobra.Command{
		Use:   "quickstart",
		Short: "Start a gateway with a demo backend and send a request through it",
		Long: `Start a gateway in front of a demo backend, send a request through it, and show
the answer.

In a cluster this installs the controller where it is not there, applies the demo,
waits until every proxy has acknowledged it, and asks the Gateway at its address
or, if that does not answer from here, through a forwarded port. --cleanup takes
all of it away again, and nothing else.

With --local it is an Envoy on this machine, which serves until Ctrl-C.`,
		Example: `  # In the cluster of the current kubeconfig
  egctl quickstart

  # Take it away again
  egctl quickstart --cleanup

  # A real gateway with a real Envoy, on this machine
  egctl quickstart --local

  # What it applies
  egctl quickstart --print`,
		Args: noArgs(""),
		RunE: runs(o),
	}
	f := cmd.Flags()
	f.BoolVar(&o.Local, "local", false, "on this machine, without Kubernetes")
	f.BoolVar(&o.Once, "once", false, "end after the answer: exit code 0 says that it was right")
	f.BoolVar(&o.Print, "print", false, "print the manifests and do nothing")
	f.BoolVar(&o.Cleanup, "cleanup", false, "take away what a quickstart has made in the cluster")
	f.DurationVar(&o.Timeout, "timeout", 3*time.Minute, "how long to wait for each thing in the cluster")
	f.StringVar(&o.Controller, "controller-namespace", install.Namespace, "namespace of the controller")
	f.StringArrayVar(&o.Values.Set, "set", nil, "set a value of the chart, if the controller must be installed: key=value[,key=value]")
	f.StringSliceVar(&o.Values.Files, "values", nil, "file with values of the chart, likewise")
	o.kube.flags(cmd)
	o.envoyOptions.flags(cmd)
	return cmd
}

func (o *quickstartOptions) Complete(*cobra.Command, []string) error { return nil }

func (o *quickstartOptions) Validate() error {
	switch {
	case o.Local && o.Cleanup:
		return usagef("--cleanup is for clusters: what --local makes goes with it")
	case o.Timeout <= 0:
		return usagef("--timeout %s is no time to wait", o.Timeout)
	}
	if err := checkNamespace(o.Controller); err != nil {
		return err
	}
	return o.envoyOptions.validate()
}

func (o *quickstartOptions) Run(ctx context.Context) error {
	switch {
	case o.Print:
		_, err := o.Out.Write(quickstart.Manifest(o.version))
		return err
	case o.Local:
		return o.local(ctx)
	}
	if _, err := o.kube.config(); err != nil {
		return err
	}
	namespace, err := o.kube.namespace()
	if err != nil {
		return err
	}
	values, err := o.Values.Merge()
	if err != nil {
		return err
	}
	defer o.console.done()
	cluster := quickstart.ClusterOptions{
		Getter: o.kube.Kube, Namespace: namespace, Controller: o.Controller, Version: o.version, Values: values,
		Timeout: o.Timeout, Once: o.Once, Out: o.Out, Err: o.Err, Say: o.console.say, State: o.console.state,
	}
	if o.Cleanup {
		return quickstart.Cleanup(ctx, cluster)
	}
	return quickstart.Cluster(ctx, cluster)
}

func (o *quickstartOptions) local(ctx context.Context) error {
	binary, err := o.find(ctx)
	if err != nil {
		return err
	}
	return quickstart.Local(ctx, quickstart.LocalOptions{
		Envoy: binary, Once: o.Once, Out: o.Out, Err: o.Err, Color: o.Terminal, Logger: o.logger(),
	})
}
