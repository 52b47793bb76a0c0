package install

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/release"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egctl/egctl/pkg/crds"
	"github.com/egctl/egctl/pkg/install/crd"
)

// Request is what is to be installed, or what an installation is to become.
type Request struct {
	// Name is the release's. An upgrade finds it when it is empty.
	Name   string
	Chart  Chart
	Values map[string]any
	// SkipCRDs leaves CustomResourceDefinitions alone; OnlyCRDs leaves everything
	// else alone.
	SkipCRDs, OnlyCRDs bool
	// Channel is that of the Gateway API; empty: the cluster's, or experimental
	// where there is none, like the chart. Only egctl's own chart has both.
	Channel string
	// Allow are risks that may be taken with CustomResourceDefinitions.
	Allow []crd.Risk
	// IgnoreUnsupported are kinds of [UnsupportedKinds] whose objects do not stand in
	// the way.
	IgnoreUnsupported []string
	// ResetValues forgets the values of the release, in an upgrade.
	ResetValues bool
	// Wait waits until everything runs, at most Timeout, and an upgrade that does
	// not come so far is rolled back.
	Wait    bool
	Timeout time.Duration
}

// Plan is what would happen.
type Plan struct {
	Request Request
	// Chart and Version are those that will be installed.
	Chart, Version string
	// CRDs says what happens to CustomResourceDefinitions.
	CRDs []crd.Decision
	// Manifest is what the chart makes. It is empty with OnlyCRDs.
	Manifest string
	// Changes are the differences from what is installed, in an upgrade.
	Changes []Change
	// Previous is the revision that an upgrade starts from.
	Previous *release.Release
	// Takeover says that egctl is to run where it does not yet: in a first
	// installation, and in an upgrade from Envoy Gateway.
	Takeover bool
	// Unsupported are objects that will have no effect.
	Unsupported []Unsupported
	// Ignored are the fields of the controller's configuration that it will not act on, and
	// why: what is misspelt, and what it does not do yet.
	Ignored []string
	// Notes say what else will not be as before, or not as the values have it.
	Notes []string
	// Same says that an upgrade has nothing to do: chart, values, objects and
	// CustomResourceDefinitions are those of the revision before, which was deployed well,
	// and the cluster has them like that, with nothing of Envoy Gateway's that is to go. Where
	// it is to be waited for, they run, too.
	Same bool

	wanted []*unstructured.Unstructured
	// values are those that Helm is given, and reset says that they are all.
	values map[string]any
	reset  bool
	// stale are manifests of what the release before leaves behind.
	stale map[string]string
	// unclaimed says that statuses of Envoy Gateway's are all there is to do.
	unclaimed bool
}

// unsettled says whether a move from Envoy Gateway has something to end, once egctl runs.
func (p *Plan) unsettled() bool { return p.Takeover || len(p.stale) > 0 || p.unclaimed }

// Restarts says whether an upgrade makes new pods: the pod template of a workload changes,
// or how many there are.
func (p *Plan) Restarts() bool {
	return p.Takeover || slices.ContainsFunc(p.Changes, func(c Change) bool {
		kind, _, _ := strings.Cut(c.Object, " ")
		return kind == "Deployment" || kind == "DaemonSet" || kind == "StatefulSet"
	})
}

// Reconfigures says whether an upgrade changes the controller's configuration.
func (p *Plan) Reconfigures() bool {
	return slices.ContainsFunc(p.Changes, func(c Change) bool {
		return slices.ContainsFunc(c.Fields, func(f FieldChange) bool { return strings.Contains(f.Path, configurationKey) })
	})
}

// Refused are the decisions that stand in the way.
func (p *Plan) Refused() []crd.Decision {
	var out []crd.Decision
	for _, d := range p.CRDs {
		if d.Action == crd.Refuse {
			out = append(out, d)
		}
	}
	return out
}

