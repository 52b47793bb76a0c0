package kube

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/gateway-api/pkg/consts"

	"github.com/egctl/egctl/pkg/store"
)

// TestBundle has the first emission wait for the CRDs, so that no GatewayClass
// claims what they lack, and follow their release.
func TestBundle(t *testing.T) {
	f := newOffline(t, Scope{})
	crds := f.discovery.crds
	crds.tried = false
	crd := func(version string) *metav1.PartialObjectMetadata {
		m := &metav1.PartialObjectMetadata{}
		m.Name, m.Annotations = gatewayCRD, map[string]string{consts.BundleVersionAnnotation: version, consts.ChannelAnnotation: "standard"}
		return m
	}
	var seen []store.Bundle
	emit := f.emit
	f.emit = func(changes []store.Change) {
		emit(changes)
		for _, ch := range changes {
			if v, ok := ch.Object.(*store.Value[store.Bundle]); ok {
				seen = append(seen, v.V)
			}
		}
	}
	f.serve(v1)
	f.list(t, services)
	f.list(t, routes)
	f.want(t)
	if err := crds.Replace([]any{crd("v1.6.0")}, "1"); err != nil {
		t.Fatal(err)
	}
	f.reconcile(f.ctx)
	f.want(t, "+/gateway-api")
	if err := crds.Update(crd("v1.7.0")); err != nil {
		t.Fatal(err)
	}
	if err := crds.Delete(crd("v1.7.0")); err != nil {
		t.Fatal(err)
	}
	f.want(t, "+/gateway-api", "-/gateway-api")
	if want := []store.Bundle{{Version: "v1.6.0", Channel: "standard"}, {Version: "v1.7.0", Channel: "standard"}}; !slices.Equal(seen, want) {
		t.Errorf("saw %v, want %v", seen, want)
	}
}
