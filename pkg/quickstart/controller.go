package quickstart

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egctl/egctl/pkg/inspect/proxies"
	"github.com/egctl/egctl/pkg/install"
	"github.com/egctl/egctl/pkg/install/crd"
	"github.com/egctl/egctl/pkg/wellknown"
)

// A quickstart that installs the controller leaves a note of that beside it, for
// its clean-up: a ConfigMap of this name.
const noteName = "egctl-quickstart"

// note is what a quickstart has installed.
type note struct {
	Release string `json:"release"`
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
	_, err = r.install.Apply(ctx, plan)
	// Also what came about half is to be taken away.
	return errors.Join(err, r.leave(context.WithoutCancel(ctx), n))
}

// leave writes the note.
func (r *clusterRun) leave(ctx context.Context, n note) error {
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	m := &core.ConfigMap{Data: map[string]string{"installed": string(text)}}
	m.Name, m.Labels = noteName, map[string]string{madeBy: madeByUs}
	_, err = r.client.CoreV1().ConfigMaps(r.Controller).Create(ctx, m, metav1.CreateOptions{FieldManager: fieldManager})
	if err != nil && !apierrors.IsAlreadyExists(err) && !apierrors.IsNotFound(err) {
		return fmt.Errorf("note what was installed: %w", err)
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
	m, err := r.client.CoreV1().ConfigMaps(r.Controller).Get(ctx, noteName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) && len(removed) == 0 {
		o.Say(fmt.Sprintf("there is nothing to clean up: no quickstart has made anything in namespace %s, nor the controller in %s; -n says which namespace", r.Namespace, r.Controller))
		return nil
	}
	if apierrors.IsNotFound(err) {
		o.Say("the controller was not installed by a quickstart; it stays")
		return nil
	}
	if err != nil {
		return fmt.Errorf("read what was installed: %w", err)
	}
	var n note
	if err := json.Unmarshal([]byte(m.Data["installed"]), &n); err != nil {
		return fmt.Errorf("ConfigMap %s/%s: %w", r.Controller, noteName, err)
	}
	return r.uninstall(ctx, n)
}

func (r *clusterRun) uninstall(ctx context.Context, n note) error {
	removal, err := r.install.PlanUninstall(ctx, n.Release, true)
	if err != nil {
		return err
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
	if err := r.client.CoreV1().ConfigMaps(r.Controller).Delete(ctx, noteName, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete ConfigMap %s/%s: %w", r.Controller, noteName, err)
	}
	return r.install.Uninstall(ctx, removal, r.Timeout)
}
