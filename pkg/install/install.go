// Package install puts egctl, or Envoy Gateway by its own chart, into a cluster,
// changes it and takes it out, with the Helm SDK.
//
// Everything goes in two steps: a Plan, which reads and tries but changes
// nothing and can be shown, and Apply, which does what the plan says.
// CustomResourceDefinitions are not left to Helm; see package crd.
package install

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/kube"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/egctl/egctl/charts"
	"github.com/egctl/egctl/pkg/install/crd"
	"github.com/egctl/egctl/pkg/wellknown"
)

// Names that are used where nothing else is said.
const (
	// Namespace is that of the controller.
	Namespace = wellknown.Namespace
	// Release is the name of the release.
	Release = "eg"
)

// Options are those of an [Installer].
type Options struct {
	// Getter reaches the cluster. Its limits should be generous: an installation
	// asks for some hundred things.
	Getter genericclioptions.RESTClientGetter
	// Namespace is the release's.
	Namespace string
	// Driver is where Helm keeps releases: secret, configmap, or empty for secret.
	Driver string
	// Say is told what happens, a line at a time; State, what is being waited for,
	// each time that changes. Debug is told what Helm says. All may be nil.
	Say, State, Debug func(line string)
}

// Installer works on one namespace of one cluster.
type Installer struct {
	o       Options
	helm    *action.Configuration
	client  kubernetes.Interface
	dynamic dynamic.Interface
	crds    crd.Client
}

// New connects to nothing yet.
func New(o Options) (*Installer, error) {
	for _, f := range []*func(string){&o.Say, &o.State, &o.Debug} {
		if *f == nil {
			*f = func(string) {}
		}
	}
	config, err := o.Getter.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("find the cluster: %w", err)
	}
	i := &Installer{o: o, helm: &action.Configuration{}}
	if i.client, err = kubernetes.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	if i.dynamic, err = dynamic.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	i.crds = crd.Client{Interface: i.dynamic}
	log := func(format string, args ...any) { i.o.Debug(fmt.Sprintf(format, args...)) }
	if err := i.helm.Init(o.Getter, o.Namespace, o.Driver, log); err != nil {
		return nil, fmt.Errorf("set up helm: %w", err)
	}
	if c, ok := i.helm.KubeClient.(*kube.Client); ok {
		c.Namespace = o.Namespace
	}
	return i, nil
}

// ErrNoRelease is returned where there is nothing to upgrade or to uninstall.
var ErrNoRelease = errors.New("not installed")

// Find returns the last revision of a release. Without a name it is the one in
// the namespace that is of this chart, by whatever name it was installed. A name
// of a release that is no controller's is refused: egctl would remove what belongs
// to a controller that goes on, or replace what is somebody else's.
func (i *Installer) Find(name string) (*release.Release, error) {
	if name != "" {
		r, err := i.helm.Releases.Last(name)
		if errors.Is(err, driver.ErrReleaseNotFound) {
			return nil, fmt.Errorf("%w: no release %s in namespace %s", ErrNoRelease, name, i.o.Namespace)
		}
		if err != nil {
			return nil, fmt.Errorf("read release %s: %w", name, err)
		}
		if !isController(r) {
			return nil, fmt.Errorf("release %s in namespace %s is of chart %s, which is not the controller's, %s: it was left alone; "+
				"without --name the controller's release is found, and for any other there is helm", name, i.o.Namespace, chartOf(r), charts.Gateway)
		}
		return r, nil
	}
	all, err := i.helm.Releases.ListReleases()
	if err != nil {
		return nil, fmt.Errorf("list releases in namespace %s: %w", i.o.Namespace, err)
	}
	last := map[string]*release.Release{}
	for _, r := range all {
		if chartOf(r) != charts.Gateway {
			continue
		}
		if old := last[r.Name]; old == nil || old.Version < r.Version {
			last[r.Name] = r
		}
	}
	var names []string
	for name, r := range last {
		if r.Info != nil && r.Info.Status == release.StatusUninstalled {
			delete(last, name)
			continue
		}
		names = append(names, name)
	}
	slices.Sort(names)
	switch len(names) {
	case 0:
		return nil, fmt.Errorf("%w: no release of chart %s in namespace %s", ErrNoRelease, charts.Gateway, i.o.Namespace)
	case 1:
		return last[names[0]], nil
	default:
		return nil, fmt.Errorf("namespace %s has several releases of chart %s: say which by --name: %s", i.o.Namespace, charts.Gateway, strings.Join(names, ", "))
	}
}

// chartOf is the name of a release's chart.
func chartOf(r *release.Release) string {
	if r.Chart == nil || r.Chart.Metadata == nil {
		return "(unknown)"
	}
	return r.Chart.Metadata.Name
}

// isController says whether a release runs a controller of Envoy Gateway's kind. Where
// its chart was renamed, or is part of another, it is known by what it makes.
func isController(r *release.Release) bool {
	if chartOf(r) == charts.Gateway || configuration(r.Manifest) != "" {
		return true
	}
	all, err := objects(r.Manifest)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(workloads(all, ""), func(w workload) bool { return w.kind == "Deployment" && w.name == wellknown.Deployment })
}

// Reachable says whether the cluster answers.
func (i *Installer) Reachable(ctx context.Context) error {
	if _, err := i.client.Discovery().ServerVersion(); err != nil {
		return fmt.Errorf("reach the cluster: %w", err)
	}
	return ctx.Err()
}
