package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/egctl/egctl/pkg/finding/output"
	"github.com/egctl/egctl/pkg/inspect/configdump"
	"github.com/egctl/egctl/pkg/inspect/modeldump"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

type translateOptions struct {
	inputOptions
	failOn
	To       string
	Output   string
	Type     string
	Gateways []string
	Against  []string
}

func newTranslate(s Streams) *cobra.Command {
	o := &translateOptions{inputOptions: inputOptions{Streams: s}}
	cmd := &cobra.Command{
		Use:   "translate -f FILE",
		Short: "Show what Envoy gets for manifests",
		Long: `Translate Gateway API manifests exactly as the controller does, and print the
result. What is found wrong goes to standard error, with file, line and column.

--to xds prints Envoy's configuration in the shape of Envoy's own /config_dump, so
that whatever reads the one reads the other. For one Gateway that is the object
{"configs": […]}; for several, {"xds": {"namespace/name": {"configs": […]}}}.
Private keys are never printed. -o diff compares with the manifests of --against.

--to status prints the objects with the status that the controller would write;
--to ir prints what was understood of listeners and routes before it became Envoy's
configuration, each part with the object and the field that it comes from.

A GatewayClass and a Gateway that the files lack are made up, and endpoints of
Services, too; that is said on standard error.

Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 findings at or above the
threshold of --fail-on.`,
		Example: `  # Show everything that Envoy gets for a file
  egctl translate -f route.yaml

  # Show it at a glance
  egctl translate -f route.yaml -o table

  # Show the routes of one Gateway, of all files of a folder
  egctl translate -f manifests/ -R --type route --gateway default/eg

  # Read standard input, and write JSON for other programs
  cat route.yaml | egctl translate -f - -o json | jq '.configs[]["@type"]'

  # Read from the web
  egctl translate -f https://example.com/gateway.yaml

  # Show what a change means for Envoy
  egctl translate -f route.yaml --against old.yaml -o diff

  # Show the status that each object would get
  egctl translate -f route.yaml --to status -o table`,
		Args: noArgs("name files with -f"),
		RunE: runs(o),
	}
	o.inputOptions.flags(cmd)
	choiceFlag(cmd, &o.To, "to", "", "xds", []string{"xds", "ir", "status"}, "what to print")
	choiceFlag(cmd, &o.Output, "output", "o", "yaml", translateFormats("xds"), "output format")
	choiceFlag(cmd, &o.Type, "type", "t", "all", xdsTypes(), "part of the configuration")
	cmd.Flags().StringArrayVar(&o.Gateways, "gateway", nil, "print the Gateway namespace/name only; may be repeated")
	cmd.Flags().StringArrayVar(&o.Against, "against", nil, "with -o diff: manifest to compare with, given like -f; may be repeated")
	_ = cmd.MarkFlagFilename("against", "yaml", "yml", "json") // the flag is there: see above
	o.failOn.flags(cmd)
	return cmd
}

// translateFormats are the formats in which something can be printed.
func translateFormats(to string) []string {
	switch to {
	case "ir":
		return structured()
	case "status":
		return append(structured(), "table")
	default:
		return append(structured(), "table", "diff")
	}
}

func xdsTypes() []string {
	var names []string
	for _, t := range configdump.Types() {
		names = append(names, string(t))
	}
	return names
}

func (o *translateOptions) Complete(*cobra.Command, []string) error {
	for i, g := range o.Gateways {
		if !strings.Contains(g, "/") {
			o.Gateways[i] = o.Namespace + "/" + g
		}
	}
	return nil
}

func (o *translateOptions) Validate() error {
	if err := choice("to", o.To, []string{"xds", "ir", "status"}); err != nil {
		return err
	}
	if err := choice("output", o.Output, translateFormats(o.To)); err != nil {
		return err
	}
	if err := choice("type", o.Type, xdsTypes()); err != nil {
		return err
	}
	if err := o.failOn.validate(); err != nil {
		return err
	}
	switch {
	case o.To != "xds" && o.Type != "all":
		return usagef("--type chooses a part of the xDS: it does not go with --to %s", o.To)
	case o.To == "status" && len(o.Gateways) > 0:
		return usagef("--gateway does not go with --to status, which is about all objects")
	case o.Output == "table" && o.Type == string(configdump.Bootstrap):
		return usagef("the bootstrap has no table; use -o yaml or -o json")
	case o.Output == "diff" && len(o.Against) == 0:
		return usagef("-o diff compares with something: name it with --against")
	case o.Output != "diff" && len(o.Against) > 0:
		return usagef("--against is for -o diff")
	case slices.Contains(o.Files, "-") && slices.Contains(o.Against, "-"):
		return usagef("standard input cannot be both sides of a difference")
	}
	return o.inputOptions.validate()
}

