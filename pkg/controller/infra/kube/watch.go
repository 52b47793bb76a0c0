package kube

import (
	"context"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"

	"github.com/egctl/egctl/pkg/controller/infra/kube/render"
	"github.com/egctl/egctl/pkg/store"
)

var (
	nodeKind  = corev1.SchemeGroupVersion.WithKind("Node")
	sliceKind = discoveryv1.SchemeGroupVersion.WithKind("EndpointSlice")
)

// resources are the names that the API server has for kinds.
var resources = map[schema.GroupVersionKind]schema.GroupVersionResource{
	render.ServiceAccount: render.ServiceAccount.GroupVersion().WithResource("serviceaccounts"),
	render.ConfigMap:      render.ConfigMap.GroupVersion().WithResource("configmaps"),
	render.Deployment:     render.Deployment.GroupVersion().WithResource("deployments"),
	render.DaemonSet:      render.DaemonSet.GroupVersion().WithResource("daemonsets"),
	render.Service:        render.Service.GroupVersion().WithResource("services"),
	render.Scaler:         render.Scaler.GroupVersion().WithResource("horizontalpodautoscalers"),
	render.PDB:            render.PDB.GroupVersion().WithResource("poddisruptionbudgets"),
	nodeKind:              nodeKind.GroupVersion().WithResource("nodes"),
	sliceKind:             sliceKind.GroupVersion().WithResource("endpointslices"),
}

// byFleet is the index of objects by the fleet that their labels name.
const byFleet = "fleet"

// watches are the informers on objects of fleets: those that carry our labels in
// the namespaces where they may be.
type watches struct {
	client     dynamic.Interface
	i          *Infrastructure
	namespaces []string
	// informers are of objects of fleets; of each kind one a namespace.
	informers map[schema.GroupVersionKind][]cache.SharedIndexInformer

	// mu guards what is started when the first fleet is reached by ports of nodes.
	mu     sync.Mutex
	ctx    context.Context
	group  *sync.WaitGroup
	nodes  cache.SharedIndexInformer
	slices []cache.SharedIndexInformer
}

func newWatches(client dynamic.Interface, i *Infrastructure) *watches {
	w := &watches{client: client, i: i, namespaces: []string{i.o.Render.Namespace}, informers: map[schema.GroupVersionKind][]cache.SharedIndexInformer{}}
	if i.o.Render.GatewayNamespaceMode {
		// In its own there may be what is left of the other mode.
		w.namespaces = withOwn(i.o.Render.Namespace, i.o.Namespaces)
	}
	for _, kind := range render.Kinds() {
		namespaces := w.namespaces
		if kind == render.ServiceAccount && !i.o.Render.GatewayNamespaceMode {
			namespaces = withOwn(i.o.Render.Namespace, i.o.Namespaces)
		}
		for _, ns := range namespaces {
			w.informers[kind] = append(w.informers[kind], w.informer(kind, ns, func(o *unstructured.Unstructured) { i.changed(kind, o) }, func(o *unstructured.Unstructured) { i.deleted(kind, o) }))
		}
	}
	return w
}

// withOwn are the namespaces of the controller and of Gateways.
func withOwn(own string, gateways []string) []string {
	switch {
	case len(gateways) == 0:
		return []string{metav1.NamespaceAll}
	case slices.Contains(gateways, own):
		return gateways
	default:
		return append([]string{own}, gateways...)
	}
}

