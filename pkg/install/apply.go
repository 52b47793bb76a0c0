package install

import (
	"context"
	"errors"
	"fmt"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/release"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/egctl/egctl/pkg/install/crd"
	"github.com/egctl/egctl/pkg/wellknown"
)

// managedBy marks the namespace that Apply made, so that Uninstall may remove it.
const (
	managedByLabel = wellknown.ManagedByLabel
	managedBy      = "egctl"
)

// Apply installs or upgrades as planned. It returns the release, if any: also one
// that failed.
func (i *Installer) Apply(ctx context.Context, p *Plan) (*release.Release, error) {
	if err := p.Refusal(); err != nil {
		return nil, err
	}
	if err := i.current(p); err != nil {
		return nil, err
	}
	if err := i.applyCRDs(ctx, p); err != nil || p.Request.OnlyCRDs {
		return nil, err
	}
	c, err := p.Request.Chart.load(ctx)
	if err != nil {
		return nil, err
	}
	if p.Previous != nil {
		return i.applyUpgrade(ctx, p, c)
	}
	if on, _ := p.Request.Values["createNamespace"].(bool); !on {
		if err := i.ensureNamespace(ctx, p.Request.Timeout); err != nil {
			return nil, err
		}
	}
	r, err := i.install(p.Request).RunWithContext(ctx, c, copyValues(p.Request.Values))
	if err != nil {
		return r, fmt.Errorf("install release %s: %w", p.Request.Name, err)
	}
	if !p.Request.Wait {
		return r, nil
	}
	if err := i.Wait(ctx, r, p.Request.Timeout); err != nil || !p.Takeover {
		return r, err
	}
	return r, i.settle(ctx, p, r)
}

// applyUpgrade is the part of [Installer.Apply] that is Helm's, and what follows it.
func (i *Installer) applyUpgrade(ctx context.Context, p *Plan, c *chart.Chart) (*release.Release, error) {
	// Definitions take a while.
	if err := i.current(p); err != nil {
		return nil, err
	}
	r, err := i.runUpgrade(ctx, p, c)
	if err != nil {
		err = fmt.Errorf("upgrade release %s: %w", p.Request.Name, err)
	} else if p.Request.Wait {
		err = i.Wait(ctx, r, p.Request.Timeout)
	}
	switch {
	case err != nil && r == nil:
		return nil, err // Helm has refused, and changed nothing
	case err != nil:
		return r, i.rollback(ctx, p, r, err)
	case p.Request.Wait:
		return r, i.settle(ctx, p, r)
	case p.unsettled():
		i.o.Say("what Envoy Gateway leaves behind is not settled, since nobody waits for egctl to run: do egctl upgrade once more then")
	}
	return r, nil
}

// current refuses a plan that starts from a revision that is not the last one any more.
func (i *Installer) current(p *Plan) error {
	if p.Previous == nil || p.Request.OnlyCRDs {
		return nil
	}
	last, err := i.helm.Releases.Last(p.Request.Name)
	if err != nil {
		return fmt.Errorf("read release %s: %w", p.Request.Name, err)
	}
	if last.Version != p.Previous.Version {
		return fmt.Errorf("somebody has upgraded release %s meanwhile: it is at revision %d (%s), and was at %d; nothing was changed in it: do it again, to see what would change now",
			p.Request.Name, last.Version, last.Info.Status, p.Previous.Version)
	}
	return nil
}

// runUpgrade has Helm upgrade. When the context ends, Helm would return and yet go on, in
// the way of whoever goes back then; so it is let come to its end first.
func (i *Installer) runUpgrade(ctx context.Context, p *Plan, c *chart.Chart) (*release.Release, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var r *release.Release
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		r, err = i.upgrade(p).RunWithContext(context.WithoutCancel(ctx), p.Request.Name, c, copyValues(p.values))
	}()
	select {
	case <-done:
	case <-ctx.Done():
		i.o.State("interrupted: what Helm has begun comes to its end first")
		<-done
	}
	if err == nil {
		err = ctx.Err()
	}
	return r, err
}