// Plan says what an installation would do.
func (i *Installer) Plan(ctx context.Context, r Request) (*Plan, error) {
	if r.Name == "" {
		r.Name = Release
	}
	p, err := i.plan(ctx, r)
	if err != nil || r.OnlyCRDs {
		return p, err
	}
	if existing, err := i.helm.Releases.Last(r.Name); err == nil && existing.Info.Status != release.StatusUninstalled {
		return nil, fmt.Errorf("release %s is in namespace %s already (%s, revision %d): change it by egctl upgrade", r.Name, i.o.Namespace, existing.Info.Status, existing.Version)
	}
	c, err := r.Chart.load(ctx)
	if err != nil {
		return nil, err
	}
	dry := i.install(r)
	dry.DryRun, dry.DryRunOption = true, "server"
	rendered, err := dry.RunWithContext(ctx, c, copyValues(r.Values))
	if err != nil {
		return nil, fmt.Errorf("render chart %s: %w", p.Chart, err)
	}
	p.Manifest, p.values = rendered.Manifest, r.Values
	if isEgctl(c) {
		p.Takeover = true
		err = i.withoutEffect(ctx, p)
	}
	return p, err
}

// PlanUpgrade says what an upgrade would do.
func (i *Installer) PlanUpgrade(ctx context.Context, r Request) (*Plan, error) {
	previous, err := i.Find(r.Name)
	if err != nil {
		return nil, err
	}
	r.Name = previous.Name
	c, err := r.Chart.load(ctx)
	if err != nil {
		return nil, err
	}
	takeover := isEgctl(c) && !isEgctl(previous.Chart)
	before := previous.Config
	var notes []string
	if takeover && !r.ResetValues {
		before, notes = moved(before)
	}
	// The values that decide on CRDs are those that the upgrade will have.
	vals, given := r.Values, r.Values
	if !r.ResetValues {
		vals = overlay(before, r.Values)
	}
	r.Values = vals
	p, err := i.plan(ctx, r)
	if err != nil {
		return nil, err
	}
	p.Previous, p.Request.Values, p.Takeover, p.Notes = previous, given, takeover, notes
	if r.OnlyCRDs {
		return p, nil
	}
	p.values, p.reset = given, r.ResetValues
	if takeover {
		p.values, p.reset = vals, true
	}
	dry := i.upgrade(p)
	dry.DryRun, dry.DryRunOption = true, "server"
	rendered, err := dry.RunWithContext(ctx, r.Name, c, copyValues(p.values))
	if err != nil {
		return nil, fmt.Errorf("render chart %s: %w", p.Chart, err)
	}
	p.Manifest = rendered.Manifest
	if p.Changes, err = Diff(previous.Manifest, rendered.Manifest); err != nil {
		return nil, err
	}
	switch {
	case !isEgctl(c):
	case takeover:
		p.stale, err = stale(previous, rendered)
	default:
		p.stale, notes, err = i.unsettled(r.Name, rendered)
		p.Notes = append(p.Notes, notes...)
	}
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(p.stale)) {
		p.Changes = append(p.Changes, Change{Kind: Removed, Object: name})
	}
	if p.Same = same(p, previous, rendered); p.Same {
		if err := i.unlike(ctx, p); err != nil {
			return nil, err
		}
	}
	if isEgctl(c) {
		if err := i.withoutEffect(ctx, p); err != nil {
			return nil, err
		}
		err = i.unclaimed(ctx, p)
	}
	return p, err
}

// plan is what both have in common: the chart and its CRDs.
func (i *Installer) plan(ctx context.Context, r Request) (*Plan, error) {
	c, err := r.Chart.load(ctx)
	if err != nil {
		return nil, err
	}
	p := &Plan{Request: r, Chart: c.Name(), Version: c.Metadata.Version}
	if r.SkipCRDs {
		return p, nil
	}
	if p.wanted, err = i.wanted(ctx, c, r); err != nil {
		return nil, err
	}
	policy := crd.Policy{Allow: r.Allow, Explicit: r.Channel != ""}
	p.CRDs, err = i.crds.Plan(ctx, p.wanted, policy)
	return p, err
}

