package kube

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/egctl/egctl/pkg/controller/infra/kube/render"
)

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

// changed is told of each object of a fleet that a watch shows.
func (i *Infrastructure) changed(kind schema.GroupVersionKind, o *unstructured.Unstructured) {
	i.seen(kind, o, func(a applied) bool { return a.drifted(o) })
}

func (i *Infrastructure) deleted(kind schema.GroupVersionKind, o *unstructured.Unstructured) {
	i.seen(kind, o, func(applied) bool { return true })
}

func (i *Infrastructure) seen(kind schema.GroupVersionKind, o *unstructured.Unstructured, drifted func(applied) bool) {
	k, ok := i.watches.owner(o)
	if !ok {
		return
	}
	workload := kind == render.Deployment || kind == render.DaemonSet
	if workload || kind == render.Service {
		i.reports.Add(k)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	f := i.fleets[k]
	if f == nil || i.applies == nil {
		return
	}
	if a, ok := f.applied[objectName{kind, o.GetName()}]; ok && !f.drift.awaited && drifted(a) {
		delay := f.drift.delay(time.Now())
		f.drift.awaited = true
		i.o.Logger.Info("changed by others", "kind", kind.Kind, "namespace", o.GetNamespace(), "name", o.GetName(), "put back in", delay)
		i.applies.AddAfter(k, delay)
	} else if f.switching && workload {
		i.applies.Add(k)
	}
}
