package kube

import (
	"crypto/sha256"
	"encoding/json"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/egctl/egctl/pkg/controller/infra/kube/render"
	"github.com/egctl/egctl/pkg/store"
)

// digest is a hash of what is to be applied, or of which fields are ours.
type digest [sha256.Size]byte

// applied is what was applied, and what came of it.
type applied struct {
	want digest
	// owned are the fields that were ours after that.
	owned digest
	// version is the resource version after that.
	version uint64
	// replicas says that we own the number of replicas.
	replicas bool
}

func hash(o any) (digest, error) {
	data, err := json.Marshal(o) // sorts keys
	if err != nil {
		return digest{}, err
	}
	return sha256.Sum256(data), nil
}

// ownFields returns which fields of an object are ours, as the API server keeps
// account of them; nil: none.
func ownFields(u *unstructured.Unstructured) any {
	managers, ok, err := unstructured.NestedFieldNoCopy(u.Object, "metadata", "managedFields")
	entries, isList := managers.([]any)
	if err != nil || !ok || !isList {
		return nil
	}
	for _, e := range entries {
		if m, ok := e.(map[string]any); ok && m["manager"] == fieldManager && m["operation"] == string(metav1.ManagedFieldsOperationApply) && m["subresource"] == nil {
			return m["fieldsV1"]
		}
	}
	return nil
}

// version is an object's resource version; 0 if it is no number.
func version(u *unstructured.Unstructured) uint64 {
	v, err := strconv.ParseUint(u.GetResourceVersion(), 10, 64)
	if err != nil {
		return 0
	}
	return v
}

// drifted says whether somebody else changed what is ours in an object, as a
// watch shows it. Whoever changes a field of ours, or removes it, takes it from
// us in the API server's account. A watch may also show what was before.
func (a applied) drifted(seen *unstructured.Unstructured) bool {
	if v := version(seen); v != 0 && v <= a.version {
		return false
	}
	d, err := hash(ownFields(seen))
	return err != nil || d != a.owned
}

// drift counts how often a fleet's objects were changed by others of late, so
// that two controllers that want different things do not keep the API server
// busy.
type drift struct {
	times int
	last  time.Time
	// awaited says that a change waits to be put back.
	awaited bool
}

const (
	// driftMemory is how long a fleet has to be left alone for a change to be the
	// first again.
	driftMemory = 5 * time.Minute
	// longestDrift is the longest that a change by others stands.
	longestDrift = time.Minute
)

// delay counts a change and returns when to put it back: at once, and each
// further time later.
func (d *drift) delay(now time.Time) time.Duration {
	if now.Sub(d.last) > driftMemory {
		d.times = 0
	}
	d.last = now
	d.times++
	if d.times == 1 {
		return 0
	}
	return min(longestDrift, 250*time.Millisecond<<min(d.times-2, 10))
}

// glimpse is what a watch showed last of an object while it was written.
type glimpse struct {
	object  *unstructured.Unstructured
	deleted bool
}

// track writes an object by do, and remembers what came of it. A watch may show our
// own write before do returns, when it cannot be told from one by others: what is
// seen meanwhile is judged afterwards.
func (i *Infrastructure) track(k store.Key, name objectName, do func() (applied, error)) error {
	i.mu.Lock()
	if f := i.fleets[k]; f != nil {
		if f.writing == nil {
			f.writing = map[objectName]glimpse{}
		}
		f.writing[name] = glimpse{}
	}
	i.mu.Unlock()
	a, err := do()
	i.mu.Lock()
	defer i.mu.Unlock()
	f := i.fleets[k]
	if f == nil {
		return err
	}
	meanwhile := f.writing[name]
	delete(f.writing, name)
	switch {
	case err != nil:
		delete(f.applied, name) // it may have been written nevertheless
	case f.want != nil:
		f.applied[name] = a
		if o := meanwhile.object; o != nil && a.changed(o, meanwhile.deleted) {
			i.putBack(k, f, o)
		}
	}
	return err
}

// changed says whether somebody else changed an object, or deleted it, after we
// wrote it.
func (a applied) changed(seen *unstructured.Unstructured, deleted bool) bool {
	if deleted {
		v := version(seen)
		return v == 0 || v > a.version
	}
	return a.drifted(seen)
}

// changed is told of each object of a fleet that a watch shows.
func (i *Infrastructure) changed(kind schema.GroupVersionKind, o *unstructured.Unstructured) {
	i.seen(kind, o, false)
}

func (i *Infrastructure) deleted(kind schema.GroupVersionKind, o *unstructured.Unstructured) {
	i.seen(kind, o, true)
}

func (i *Infrastructure) seen(kind schema.GroupVersionKind, o *unstructured.Unstructured, deleted bool) {
	k, ok := i.watches.owner(o)
	if !ok {
		return
	}
	workload := isWorkload(kind)
	if workload || kind == render.Service {
		i.reports.Add(k)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.applies == nil {
		return
	}
	name := objectName{kind, o.GetName()}
	if deleted && kind == render.ServiceAccount {
		// Its labels name one of the fleets that share it; the others need it as well.
		for other, f := range i.fleets {
			if _, ok := f.writing[name]; other == k || !i.uses(other, o) {
				continue
			} else if ok {
				f.writing[name] = glimpse{o, deleted}
			} else {
				i.putBack(other, f, o)
			}
		}
	}
	f := i.fleets[k]
	if f == nil {
		return
	}
	if _, ok := f.writing[name]; ok {
		f.writing[name] = glimpse{o, deleted}
		return
	}
	if a, ok := f.applied[name]; ok && (deleted || a.drifted(o)) {
		i.putBack(k, f, o)
	} else if f.switching && (workload || kind == render.Service) {
		i.applies.Add(k)
	}
}

// putBack has a fleet worked on after a change by others. Infrastructure.mu is held.
func (i *Infrastructure) putBack(k store.Key, f *fleet, o *unstructured.Unstructured) {
	if f.drift.awaited || i.applies == nil {
		return
	}
	delay := f.drift.delay(time.Now())
	f.drift.awaited = true
	i.o.Logger.Info("changed by others", "kind", o.GetKind(), "namespace", o.GetNamespace(), "name", o.GetName(), "put back in", delay)
	i.applies.AddAfter(k, delay)
}
