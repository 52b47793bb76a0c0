package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/egctl/egctl/pkg/install"
	"github.com/egctl/egctl/pkg/install/crd"
	"github.com/egctl/egctl/pkg/install/precheck"
)

// releaseOptions are those of what has a release, a chart and values.
type releaseOptions struct {
	kubeOptions
	console
	Name         string
	Chart        install.Chart
	PasswordFile string
	Values       install.Values
	SkipCRDs     bool
	OnlyCRDs     bool
	Channel      string
	Allow        []string
	Ignore       []string
	DryRun       bool
	Wait         bool
	Timeout      time.Duration
	Debug        bool
}

func newReleaseOptions(s Streams, version string) releaseOptions {
	o := releaseOptions{kubeOptions: newKubeOptions(s), console: console{s: s}, Chart: install.Chart{Program: version}}
	namespace := install.Namespace
	o.Kube.Namespace = &namespace
	return o
}

func (o *releaseOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.Chart.Ref, "chart", "", "chart to install: oci://…, a folder or an archive; default: the one that egctl carries")
	f.StringVar(&o.Chart.Version, "version", "", "version of the chart; default: that of egctl, or with --chart the newest")
	f.BoolVar(&o.Chart.PlainHTTP, "plain-http", false, "speak HTTP, not HTTPS, with the registry of --chart")
	f.StringVar(&o.Chart.Username, "username", "", "name to log in to the registry of --chart with; default: what helm or docker login kept")
	f.StringVar(&o.PasswordFile, "password-file", "", "file with the password for --username")
	f.StringArrayVar(&o.Values.Set, "set", nil, "set a value of the chart: key=value[,key=value]; wins over --values")
	f.StringArrayVar(&o.Values.SetString, "set-string", nil, "like --set, the value is a string in any case")
	f.StringArrayVar(&o.Values.SetFile, "set-file", nil, "like --set, the value is in the file")
	f.StringArrayVar(&o.Values.SetJSON, "set-json", nil, "like --set, the value is JSON")
	f.StringSliceVarP(&o.Values.Files, "values", "f", nil, "file with values of the chart; again for more, the last wins")
	f.BoolVar(&o.SkipCRDs, "skip-crds", false, "leave CustomResourceDefinitions as they are")
	f.BoolVar(&o.OnlyCRDs, "only-crds", false, "do CustomResourceDefinitions and nothing else")
	choiceFlag(cmd, &o.Channel, "channel", "", "", []string{crd.Standard, crd.Experimental},
		"channel of the Gateway API's CustomResourceDefinitions; default: the cluster's, or experimental where it has none")
	f.StringSliceVar(&o.Allow, "allow-crd-risk", nil, "do this to CustomResourceDefinitions, too ("+strings.Join(risks(), ", ")+")")
	completeFlag(cmd, "allow-crd-risk", risks())
	f.StringSliceVar(&o.Ignore, "ignore-unsupported", nil, "kinds whose objects do not stand in the way although egctl does not act on them yet ("+strings.Join(install.UnsupportedKinds(), ", ")+")")
	completeFlag(cmd, "ignore-unsupported", install.UnsupportedKinds())
	f.BoolVar(&o.DryRun, "dry-run", false, "say what would be done, and do nothing")
	f.BoolVar(&o.Wait, "wait", true, "wait until it runs")
	f.DurationVar(&o.Timeout, "timeout", 5*time.Minute, "how long to wait")
	f.BoolVar(&o.Debug, "debug", false, "tell what Helm does")
	o.kubeOptions.flags(cmd)
}

func risks() []string {
	var out []string
	for _, r := range crd.Risks() {
		out = append(out, string(r))
	}
	return out
}

