package install

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/egctl/egctl/pkg/install/crd"
	"github.com/egctl/egctl/pkg/wellknown"
)

// leftovers removes what belongs to the controller and to no release.
func (i *Installer) leftovers(ctx context.Context, r *Removal) error {
	secrets := i.client.CoreV1().Secrets(i.o.Namespace)
	list, err := secrets.List(ctx, metav1.ListOptions{LabelSelector: wellknown.ControllerSelector})
	if err != nil {
		return fmt.Errorf("list the controller's certificates: %w", err)
	}
	for _, s := range list.Items {
		if err := secrets.Delete(ctx, s.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete Secret %s/%s: %w", s.Namespace, s.Name, err)
		}
	}
	err = i.client.CoordinationV1().Leases(i.o.Namespace).Delete(ctx, wellknown.Lease, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete Lease %s/%s: %w", i.o.Namespace, wellknown.Lease, err)
	}
	for _, name := range r.Classes {
		if err := i.release(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// release takes the controller's finalizer off a GatewayClass, which nobody could
// delete otherwise.
func (i *Installer) release(ctx context.Context, class string) error {
	classes := i.dynamic.Resource(schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gatewayclasses"})
	for {
		c, err := classes.Get(ctx, class, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("get GatewayClass %s: %w", class, err)
		}
		kept := slices.DeleteFunc(c.GetFinalizers(), func(f string) bool { return f == classFinalizer })
		if len(kept) == len(c.GetFinalizers()) {
			return nil
		}
		c.SetFinalizers(kept)
		if _, err := classes.Update(ctx, c, metav1.UpdateOptions{FieldManager: crd.FieldManager}); apierrors.IsConflict(err) {
			continue
		} else if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("take the finalizer off GatewayClass %s: %w", class, err)
		}
		return nil
	}
}

// removeNamespace deletes the namespace that Apply made, if nothing is in it.
func (i *Installer) removeNamespace(ctx context.Context) error {
	core, apps := i.client.CoreV1(), i.client.AppsV1()
	ns, err := core.Namespaces().Get(ctx, i.o.Namespace, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("get namespace %s: %w", i.o.Namespace, err)
	}
	if ns.Labels[managedByLabel] != managedBy {
		return nil
	}
	var inside []string
	note := func(kind string, names ...string) {
		for _, n := range names {
			if n != "kube-root-ca.crt" && n != "default" {
				inside = append(inside, kind+" "+n)
			}
		}
	}
	all := metav1.ListOptions{}
	deployments, err1 := apps.Deployments(ns.Name).List(ctx, all)
	daemonSets, err2 := apps.DaemonSets(ns.Name).List(ctx, all)
	statefulSets, err3 := apps.StatefulSets(ns.Name).List(ctx, all)
	services, err4 := core.Services(ns.Name).List(ctx, all)
	configMaps, err5 := core.ConfigMaps(ns.Name).List(ctx, all)
	secrets, err6 := core.Secrets(ns.Name).List(ctx, all)
	accounts, err7 := core.ServiceAccounts(ns.Name).List(ctx, all)
	claims, err8 := core.PersistentVolumeClaims(ns.Name).List(ctx, all)
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7, err8); err != nil {
		return fmt.Errorf("see what is in namespace %s: %w", ns.Name, err)
	}
	note("Deployment", names(deployments.Items)...)
	note("DaemonSet", names(daemonSets.Items)...)
	note("StatefulSet", names(statefulSets.Items)...)
	note("Service", names(services.Items)...)
	note("ConfigMap", names(configMaps.Items)...)
	note("Secret", names(secrets.Items)...)
	note("ServiceAccount", names(accounts.Items)...)
	note("PersistentVolumeClaim", names(claims.Items)...)
	// Such as the EnvoyProxies of GatewayClasses, whose place is beside the controller.
	definitions, err := i.crds.All(ctx, groups...)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(definitions)) {
		found, err := i.objectsOf(ctx, definitions[name])
		if err != nil {
			return err
		}
		for _, o := range found {
			if o.GetNamespace() == ns.Name {
				note(o.GetKind(), o.GetName())
			}
		}
	}
	if len(inside) > 0 {
		i.o.Say(fmt.Sprintf("namespace %s stays: it has %s", ns.Name, crd.Fields(inside, 5)))
		return nil
	}
	if err := core.Namespaces().Delete(ctx, ns.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete namespace %s: %w", ns.Name, err)
	}
	i.o.Say(fmt.Sprintf("namespace %s is deleted", ns.Name))
	return nil
}

// names are those of typed objects.
func names[T any, P interface {
	*T
	metav1.Object
}](items []T) []string {
	out := make([]string, len(items))
	for i := range items {
		out[i] = P(&items[i]).GetName()
	}
	return out
}
