package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/egctl/egctl/charts"
	"github.com/egctl/egctl/pkg/install"
	"github.com/egctl/egctl/pkg/install/precheck"
)

type precheckOptions struct {
	kubeOptions
	version    string
	Controller string
	SkipCRDs   bool
	FailOn     string
	Output     string
}

func newPrecheck(s Streams, version string) *cobra.Command {
	o := &precheckOptions{kubeOptions: newKubeOptions(s), version: version}
	namespace := install.Namespace
	o.Kube.Namespace = &namespace
	cmd := &cobra.Command{
		Use:   "precheck",
		Short: "Say whether egctl would work in a cluster",
		Long: `Say whether egctl would work in a cluster: the version of Kubernetes, your
permissions, CustomResourceDefinitions that are there, other installations,
controllers that claim the same classes, objects that egctl does not act on, and
whether load balancers get addresses.
Nothing is changed.

Exit code 3 says that a check came out at or above --fail-on.`,
		Example: `  egctl x precheck

  # For a program
  egctl x precheck -o json`,
		Args: noArgs(""),
		RunE: runs(o),
	}
	cmd.Flags().StringVar(&o.Controller, "controller", install.DefaultController, "controllerName of the installation that is to be")
	cmd.Flags().BoolVar(&o.SkipCRDs, "skip-crds", false, "CustomResourceDefinitions will not be installed")
	choiceFlag(cmd, &o.FailOn, "fail-on", "", "error", []string{"warning", "error", "never"}, "what makes the exit code 3")
	choiceFlag(cmd, &o.Output, "output", "o", "table", append([]string{"table"}, structured()...), "output format")
	o.kubeOptions.flags(cmd)
	return cmd
}

func (o *precheckOptions) Complete(*cobra.Command, []string) error { return nil }

func (o *precheckOptions) Validate() error {
	if err := choice("fail-on", o.FailOn, []string{"warning", "error", "never"}); err != nil {
		return err
	}
	if err := choice("output", o.Output, append([]string{"table"}, structured()...)); err != nil {
		return err
	}
	return checkNamespace(*o.Kube.Namespace)
}

func (o *precheckOptions) Run(ctx context.Context) error {
	config, err := o.config()
	if err != nil {
		return err
	}
	results, err := precheck.Run(ctx, precheck.Options{Config: config, Namespace: *o.Kube.Namespace, Controller: o.Controller, Image: charts.Image(o.version), SkipCRDs: o.SkipCRDs})
	if err != nil {
		return err
	}
	if o.Output == "table" {
		err = precheck.WriteTable(o.Out, results)
	} else {
		err = printObject(o.Out, o.Output, results)
	}
	if err != nil {
		return err
	}
	worst := precheck.Worst(results)
	if o.FailOn != "never" && (worst == precheck.Failed || worst == precheck.Warning && o.FailOn == "warning") {
		return &exitError{code: exitFindings}
	}
	return nil
}