func (o *translateOptions) Run(ctx context.Context) error {
	defer oneShot(o.Getenv)()
	told := map[string]bool{}
	w, err := o.read(ctx, o.Files, told)
	if err != nil {
		return err
	}
	if err := o.print(ctx, w, told); err != nil {
		return err
	}
	found := w.findings()
	if err := output.Text(o.Err, found, w.set, o.Terminal); err != nil {
		return err
	}
	return o.judge(found)
}

func (o *translateOptions) print(ctx context.Context, w *world, told map[string]bool) error {
	if o.To == "status" {
		return o.printStatus(w)
	}
	fleets, err := o.selected(w)
	if err != nil {
		return err
	}
	if o.To == "ir" {
		return o.printModel(w, fleets)
	}
	w.translator = nil // has done its work, and holds half of the memory
	dumps, err := w.dumps(fleets)
	if err != nil {
		return err
	}
	switch t := configdump.Type(o.Type); o.Output {
	case "table":
		return configdump.Table(o.Out, t, dumps...)
	case "diff":
		old, err := o.read(ctx, o.Against, told)
		if err != nil {
			return fmt.Errorf("--against: %w", err)
		}
		before, err := old.dumps(o.among(old, old.served()))
		if err != nil {
			return err
		}
		sum, err := configdump.Diff(o.Out, t, before, dumps)
		if err != nil {
			return err
		}
		fmt.Fprintln(o.Err, sum)
		return nil
	default:
		return configdump.Write(o.Out, configdump.Format(o.Output), t, dumps...)
	}
}

// served lists the fleets that were translated, in order: Gateways, and classes
// that merge theirs.
func (w *world) served() []store.Key {
	keys := make([]store.Key, 0, len(w.snapshots))
	for k, s := range w.snapshots {
		if s != nil {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, store.Key.Compare)
	return keys
}

// among keeps the fleets of the Gateways that --gateway names.
func (o *translateOptions) among(w *world, keys []store.Key) []store.Key {
	if len(o.Gateways) == 0 {
		return keys
	}
	return slices.DeleteFunc(keys, func(k store.Key) bool {
		return !slices.ContainsFunc(w.fleets[k].Gateways, o.named)
	})
}

// named says whether --gateway names a Gateway, or there is no such flag.
func (o *translateOptions) named(gw store.Key) bool {
	return len(o.Gateways) == 0 || slices.Contains(o.Gateways, translate.FleetName(gw))
}

// selected returns the fleets to print. With --against, a Gateway may be in the
// old manifests only.
func (o *translateOptions) selected(w *world) ([]store.Key, error) {
	all := w.served()
	var names []string
	for _, k := range all {
		for _, gw := range w.fleets[k].Gateways {
			names = append(names, translate.FleetName(gw))
		}
	}
	if o.Output != "diff" {
		for _, g := range o.Gateways {
			if !slices.Contains(names, g) {
				if len(names) == 0 {
					return nil, errors.New("there is no Gateway of a class of this controller in the input")
				}
				return nil, fmt.Errorf("there is no Gateway %s in the input; there is %s", g, strings.Join(names, ", "))
			}
		}
	}
	if len(all) == 0 {
		fmt.Fprintln(o.Err, "note: no Gateway of a class of this controller is in the input")
	}
	return o.among(w, all), nil
}

func (w *world) dumps(fleets []store.Key) ([]*configdump.Dump, error) {
	dumps := make([]*configdump.Dump, len(fleets))
	for i, k := range fleets {
		name := translate.FleetName(k)
		b, err := clusterBootstrap(name)
		if err != nil {
			return nil, err
		}
		dumps[i] = configdump.Of(name, b, w.snapshots[k], w.endpoints)
	}
	return dumps, nil
}

func (o *translateOptions) printModel(w *world, fleets []store.Key) error {
	models := map[string]any{}
	for _, k := range fleets {
		for _, gw := range w.fleets[k].Gateways {
			if m, ok := w.translator.Model(gw); ok && o.named(gw) {
				models[translate.FleetName(gw)] = modeldump.Plain(m)
			}
		}
	}
	return printObject(o.Out, o.Output, map[string]any{"ir": models})
}
