package kube

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/egctl/egctl/pkg/controller/infra/kube/render"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

// TestRunningClasses demands that a controller that starts knows which fleets of
// classes run before it wants any, forgets those that go, and keeps to what is
// reported of those that are wanted.
func TestRunningClasses(t *testing.T) {
	t.Parallel()
	var told []string
	i := unconnected(t, render.Config{})
	i.o.Submit = func(changes ...store.Change) {
		for _, c := range changes {
			told = append(told, fmt.Sprint(c.Key.Name, " ", c.Object != nil))
		}
	}
	run := func(c string) {
		t.Helper()
		d := object(t, `{apiVersion: apps/v1, kind: Deployment, metadata: {name: `+c+`, namespace: system, labels: {gateway.envoyproxy.io/owning-gatewayclass: `+c+`}}}`)
		if err := i.watches.informers[render.Deployment][0].GetIndexer().Add(d); err != nil {
			t.Fatal(err)
		}
	}
	class := func(name string) store.Key { return store.ID{Kind: store.GatewayClass, Name: name}.Key() }
	run("gone")
	run("wanted")
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the informers do not run: what they have is all there is
	var names []string
	for _, c := range i.findRunning(ctx) {
		v, ok := c.Object.(*store.Value[translate.Infrastructure])
		if !ok || v.V.Message != "0/0 replicas ready" {
			t.Errorf("reported is %+v", c.Object)
		}
		names = append(names, c.Key.Name)
	}
	slices.Sort(names)
	want := []string{translate.InfrastructureKey(class("gone")).Name, translate.InfrastructureKey(class("wanted")).Name}
	if !slices.Equal(names, want) {
		t.Fatalf("%q run, not %q", names, want)
	}

	i.Want(class("wanted"), &translate.Fleet{Key: class("wanted"), Class: "wanted"})
	i.report(class("wanted"))
	i.report(class("gone")) // which is still there
	if want := []string{want[1] + " true"}; !slices.Equal(told, want) {
		t.Errorf("told %q, not %q", told, want)
	}
	told = nil
	if err := i.watches.informers[render.Deployment][0].GetIndexer().Replace(nil, ""); err != nil {
		t.Fatal(err)
	}
	i.report(class("gone"))
	i.report(class("gone"))
	if want := []string{want[0] + " false"}; !slices.Equal(told, want) {
		t.Errorf("told %q, not %q", told, want)
	}
}