// informer returns one that is not started, on objects with our labels.
func (w *watches) informer(kind schema.GroupVersionKind, namespace string, changed, deleted func(*unstructured.Unstructured)) cache.SharedIndexInformer {
	tweak := func(o *metav1.ListOptions) { o.LabelSelector = labels.SelectorFromSet(render.AppLabels()).String() }
	if kind == nodeKind {
		tweak = nil
	}
	inf := dynamicinformer.NewFilteredDynamicInformer(w.client, resources[kind], namespace, 0, cache.Indexers{byFleet: w.fleetOf, byMoved: w.movedOf}, tweak).Informer()
	must := func(err error) {
		if err != nil { // only after the start of an informer
			w.i.o.Logger.Error("watch of infrastructure", "kind", kind.Kind, "error", err)
		}
	}
	must(inf.SetTransform(trim))
	must(inf.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
		w.i.o.Logger.Warn("cannot watch infrastructure", "kind", kind.Kind, "namespace", namespace, "error", err)
	}))
	_, err := inf.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { changed(o.(*unstructured.Unstructured)) },
		UpdateFunc: func(_, o any) { changed(o.(*unstructured.Unstructured)) },
		DeleteFunc: func(o any) {
			if t, ok := o.(cache.DeletedFinalStateUnknown); ok {
				o = t.Obj
			}
			if u, ok := o.(*unstructured.Unstructured); ok {
				deleted(u)
			}
		},
	})
	must(err)
	return inf
}

// trim drops what nobody reads: which fields are whose, but for ours, and of
// nodes all but addresses.
func trim(o any) (any, error) {
	u, ok := o.(*unstructured.Unstructured)
	if !ok {
		return o, nil
	}
	own := ownFields(u)
	unstructured.RemoveNestedField(u.Object, "metadata", "managedFields")
	if own != nil {
		entry := map[string]any{"manager": fieldManager, "operation": string(metav1.ManagedFieldsOperationApply), "fieldsV1": own}
		if err := unstructured.SetNestedSlice(u.Object, []any{entry}, "metadata", "managedFields"); err != nil {
			return nil, err
		}
	}
	if u.GetKind() == nodeKind.Kind {
		addresses, _, err := unstructured.NestedFieldNoCopy(u.Object, "status", "addresses")
		if err != nil {
			return nil, err
		}
		u.Object = map[string]any{
			"apiVersion": u.GetAPIVersion(), "kind": u.GetKind(),
			"metadata": map[string]any{"name": u.GetName(), "uid": string(u.GetUID()), "resourceVersion": u.GetResourceVersion()},
			"status":   map[string]any{"addresses": addresses},
		}
	}
	return u, nil
}

// owner returns the fleet of an object. One that is elsewhere than the fleet is
// nobody's, whatever its labels say, unless it is the fleet's mark.
func (w *watches) owner(o metav1.Object) (store.Key, bool) {
	k, ok := render.Owner(o.GetLabels())
	if ok && o.GetNamespace() != w.i.o.Render.FleetNamespace(k) && !isMark(o, k) {
		return store.Key{}, false
	}
	return k, ok
}

func isMark(o metav1.Object, fleet store.Key) bool {
	return o.GetNamespace() == fleet.Namespace && o.GetName() == render.MarkName(fleet)
}

func (w *watches) fleetOf(o any) ([]string, error) {
	if m, ok := o.(metav1.Object); ok {
		if k, ok := w.owner(m); ok {
			return []string{k.String()}, nil
		}
	}
	return nil, nil
}

func (w *watches) start(ctx context.Context, group *sync.WaitGroup) {
	w.mu.Lock()
	w.ctx, w.group = ctx, group
	w.mu.Unlock()
	for _, of := range w.informers {
		for _, inf := range of {
			group.Go(func() { inf.RunWithContext(ctx) })
		}
	}
}

// wait returns whether everything that exists is known; false: ctx ended first.
func (w *watches) wait(ctx context.Context) bool {
	var synced []cache.InformerSynced
	for _, of := range w.informers {
		for _, inf := range of {
			synced = append(synced, inf.HasSynced)
		}
	}
	return cache.WaitForCacheSync(ctx.Done(), synced...)
}

// get returns an object as last seen; nil: not seen.
func (w *watches) get(n objectName, namespace string) *unstructured.Unstructured {
	for _, inf := range w.informers[n.kind] {
		o, ok, err := inf.GetIndexer().GetByKey(namespace + "/" + n.name)
		if err == nil && ok {
			return o.(*unstructured.Unstructured)
		}
	}
	return nil
}