// wanted are the CRDs of the chart, in the channel that is asked for or that the
// cluster has.
func (i *Installer) wanted(ctx context.Context, c *chart.Chart, r Request) ([]*unstructured.Unstructured, error) {
	data, err := definitions(c, copyValues(r.Values))
	if err != nil {
		return nil, err
	}
	all, err := crd.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("chart %s: %w", c.Name(), err)
	}
	if !r.Chart.Own() {
		if r.Channel != "" && channelOf(all) != r.Channel {
			return nil, fmt.Errorf("chart %s has no CustomResourceDefinitions of the %s channel: install them yourself and say --skip-crds", c.Name(), r.Channel)
		}
		return all, nil
	}
	channel := r.Channel
	if channel == "" {
		live, err := i.crds.All(ctx, "gateway.networking.k8s.io")
		if err != nil {
			return nil, err
		}
		var list []*unstructured.Unstructured
		for _, l := range live {
			list = append(list, l)
		}
		channel = channelOf(list)
	}
	if channel != crd.Standard || len(all) == 0 {
		return all, nil
	}
	return standard(all)
}

// channelOf is the channel of some definitions: experimental if one of them is.
func channelOf(all []*unstructured.Unstructured) string {
	channel := ""
	for _, u := range all {
		if c := crd.ReleaseOf(u).Channel; channel != crd.Experimental && c != "" {
			channel = c
		}
	}
	return channel
}

// standard replaces definitions of the Gateway API by those of the standard
// channel.
func standard(all []*unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	names, err := crds.Names(crds.Standard)
	if err != nil {
		return nil, fmt.Errorf("list the definitions: %w", err)
	}
	for _, name := range names {
		data, err := crds.YAML(crds.Standard, name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		parsed, err := crd.Parse(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, parsed...)
	}
	for _, u := range all {
		if !crd.IsGatewayAPI(u) {
			out = append(out, u)
		}
	}
	return out, nil
}

func (i *Installer) install(r Request) *action.Install {
	a := action.NewInstall(i.helm)
	a.ReleaseName, a.Namespace = r.Name, i.o.Namespace
	a.SkipCRDs, a.Timeout = true, r.Timeout
	a.Replace = true // a name whose release was uninstalled with its history kept
	return a
}

func (i *Installer) upgrade(p *Plan) *action.Upgrade {
	a := action.NewUpgrade(i.helm)
	a.Namespace, a.SkipCRDs, a.Timeout = i.o.Namespace, true, p.Request.Timeout
	a.ResetValues = p.reset
	// What the user said before still holds; what the old chart said does not.
	a.ResetThenReuseValues = !p.reset
	a.MaxHistory = 10
	return a
}

// overlay puts one set of values over another, map by map, into a new one.
func overlay(base, over map[string]any) map[string]any {
	out := copyValues(base)
	for k, v := range over {
		b, isMap := out[k].(map[string]any)
		o, both := v.(map[string]any)
		if isMap && both {
			out[k] = overlay(b, o)
			continue
		}
		out[k] = v
	}
	return out
}

func copyValues(v map[string]any) map[string]any {
	out := make(map[string]any, len(v))
	for k, x := range v {
		if m, ok := x.(map[string]any); ok {
			x = copyValues(m)
		}
		out[k] = x
	}
	return out
}

// RefusedError says which CustomResourceDefinitions are in the way, and what can
// be done.
type RefusedError struct{ Decisions []crd.Decision }

func (e *RefusedError) Error() string {
	var b strings.Builder
	b.WriteString("CustomResourceDefinitions are in the way; nothing was changed")
	for _, d := range e.Decisions {
		fmt.Fprintf(&b, "\n  %s (%s in the cluster, %s wanted): %s", d.Name, d.Live, d.Wanted, d.Reason)
		if d.Risk != "" {
			fmt.Fprintf(&b, "; --allow-crd-risk %s does it nevertheless", d.Risk)
		}
		if strings.Contains(d.Reason, crd.PolicyName) {
			fmt.Fprintf(&b, "\n    The policy is there to be heeded; who knows better deletes its ValidatingAdmissionPolicyBinding %s first", crd.PolicyName)
		}
	}
	b.WriteString("\n  --skip-crds leaves all CustomResourceDefinitions as they are")
	return b.String()
}
