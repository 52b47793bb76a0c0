package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/inspect/status"
)

// statusOptions are those of `egctl status`, which asks a cluster; statusObject and
// what is around it print the statuses of files.
type statusOptions struct {
	kubeOptions
	Kinds         []string
	Names         []string
	AllNamespaces bool
	Labels        string
	Output        string
	Quiet         bool
	Verbose       bool
	Wait          string
	Timeout       time.Duration
	Watch         bool
	FailOn        string

	goal status.Goal
	path string // of -o jsonpath=
	gone status.Gone
	// stuck are the Gateways whose proxies do not run; empty where nobody reads it.
	stuck status.Stuck
	// endpoints are those of the namespace that is asked for; nil where nobody reads them.
	endpoints map[string]status.Endpoints
	// alone says that statuses are of a controller that is gone.
	alone bool
	now   func() time.Time
}

func statusFormats() []string {
	return []string{"table", "wide", "tree", "json", "yaml", "name", "jsonpath="}
}

func newStatus(s Streams) *cobra.Command {
	o := &statusOptions{kubeOptions: newKubeOptions(s), now: time.Now}
	cmd := &cobra.Command{
		Use:   "status [KIND[,KIND...] [NAME...] | KIND/NAME... | tree [GATEWAY...]]",
		Short: "Show whether Gateways, routes and policies work, and why not",
		Long: `Show what controllers say about Gateways, routes, policies and all other kinds of
the Gateway API and of Envoy Gateway: what matters in a table, the rest with -v.
It works with any controller. KIND may also be all (the default), xroute or
xpolicy; kinds that the cluster does not have are left out.

The tree shows what hangs together: class, Gateway, listener, route, backend and its
endpoints. --wait waits until nothing is wrong, or until a condition holds, and
says what was missing when it timed out (exit code 1). With --fail-on the exit
code is 3 if something is not fine: a warning, or an error, which is what does not
work or what no controller has answered for.`,
		Example: `  # Everything in the namespace
  egctl status

  # What is not fine in the whole cluster, with messages and hints
  egctl status -A -q -v

  # From the class to the endpoints
  egctl status tree

  # Wait until a Gateway is programmed
  egctl status gateway eg --wait=Programmed --timeout 2m

  # The first address of a Gateway
  egctl status gateway/eg -o jsonpath={.status.addresses[0].value}

  # Fail if a route does not work
  egctl status xroute --fail-on error`,
		ValidArgsFunction: o.complete,
		RunE:              runs(o),
	}
	f := cmd.Flags()
	f.BoolVarP(&o.AllNamespaces, "all-namespaces", "A", false, "look in all namespaces")
	f.StringVarP(&o.Labels, "selector", "l", "", "label selector of the objects")
	choiceFlag(cmd, &o.Output, "output", "o", "table", statusFormats(), "output format")
	f.BoolVarP(&o.Quiet, "quiet", "q", false, "leave out what is fine")
	f.BoolVarP(&o.Verbose, "verbose", "v", false, "print messages, and what to do")
	f.StringVar(&o.Wait, "wait", "", "wait until nothing is wrong, or until CONDITION[=STATUS] holds")
	f.Lookup("wait").NoOptDefVal = status.Fine.String()
	f.DurationVar(&o.Timeout, "timeout", 2*time.Minute, "how long --wait waits")
	f.BoolVarP(&o.Watch, "watch", "w", false, "go on with what changes")
	choiceFlag(cmd, &o.FailOn, "fail-on", "", "never", failOnLevels(), "exit with code 3 for something as bad as this")
	o.flags(cmd)
	return cmd
}

func (o *statusOptions) Complete(_ *cobra.Command, args []string) error {
	if len(args) > 0 && args[0] == "tree" {
		o.Output, args = "tree", args[1:]
		if len(args) == 0 || !strings.Contains(args[0], "/") {
			args = append([]string{"gateway"}, args...)
		}
	}
	switch {
	case len(args) == 0:
		o.Kinds = []string{status.All}
	case strings.Contains(args[0], "/"):
		for _, a := range args {
			kind, name, ok := strings.Cut(a, "/")
			if !ok || kind == "" || name == "" {
				return usagef("%q is not of the form KIND/NAME", a)
			}
			if len(o.Kinds) > 0 && o.Kinds[0] != kind {
				return usagef("%s and %s are of different kinds: ask for one kind at a time", args[0], a)
			}
			o.Kinds, o.Names = []string{kind}, append(o.Names, name)
		}
	default:
		o.Kinds, o.Names = strings.Split(args[0], ","), args[1:]
	}
	return nil
}