// of returns the objects of a kind that belong to a fleet.
func (w *watches) of(kind schema.GroupVersionKind, fleet store.Key) []*unstructured.Unstructured {
	return indexed(w.informers[kind], byFleet, fleet)
}

func indexed(informers []cache.SharedIndexInformer, by string, fleet store.Key) []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	for _, inf := range informers {
		objects, err := inf.GetIndexer().ByIndex(by, fleet.String())
		if err != nil {
			continue // there is such an index
		}
		for _, o := range objects {
			out = append(out, o.(*unstructured.Unstructured))
		}
	}
	return out
}

// fleets returns the fleets that objects of a kind belong to. A mark alone is of no
// fleet here: it may be another controller's, and goes with its Gateway.
func (w *watches) fleets(kind schema.GroupVersionKind) []store.Key {
	var out []store.Key
	for _, inf := range w.informers[kind] {
		for _, o := range inf.GetIndexer().List() {
			u := o.(*unstructured.Unstructured)
			if k, ok := w.owner(u); ok && !isMark(u, k) {
				out = append(out, k)
			}
		}
	}
	return out
}

// workloadKinds are what has pods.
var workloadKinds = []schema.GroupVersionKind{render.Deployment, render.DaemonSet}

func isWorkload(kind schema.GroupVersionKind) bool { return slices.Contains(workloadKinds, kind) }

// workloads returns all Deployments and DaemonSets of a fleet.
func (w *watches) workloads(fleet store.Key) []*unstructured.Unstructured {
	return append(w.of(render.Deployment, fleet), w.of(render.DaemonSet, fleet)...)
}

// account returns the ServiceAccount that the pods of a fleet run as; empty if
// there are none or several.
func (w *watches) account(fleet store.Key) string {
	found := ""
	for _, o := range w.workloads(fleet) {
		name := accountOf(o)
		if name == "" || found != "" && name != found {
			return ""
		}
		found = name
	}
	return found
}

// accountOf returns the ServiceAccount that the pods of a workload run as.
func accountOf(workload *unstructured.Unstructured) string {
	name, _, err := unstructured.NestedString(workload.Object, "spec", "template", "spec", "serviceAccountName")
	if err != nil {
		return "" // not a string: the API server lets none pass
	}
	return name
}

// runAs says whether a workload of a fleet runs its pods as a ServiceAccount.
func (w *watches) runAs(fleet store.Key, account string) bool {
	return slices.ContainsFunc(w.workloads(fleet), func(o *unstructured.Unstructured) bool { return accountOf(o) == account })
}

// nodePorts starts, if need be, the watches that tell where ports of nodes are
// reached, and returns false until they know.
func (w *watches) nodePorts() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.nodes == nil {
		all := func(*unstructured.Unstructured) { w.i.reportAll() }
		one := func(o *unstructured.Unstructured) {
			if k, ok := w.owner(o); ok {
				w.i.reports.Add(k)
			}
		}
		w.nodes = w.informer(nodeKind, metav1.NamespaceAll, all, all)
		for _, ns := range w.namespaces {
			w.slices = append(w.slices, w.informer(sliceKind, ns, one, one))
		}
		for _, inf := range append([]cache.SharedIndexInformer{w.nodes}, w.slices...) {
			w.group.Go(func() { inf.RunWithContext(w.ctx) })
		}
		w.group.Go(func() {
			if w.nodePortsSynced(w.ctx) {
				w.i.reportAll()
			}
		})
	}
	for _, inf := range append([]cache.SharedIndexInformer{w.nodes}, w.slices...) {
		if !inf.HasSynced() {
			return false
		}
	}
	return true
}

func (w *watches) nodePortsSynced(ctx context.Context) bool {
	w.mu.Lock()
	all := append([]cache.SharedIndexInformer{w.nodes}, w.slices...)
	w.mu.Unlock()
	var synced []cache.InformerSynced
	for _, inf := range all {
		synced = append(synced, inf.HasSynced)
	}
	return cache.WaitForCacheSync(ctx.Done(), synced...)
}