func (o *releaseOptions) validate() error {
	switch {
	case o.SkipCRDs && o.OnlyCRDs:
		return usagef("--skip-crds and --only-crds leave nothing to do")
	case o.Timeout <= 0:
		return usagef("--timeout %s is no time to wait", o.Timeout)
	case o.PasswordFile != "" && o.Chart.Username == "":
		return usagef("--password-file needs --username")
	case o.Chart.PlainHTTP && !strings.HasPrefix(o.Chart.Ref, "oci://"):
		return usagef("--plain-http needs --chart oci://…")
	}
	if o.Channel != "" {
		if err := choice("channel", o.Channel, []string{crd.Standard, crd.Experimental}); err != nil {
			return err
		}
	}
	for _, a := range o.Allow {
		if err := choice("allow-crd-risk", a, risks()); err != nil {
			return err
		}
	}
	for _, k := range o.Ignore {
		if err := choice("ignore-unsupported", k, install.UnsupportedKinds()); err != nil {
			return err
		}
	}
	return checkNamespace(*o.Kube.Namespace)
}

func (o *releaseOptions) installer() (*install.Installer, error) {
	if _, err := o.config(); err != nil {
		return nil, err
	}
	options := install.Options{
		Getter: o.Kube, Namespace: *o.Kube.Namespace, Driver: o.Getenv("HELM_DRIVER"), Say: o.say, State: o.state,
	}
	if o.Debug {
		options.Debug = o.say
	}
	return install.New(options)
}

func (o *releaseOptions) request() (install.Request, error) {
	values, err := o.Values.Merge()
	if err != nil {
		return install.Request{}, err
	}
	r := install.Request{
		Name: o.Name, Chart: o.Chart, Values: values, SkipCRDs: o.SkipCRDs, OnlyCRDs: o.OnlyCRDs, Channel: o.Channel,
		IgnoreUnsupported: o.Ignore, Wait: o.Wait, Timeout: o.Timeout,
	}
	r.Chart.RegistryConfig = o.Getenv("HELM_REGISTRY_CONFIG")
	if o.PasswordFile != "" {
		if r.Chart.Password, err = readSecret(o.PasswordFile); err != nil {
			return r, err
		}
	}
	for _, a := range o.Allow {
		r.Allow = append(r.Allow, crd.Risk(a))
	}
	return r, nil
}

// crds tells what becomes of CustomResourceDefinitions: those that change one by
// one, the rest as a number.
// Those that are not of the Gateway API have the version of their chart.
func (o *releaseOptions) crds(p *install.Plan) {
	same := 0
	for _, d := range p.CRDs {
		if d.Wanted == (crd.Release{}) {
			d.Wanted.Version = p.Version
		}
		switch d.Action {
		case crd.Same:
			same++
		case crd.Create:
			o.say(fmt.Sprintf("  + %s %s", d.Name, d.Wanted.Version))
		case crd.Update:
			o.say(strings.TrimRight(fmt.Sprintf("  ~ %s %s → %s", d.Name, d.Live, d.Wanted), " "))
			if len(d.Lost) > 0 {
				nobody := ""
				if d.Unused {
					nobody = ", which no object has"
				}
				o.say("      loses " + crd.Fields(d.Lost, 20) + nobody)
			}
		default:
			o.say(fmt.Sprintf("  %s %s stays at %s: %s", map[crd.Action]string{crd.Keep: "=", crd.Refuse: "!"}[d.Action], d.Name, d.Live, d.Reason))
		}
	}
	if same > 0 {
		o.say(fmt.Sprintf("  = %d as they should be", same))
	}
}

// notes tells what will be without effect, or not as the values have it.
func (o *releaseOptions) notes(p *install.Plan) {
	for _, n := range p.Notes {
		o.say("note: " + n)
	}
	if len(p.Ignored) > 0 {
		o.say("WARNING: the controller will ignore a part of its configuration in the values:")
		for _, f := range p.Ignored {
			o.say("  ! " + f)
		}
	}
	if len(p.Unsupported) == 0 {
		return
	}
	o.say("WITHOUT EFFECT, since egctl does not act on these kinds yet:")
	for _, u := range p.Unsupported {
		o.say("  ! " + u.String())
	}
}

