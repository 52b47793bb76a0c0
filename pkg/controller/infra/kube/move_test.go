package kube

import (
	"context"
	"errors"
	"fmt"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/egctl/egctl/pkg/controller/infra/kube/render"
	"github.com/egctl/egctl/pkg/store"
)

// TestMovedOwner tells what is left of the other deployment mode from all else.
func TestMovedOwner(t *testing.T) {
	t.Parallel()
	const owner = "labels: {gateway.envoyproxy.io/owning-gateway-name: eg, gateway.envoyproxy.io/owning-gateway-namespace: shop}"
	mark := render.MarkName(store.ID{Kind: store.Gateway, Namespace: "shop", Name: "eg"}.Key())
	for _, c := range []struct {
		name, metadata string
		beside, moved  bool
	}{
		{name: "a node", metadata: "name: node"},
		{name: "beside the controller", metadata: "namespace: system, name: a, " + owner},
		{name: "beside the controller, from the other mode", metadata: "namespace: system, name: a, " + owner, beside: true, moved: true},
		{name: "beside the Gateway", metadata: "namespace: shop, name: eg, " + owner, beside: true},
		{name: "beside the Gateway, from the other mode", metadata: "namespace: shop, name: eg, " + owner, moved: true},
		{name: "a mark", metadata: "namespace: shop, name: " + mark + ", " + owner},
		{name: "elsewhere", metadata: "namespace: blog, name: eg, " + owner},
		{name: "of a class", metadata: "namespace: system, name: a, labels: {gateway.envoyproxy.io/owning-gatewayclass: eg}", beside: true},
		{name: "of a Gateway in the controller's namespace", metadata: "namespace: system, name: a, labels: {gateway.envoyproxy.io/owning-gateway-name: eg, gateway.envoyproxy.io/owning-gateway-namespace: system}", beside: true},
	} {
		i := unconnected(t, render.Config{GatewayNamespaceMode: c.beside})
		if _, moved := i.watches.movedOwner(object(t, "{kind: X, metadata: {"+c.metadata+"}}")); moved != c.moved {
			t.Errorf("%s: %v", c.name, moved)
		}
	}
}

// TestOnlyForbidden: what else went wrong is not taken for a missing permission,
// wherever it stands.
func TestOnlyForbidden(t *testing.T) {
	t.Parallel()
	forbidden := fmt.Errorf("delete ServiceAccount a/b: %w", apierrors.NewForbidden(schema.GroupResource{Resource: "serviceaccounts"}, "b", nil))
	busy := fmt.Errorf("delete ServiceAccount a/c: %w", apierrors.NewTooManyRequests("busy", 1))
	for _, c := range []struct {
		name string
		err  error
		want bool
	}{
		{"nothing", nil, false},
		{"one", forbidden, true},
		{"another", busy, false},
		{"two of a kind", errors.Join(forbidden, nil, forbidden), true},
		{"another after it", errors.Join(forbidden, busy), false},
		{"another before it", errors.Join(busy, forbidden), false},
		{"none of the API server's", errors.Join(context.DeadlineExceeded, forbidden), false},
		{"deep inside", fmt.Errorf("remove: %w", errors.Join(forbidden, fmt.Errorf("more: %w", errors.Join(forbidden, busy)))), false},
		{"deep inside, of a kind", fmt.Errorf("remove: %w", errors.Join(forbidden, fmt.Errorf("more: %w", errors.Join(forbidden)))), true},
	} {
		if got := onlyForbidden(c.err); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