func (o *statusOptions) Validate() error {
	if expression, ok := strings.CutPrefix(o.Output, "jsonpath="); ok {
		if _, err := parseJSONPath(expression); err != nil {
			return usagef("--output: %w", err)
		}
		o.path = expression
	} else if err := choice("output", o.Output, statusFormats()); err != nil {
		return err
	}
	if o.Output == "tree" && !slices.ContainsFunc(o.Kinds, func(k string) bool {
		return k == "gateway" || k == "gateways" || k == "gw" || k == "gtw" || k == status.All
	}) {
		return usagef("a tree shows Gateways: %s cannot be its root", o.Kinds[0])
	}
	if o.Watch && (o.Wait != "" || o.Output != "table" && o.Output != "wide") {
		return usagef("--watch goes with tables, and not with --wait")
	}
	if o.Labels != "" && len(o.Names) > 0 {
		return usagef("a name and --selector do not go together")
	}
	if o.AllNamespaces && len(o.Names) > 0 {
		return usagef("a name is in one namespace: leave out -A")
	}
	if o.Timeout <= 0 {
		return usagef("--timeout %s is not positive", o.Timeout)
	}
	var err error
	if o.goal, err = status.ParseGoal(o.Wait); err != nil {
		return usagef("--wait: %w", err)
	}
	return choice("fail-on", o.FailOn, failOnLevels())
}

// query says which objects are meant.
func (o *statusOptions) query() (status.Query, error) {
	q := status.Query{Labels: o.Labels, Names: o.Names, Raw: o.Output == "json" || o.Output == "yaml" || o.path != ""}
	if o.AllNamespaces {
		return q, nil
	}
	var err error
	q.Namespace, err = o.namespace()
	return q, err
}

// resources are those of the kinds that were asked for.
func (o *statusOptions) resources(served []status.Resource) ([]status.Resource, error) {
	if len(served) == 0 {
		return nil, errors.New("the cluster has no Gateway API: its CustomResourceDefinitions are not installed; egctl install brings them, and the controller")
	}
	var list []status.Resource
	for _, k := range o.Kinds {
		found, several := status.Select(served, k)
		switch {
		case len(found) > 0 || several:
			list = append(list, found...)
		case status.IsKnown(k):
			return nil, fmt.Errorf("the cluster has no kind %q: its CustomResourceDefinition is not installed; egctl install --only-crds brings it, for some kinds with --channel experimental", k)
		default:
			return nil, usagef("%q is no kind of the Gateway API or of Envoy Gateway; try all, xroute, xpolicy, or a kind such as gateway", k)
		}
	}
	return list, nil
}

// statusAnswer is what a cluster has of what was asked for.
type statusAnswer struct {
	client *status.Client
	query  status.Query
	served []status.Resource // all kinds, also those that were not asked for
	world  *status.World
}

// ask reads the objects that were asked for.
func (o *statusOptions) ask(ctx context.Context) (*statusAnswer, error) {
	config, err := o.config()
	if err != nil {
		return nil, err
	}
	var a statusAnswer
	if a.client, err = status.NewClient(config); err != nil {
		return nil, err
	}
	if a.query, err = o.query(); err != nil {
		return nil, err
	}
	if a.served, err = a.client.Resources(ctx); err != nil {
		return nil, err
	}
	resources, err := o.resources(a.served)
	if err != nil {
		return nil, err
	}
	if a.world, err = a.client.Read(ctx, resources, a.query); err != nil {
		return nil, err
	}
	for _, d := range a.world.Denied {
		fmt.Fprintf(o.Err, "note: %v\n", d)
	}
	return &a, nil
}