type installOptions struct {
	releaseOptions
	SkipPrecheck bool
}

func newInstall(s Streams, version, release string) *cobra.Command {
	o := &installOptions{releaseOptions: newReleaseOptions(s, version)}
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Install the controller in a cluster",
		Long: `Install the controller in a cluster, with the Helm chart that egctl carries, and
wait until it runs. helm list shows the release, and helm can change it.

CustomResourceDefinitions belong to everyone in a cluster. They are created where
they are not there and upgraded where that takes nothing away; otherwise they
stay, or egctl says what is in the way, and the flag that does it nevertheless.`,
		Example: `  # Install what belongs to this egctl
  egctl install

  # See what that would be
  egctl install --dry-run

  # With values, like helm install
  egctl install -f values.yaml --set deployment.replicas=2

  # Envoy Gateway itself
  egctl install --chart oci://docker.io/envoyproxy/gateway-helm --version v1.9.0`,
		Args: noArgs("name the release with --name"),
		RunE: runs(o),
	}
	cmd.Flags().StringVar(&o.Name, "name", release, "name of the Helm release")
	cmd.Flags().BoolVar(&o.SkipPrecheck, "skip-precheck", false, "install even if egctl x precheck says that it will not work")
	o.releaseOptions.flags(cmd)
	return cmd
}

func (o *installOptions) Complete(*cobra.Command, []string) error { return nil }

func (o *installOptions) Validate() error { return o.validate() }

func (o *installOptions) Run(ctx context.Context) error {
	defer o.done()
	request, err := o.request()
	if err != nil {
		return err
	}
	if err := o.precheck(ctx); err != nil {
		return err
	}
	i, err := o.installer()
	if err != nil {
		return err
	}
	o.state("planning")
	plan, err := i.Plan(ctx, request)
	if err != nil {
		return err
	}
	o.say(fmt.Sprintf("chart %s %s, release %s, namespace %s", plan.Chart, plan.Version, plan.Request.Name, *o.Kube.Namespace))
	if len(plan.CRDs) > 0 {
		o.say("CustomResourceDefinitions:")
		o.crds(plan)
	}
	o.notes(plan)
	if o.DryRun {
		o.done()
		if _, err := fmt.Fprint(o.Out, plan.Manifest); err != nil {
			return err
		}
		return plan.Refusal()
	}
	if err := plan.Refusal(); err != nil {
		return err
	}
	release, err := i.Apply(ctx, plan)
	if err != nil {
		if release != nil {
			return fmt.Errorf("%w\n  It stays as it is, to be looked at; egctl uninstall removes it", err)
		}
		return err
	}
	switch {
	case o.OnlyCRDs:
	case o.Wait:
		o.say("installed, and running")
	default:
		o.say("installed; it may take a while to run")
	}
	return nil
}

// precheck stops before an installation that will not work.
func (o *installOptions) precheck(ctx context.Context) error {
	if o.SkipPrecheck {
		return nil
	}
	o.state("checking the cluster")
	config, err := o.config()
	if err != nil {
		return err
	}
	results, err := precheck.Run(ctx, precheck.Options{Config: config, Namespace: *o.Kube.Namespace, SkipCRDs: o.SkipCRDs})
	if err != nil {
		return err
	}
	failed := slices.DeleteFunc(results, func(r precheck.Result) bool { return r.Status != precheck.Failed })
	if len(failed) == 0 {
		return nil
	}
	var b strings.Builder
	for _, r := range failed {
		fmt.Fprintf(&b, "\n  %s: %s", r.Check, r.Message)
		if r.Hint != "" {
			fmt.Fprintf(&b, "; %s", r.Hint)
		}
	}
	return fmt.Errorf("it will not work in this cluster; --skip-precheck tries it nevertheless:%s", b.String())
}
