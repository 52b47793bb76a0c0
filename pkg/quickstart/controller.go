package quickstart

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	applycore "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/egctl/egctl/pkg/inspect/proxies"
	"github.com/egctl/egctl/pkg/install"
	"github.com/egctl/egctl/pkg/install/crd"
	"github.com/egctl/egctl/pkg/wellknown"
)

// A quickstart that installs the controller leaves a note of that beside it, for
// its clean-up: a ConfigMap of this name.
const (
	noteName = "egctl-quickstart"
	noteKey  = "installed"
)

// note is what a quickstart has installed.
type note struct {
	Release string `json:"release"`
	// Deployed is when the release came to be, which an upgrade does not change: one of
	// the same name that did so at another time is not the quickstart's. Zero: none came.
	Deployed time.Time `json:"deployed"`
	// Definitions are the CustomResourceDefinitions that were not there before.
	Definitions []string `json:"definitions"`
}

// ensureController installs the controller if nothing answers for the demo's class.
func (r *clusterRun) ensureController(ctx context.Context) error {
	found, err := r.install.Find("")
	if err == nil {
		r.Say(fmt.Sprintf("release %s of chart %s %s is installed", found.Name, found.Chart.Metadata.Name, found.Chart.Metadata.Version))
		return nil
	}
	if !errors.Is(err, install.ErrNoRelease) {
		return err
	}
	// Without Helm, as by kubectl apply.
	_, err = r.client.AppsV1().Deployments(r.Controller).Get(ctx, wellknown.Deployment, metav1.GetOptions{})
	if err == nil {
		r.Say("the controller runs in namespace " + r.Controller)
		return nil
	}
	if !apierrors.IsNotFound(err) {
		return fmt.Errorf("look for the controller: %w", err)
	}
	plan, err := r.install.Plan(ctx, install.Request{
		Name: "eg", Chart: install.Chart{Program: r.Version}, Values: r.Values, Wait: true, Timeout: r.Timeout,
	})
	if err != nil {
		return err
	}
	if err := plan.Refusal(); err != nil {
		return err
	}
	n := note{Release: plan.Request.Name}
	for _, d := range plan.CRDs {
		if d.Action == crd.Create {
			n.Definitions = append(n.Definitions, d.Name)
		}
	}
	r.Say(fmt.Sprintf("installing chart %s %s in namespace %s", plan.Chart, plan.Version, r.Controller))
	made, err := r.install.Apply(ctx, plan)
	if made != nil && made.Info != nil {
		n.Deployed = made.Info.FirstDeployed.Time.UTC()
	}
	// Also what came about half is to be taken away.
	return errors.Join(err, r.leave(context.WithoutCancel(ctx), n))
}

// leave writes the note. Definitions that an earlier one names are still a quickstart's:
// it may have failed after it had made them.
func (r *clusterRun) leave(ctx context.Context, n note) error {
	before, found, err := r.noted(ctx)
	if err != nil {
		return err
	}
	if found {
		n.Definitions = append(n.Definitions, before.Definitions...)
		slices.Sort(n.Definitions)
		n.Definitions = slices.Compact(n.Definitions)
	}
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	m := applycore.ConfigMap(noteName, r.Controller).WithLabels(map[string]string{madeBy: madeByUs}).WithData(map[string]string{noteKey: string(text)})
	_, err = r.client.CoreV1().ConfigMaps(r.Controller).Apply(ctx, m, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("note what was installed: %w", err)
	}
	return nil
}

// noted reads the note, if there is one.
func (r *clusterRun) noted(ctx context.Context) (n note, found bool, err error) {
	m, err := r.client.CoreV1().ConfigMaps(r.Controller).Get(ctx, noteName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return n, false, nil
	}
	if err != nil {
		return n, false, fmt.Errorf("read what was installed: %w", err)
	}
	if err := json.Unmarshal([]byte(m.Data[noteKey]), &n); err != nil {
		return n, false, fmt.Errorf("ConfigMap %s/%s: %w", r.Controller, noteName, err)
	}
	return n, true, nil
}