func (i *Installer) applyCRDs(ctx context.Context, p *Plan) error {
	count := map[crd.Action]int{}
	for _, d := range p.CRDs {
		count[d.Action]++
	}
	if count[crd.Create]+count[crd.Update] == 0 {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, max(p.Request.Timeout, 30*time.Second))
	defer cancel()
	i.o.State("applying CustomResourceDefinitions")
	if err := i.crds.Apply(limited, p.wanted, p.CRDs, func(name string, n, of int) {
		i.o.State(fmt.Sprintf("applying CustomResourceDefinitions: %d of %d, %s", n, of, name))
	}); err != nil {
		return err
	}
	i.o.Say(fmt.Sprintf("CustomResourceDefinitions: %d created, %d updated", count[crd.Create], count[crd.Update]))
	return nil
}

// ensureNamespace makes the namespace unless it is there. One that is being removed it
// waits for.
func (i *Installer) ensureNamespace(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("namespace %s is being removed, and is not gone within %s", i.o.Namespace, timeout))
	defer cancel()
	namespaces := i.client.CoreV1().Namespaces()
	for {
		ns, err := namespaces.Get(ctx, i.o.Namespace, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			made := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: i.o.Namespace, Labels: map[string]string{managedByLabel: managedBy}}}
			if _, err := namespaces.Create(ctx, made, metav1.CreateOptions{FieldManager: crd.FieldManager}); err != nil && !apierrors.IsAlreadyExists(err) {
				return fmt.Errorf("create namespace %s: %w", i.o.Namespace, err)
			}
			return nil
		case apierrors.IsForbidden(err):
			return nil // who may not read namespaces may still have one
		case err != nil:
			return fmt.Errorf("get namespace %s: %w", i.o.Namespace, err)
		case ns.DeletionTimestamp == nil:
			return nil
		}
		i.o.State("waiting until namespace " + i.o.Namespace + " is gone, which is being removed")
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// rollback goes back to the revision before, from the one that Apply made. What goes
// wrong with that is told together with what went wrong in the first place.
func (i *Installer) rollback(ctx context.Context, p *Plan, made *release.Release, cause error) error {
	if p.Previous.Info == nil || p.Previous.Info.Status != release.StatusDeployed {
		return fmt.Errorf("%w; there is no working revision to go back to", cause)
	}
	last, err := i.helm.Releases.Last(p.Request.Name)
	if err != nil {
		return errors.Join(cause, fmt.Errorf("see whether to roll back: read release %s: %w", p.Request.Name, err))
	}
	if made.Version != p.Previous.Version+1 || last.Version != made.Version {
		return fmt.Errorf("%w\n  It was not rolled back: somebody else has upgraded meanwhile, and release %s is at revision %d", cause, p.Request.Name, last.Version)
	}
	// What has failed is said once, at the end, where it is looked for.
	i.o.Say(fmt.Sprintf("it does not work: going back to revision %d", p.Previous.Version))
	// The user's Ctrl-C ends the upgrade, not the way back from it.
	ctx = context.WithoutCancel(ctx)
	back := action.NewRollback(i.helm)
	back.Version, back.Timeout = p.Previous.Version, p.Request.Timeout
	if err := back.Run(p.Request.Name); err != nil {
		return errors.Join(cause, fmt.Errorf("roll back release %s to revision %d: %w", p.Request.Name, p.Previous.Version, err))
	}
	if p.Request.Wait {
		if err := i.Wait(ctx, p.Previous, p.Request.Timeout); err != nil {
			return errors.Join(cause, fmt.Errorf("rolled back to revision %d, which does not run either: %w", p.Previous.Version, err))
		}
	}
	return fmt.Errorf("%w\n  It was rolled back to revision %d; CustomResourceDefinitions stay as they are", cause, p.Previous.Version)
}
