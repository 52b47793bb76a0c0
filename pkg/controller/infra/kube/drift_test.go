package kube

import (
	"errors"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/workqueue"

	"github.com/egctl/egctl/pkg/controller/infra/kube/render"
	"github.com/egctl/egctl/pkg/store"
)

func TestDrifted(t *testing.T) {
	t.Parallel()
	seen := func(version, more string) *unstructured.Unstructured {
		return object(t, `{kind: Service, metadata: {name: a, resourceVersion: "`+version+`", managedFields: [{manager: kubectl, operation: Update, fieldsV1: {x: 1}}`+more+`]}}`)
	}
	const ours = `, {manager: envoy-gateway, operation: Apply, fieldsV1: {f:spec: {f:a: {}, f:b: {}}}}`
	after := seen("7", ours)
	owned, err := hash(ownFields(after))
	if err != nil {
		t.Fatal(err)
	}
	a := applied{owned: owned, version: version(after)}
	for _, c := range []struct {
		name string
		seen *unstructured.Unstructured
		want bool
	}{
		{"as we left it", after, false},
		{"what was before", seen("6", ""), false},
		{"something else changed", seen("8", ours+`, {manager: x, operation: Update, subresource: status}`), false},
		{"a field was taken", seen("8", strings.Replace(ours, ", f:b: {}", "", 1)), true},
		{"all fields were taken", seen("8", ""), true},
	} {
		trimmed, err := trim(c.seen.DeepCopy())
		if err != nil {
			t.Fatal(err)
		}
		if got, short := a.drifted(c.seen), a.drifted(trimmed.(*unstructured.Unstructured)); got != c.want || short != c.want {
			t.Errorf("%s: drifted = %v, as the watch keeps it %v", c.name, got, short)
		}
	}
}

// TestOwnWritesAreNoDrift: a watch that shows our write before the API server has
// answered it shows no change by others; what others do meanwhile is put back.
func TestOwnWritesAreNoDrift(t *testing.T) {
	t.Parallel()
	service := func(version, fields string) *unstructured.Unstructured {
		return object(t, `{apiVersion: v1, kind: Service, metadata: {name: a, namespace: system, resourceVersion: "`+version+`",
			labels: {app.kubernetes.io/managed-by: envoy-gateway, gateway.envoyproxy.io/owning-gateway-name: eg, gateway.envoyproxy.io/owning-gateway-namespace: shop},
			managedFields: [{manager: envoy-gateway, operation: Apply, fieldsV1: {f:spec: {`+fields+`}}}]}}`)
	}
	record := func(u *unstructured.Unstructured) applied {
		owned, err := hash(ownFields(u))
		if err != nil {
			t.Fatal(err)
		}
		return applied{owned: owned, version: version(u)}
	}
	before, ours := service("7", "f:a: {}"), service("8", "f:a: {}, f:b: {}")
	refused := errors.New("refused")
	for _, c := range []struct {
		name  string
		shown func(*Infrastructure)
		err   error
		want  int
	}{
		{"nothing is shown", func(*Infrastructure) {}, nil, 0},
		{"our own write", func(i *Infrastructure) { i.changed(render.Service, ours) }, nil, 0},
		{"what was before", func(i *Infrastructure) { i.changed(render.Service, service("6", "")) }, nil, 0},
		{"the deletion of what was before", func(i *Infrastructure) { i.deleted(render.Service, before) }, nil, 0},
		{"a change after it", func(i *Infrastructure) {
			i.changed(render.Service, ours)
			i.changed(render.Service, service("9", "f:a: {}"))
		}, nil, 1},
		{"a deletion after it", func(i *Infrastructure) {
			i.changed(render.Service, ours)
			i.deleted(render.Service, service("9", "f:a: {}, f:b: {}"))
		}, nil, 1},
		{"a write of which no answer came", func(i *Infrastructure) { i.changed(render.Service, ours) }, refused, 0},
	} {
		i := unconnected(t, render.Config{})
		i.applies = workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[store.Key]())
		f := gatewayFleet("shop", "eg")
		name := objectName{render.Service, "a"}
		i.fleets[f.Key] = &fleet{want: f, applied: map[objectName]applied{name: record(before)}}
		if err := i.track(f.Key, name, func() (applied, error) { c.shown(i); return record(ours), c.err }); !errors.Is(err, c.err) {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.err != nil {
			i.changed(render.Service, service("9", "f:b: {}")) // nobody knows whose that is
		}
		if got := i.fleets[f.Key].drift.times; got != c.want {
			t.Errorf("%s: %d changes by others", c.name, got)
		}
		i.applies.ShutDown()
	}
}

func TestDriftIsPutBackAtOnceThenMoreSlowly(t *testing.T) {
	t.Parallel()
	var d drift
	now := time.Now()
	var last time.Duration
	for n := range 20 {
		delay := d.delay(now)
		if n == 0 && delay != 0 {
			t.Errorf("the first change stands for %s", delay)
		}
		if delay < last || delay > longestDrift {
			t.Errorf("change %d stands for %s after %s", n, delay, last)
		}
		last, now = delay, now.Add(time.Second)
	}
	if last != longestDrift {
		t.Errorf("the last change stands for %s", last)
	}
	if got := d.delay(now.Add(driftMemory + time.Second)); got != 0 {
		t.Errorf("after a long peace a change stands for %s", got)
	}
}