func (o *statusOptions) Run(ctx context.Context) error {
	a, err := o.ask(ctx)
	if err != nil {
		return err
	}
	if err := o.unattended(ctx, a); err != nil {
		return err
	}
	gone, err := a.client.NamespaceGone(ctx, a.world, a.query)
	switch {
	case err != nil:
		return err
	case gone && (o.Wait != "" || o.Watch):
		fmt.Fprintf(o.Err, "note: %s yet\n", noNamespace(a.query))
	case gone:
		return errors.New(noNamespace(a.query))
	}
	if o.Wait != "" {
		if err := o.wait(ctx, a); err != nil {
			return err
		}
	}
	if err := o.reasons(ctx, a); err != nil {
		return err
	}
	tables := o.tables(a.world, a.query)
	if err := o.missing(tables, a.query); err != nil {
		return err
	}
	if o.Output == "tree" {
		return o.tree(ctx, a)
	}
	if err := o.print(tables, a.query); err != nil {
		return err
	}
	if o.Watch {
		return o.watch(ctx, a)
	}
	return o.verdict(tables)
}

// reasons reads what is behind that something does not work, as far as it is printed.
func (o *statusOptions) reasons(ctx context.Context, a *statusAnswer) error {
	var err error
	if o.gone, err = a.client.FindGone(ctx, a.served, a.world, nil); err != nil {
		return err
	}
	tables := o.Output == "table" || o.Output == "wide"
	if tables || o.Output == "tree" {
		if o.stuck, err = a.client.FindStuck(ctx, a.world, a.query.Namespace); err != nil {
			return err
		}
	}
	if tables && o.Verbose && a.world.Has(status.Route) {
		// Who may not read them is not told of them.
		o.endpoints, err = a.client.Endpoints(ctx, a.query.Namespace)
		if status.Unavailable(err) {
			o.endpoints, err = nil, nil
		}
	}
	return err
}

// unattended says so where statuses are those of a controller that is gone.
func (o *statusOptions) unattended(ctx context.Context, a *statusAnswer) error {
	if o.Output == "name" {
		return nil // shows no status
	}
	var err error
	if o.alone, err = a.client.Unattended(ctx, a.served, a.world, o.now()); o.alone {
		fmt.Fprintf(o.Err, "warning: no controller %s is seen in the cluster: statuses that it wrote are what it left behind, and nothing keeps them true; egctl install brings one\n", v1alpha1.GatewayControllerName)
	}
	return err
}

// wait waits for the goal; what is missing is narrated.
func (o *statusOptions) wait(ctx context.Context, a *statusAnswer) error {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	return a.client.Wait(ctx, a.served, a.world, a.query, o.goal, func(missing []string) {
		more := ""
		if len(missing) > 1 {
			more = fmt.Sprintf(" (and %d more)", len(missing)-1)
		}
		fmt.Fprintf(o.Err, "Waiting: %s%s\n", missing[0], more)
	})
}

// verdict is the exit code.
func (o *statusOptions) verdict(tables []status.Table) error {
	worst := status.Fine
	if o.alone {
		worst = status.Warned
	}
	for _, t := range tables {
		for _, r := range t.Rows {
			worst = max(worst, r.Verdict)
		}
	}
	return o.fails(worst)
}

func (o *statusOptions) fails(worst status.Verdict) error {
	if o.FailOn == "warning" && worst >= status.Warned || o.FailOn == "error" && worst >= status.Waiting {
		return &exitError{code: exitFindings}
	}
	return nil
}

// complete completes kinds, then the names of objects.
func (o *statusOptions) complete(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		kind, _, named := strings.Cut(typed, "/")
		if named {
			names := o.kindNames(cmd.Context(), kind)
			for i := range names {
				names[i] = kind + "/" + names[i]
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		}
		list := []string{status.All, status.Routes, status.Policies, "tree"}
		for _, r := range status.Known() {
			list = append(list, r.Name())
		}
		return list, cobra.ShellCompDirectiveNoFileComp
	}
	kind := args[0]
	if kind == "tree" {
		kind = "gateway"
	}
	if strings.Contains(kind, "/") {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return o.kindNames(cmd.Context(), kind), cobra.ShellCompDirectiveNoFileComp
}

func (o *statusOptions) kindNames(ctx context.Context, kind string) []string {
	found, several := status.Select(status.Known(), kind)
	if several || len(found) == 0 {
		return nil
	}
	return o.objectNames(ctx, found[0])
}
