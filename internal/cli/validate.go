package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/egctl/egctl/pkg/crds"
	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/finding/output"
	"github.com/egctl/egctl/pkg/validate"
)

type validateOptions struct {
	inputOptions
	failOn
	Version string
	Output  string
	Channel string
}

func newValidate(s Streams, version string) *cobra.Command {
	o := &validateOptions{inputOptions: inputOptions{Streams: s}, Version: version}
	cmd := &cobra.Command{
		Use:   "validate -f FILE",
		Short: "Check manifests without a cluster",
		Long: `Check manifests as a cluster would: the schemas and rules of the Gateway API by
the API server's own code, and then everything that the translation to Envoy has
to say: references that lead nowhere, listeners in conflict, routes that no
listener takes. Findings go to standard output, with file, line and column.

A GatewayClass and a Gateway that the files lack are made up, and endpoints of
Services, too; that is said on standard error.

Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 findings at or above the
threshold of --fail-on.`,
		Example: `  # Check a file
  egctl validate -f route.yaml

  # Check a folder and the folders in it, and be strict
  egctl validate -f manifests/ -R --fail-on warning

  # Write what code review tools read
  egctl validate -f manifests/ -o sarif > findings.sarif

  # Check against the standard channel of the Gateway API
  egctl validate -f route.yaml --channel standard`,
		Args: noArgs("name files with -f"),
		RunE: runs(o),
	}
	o.inputOptions.flags(cmd)
	o.failOn.flags(cmd)
	choiceFlag(cmd, &o.Output, "output", "o", "text", findingFormats(), "output format")
	choiceFlag(cmd, &o.Channel, "channel", "", string(crds.Experimental), channels(), "release channel of the Gateway API")
	return cmd
}

func findingFormats() []string { return []string{"text", "json", "sarif"} }

func channels() []string { return []string{string(crds.Standard), string(crds.Experimental)} }

func (o *validateOptions) Complete(*cobra.Command, []string) error { return nil }

func (o *validateOptions) Validate() error {
	if err := choice("output", o.Output, findingFormats()); err != nil {
		return err
	}
	if err := choice("channel", o.Channel, channels()); err != nil {
		return err
	}
	if err := o.failOn.validate(); err != nil {
		return err
	}
	return o.inputOptions.validate()
}

func (o *validateOptions) Run(ctx context.Context) error {
	defer oneShot(o.Getenv)()
	v, err := validate.New(validate.Channel(crds.Channel(o.Channel)))
	if err != nil {
		return err
	}
	w, err := o.read(ctx, o.Files, map[string]bool{})
	if err != nil {
		return err
	}
	found := w.findings(v.ValidateAll(w.set.Documents)...)
	switch o.Output {
	case "json":
		err = output.JSON(o.Out, found, w.set)
	case "sarif":
		err = output.SARIF(o.Out, found, w.set, o.Version)
	default:
		err = output.Text(o.Out, found, w.set, false)
	}
	if err != nil {
		return err
	}
	errors, warnings := 0, 0
	for _, f := range found {
		switch f.Severity {
		case finding.Error:
			errors++
		case finding.Warning:
			warnings++
		}
	}
	fmt.Fprintf(o.Err, "%s, %s, %s\n", count(len(w.set.Documents), "object"), count(errors, "error"), count(warnings, "warning"))
	return o.judge(found)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