// forget deletes the note.
func (r *clusterRun) forget(ctx context.Context) error {
	err := r.client.CoreV1().ConfigMaps(r.Controller).Delete(ctx, noteName, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete ConfigMap %s/%s: %w", r.Controller, noteName, err)
	}
	return nil
}

// owns says whether proxies are those of the demo's Gateway alone.
func (r *clusterRun) owns(fleet *proxies.Fleet) bool {
	l := fleet.Service.Labels
	return l[proxies.OwningGatewayName] == gatewayName && l[proxies.OwningGatewayNamespace] == r.Namespace
}

// Cleanup takes away what a quickstart has made, and nothing else: the demo, and
// the controller and its definitions if the quickstart has installed them and nobody
// else has come to use them.
func Cleanup(ctx context.Context, o ClusterOptions) error {
	r, err := newClusterRun(o)
	if err != nil {
		return err
	}
	if err := r.install.Reachable(ctx); err != nil {
		return err
	}
	if err := r.learnKinds(); err != nil {
		return err
	}
	fleet, err := r.fleet(ctx)
	if err != nil && !proxies.IsNotFound(err) && !apierrors.IsNotFound(err) {
		return err
	}
	removed, err := r.demo.remove(ctx, o.Say)
	if err != nil {
		return err
	}
	// Proxies that serve other Gateways as well stay, and so do those of a Gateway that does.
	if fleet != nil && r.owns(fleet) && slices.ContainsFunc(removed, func(u *unstructured.Unstructured) bool { return u.GetKind() == "Gateway" }) {
		if err := r.wait(ctx, "the proxies are gone", func(ctx context.Context) (string, error) {
			pods, err := r.client.CoreV1().Pods(fleet.Namespace).List(ctx, metav1.ListOptions{LabelSelector: fleet.Selector.String()})
			if err != nil || len(pods.Items) == 0 {
				return "", err
			}
			return fmt.Sprintf("%d are draining", len(pods.Items)), nil
		}); err != nil {
			return err
		}
	}
	n, found, err := r.noted(ctx)
	switch {
	case err != nil:
		return err
	case found:
		return r.uninstall(ctx, n)
	case len(removed) == 0:
		o.Say(fmt.Sprintf("there is nothing to clean up: no quickstart has made anything in namespace %s, nor the controller in %s; -n says which namespace", r.Namespace, r.Controller))
	default:
		o.Say("the controller was not installed by a quickstart; it stays")
	}
	return nil
}

// uninstall takes away what the note says. The note goes when all of that is gone, so that
// a clean-up that was interrupted can be done once more.
func (r *clusterRun) uninstall(ctx context.Context, n note) error {
	removal, err := r.install.PlanUninstall(ctx, n.Release, true)
	if err != nil {
		return err
	}
	if f := removal.Release; f != nil && (f.Info == nil || n.Deployed.IsZero() || !f.Info.FirstDeployed.Time.Equal(n.Deployed)) {
		r.Say(fmt.Sprintf("release %s in namespace %s is not the one that the quickstart has installed; it stays", n.Release, r.Controller))
		return r.forget(ctx)
	}
	if removal.Release == nil {
		_, err := r.client.AppsV1().Deployments(r.Controller).Get(ctx, wellknown.Deployment, metav1.GetOptions{})
		switch {
		case err == nil:
			r.Say(fmt.Sprintf("the controller in namespace %s is not the one that the quickstart has installed; it stays", r.Controller))
			return r.forget(ctx)
		case !apierrors.IsNotFound(err):
			return fmt.Errorf("look for the controller: %w", err)
		}
		removal.Resumed = true
	}
	if d := removal.Dependents(); d > 0 {
		r.Say(fmt.Sprintf("%d Gateways and routes of others depend on the controller; it stays", d))
		return nil
	}
	for name, objects := range removal.Definitions {
		if !slices.Contains(n.Definitions, name) {
			delete(removal.Definitions, name)
		} else if objects > 0 {
			r.Say(fmt.Sprintf("%s stays: there are %d objects of it", name, objects))
			delete(removal.Definitions, name)
		}
	}
	removal.Finally = r.forget
	return r.install.Uninstall(ctx, removal, r.Timeout)
}
