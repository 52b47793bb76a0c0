package kube_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/controller/infra/kube/render"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

// TestKubeSharedAccount: a ServiceAccount that several fleets run as stays until the
// last of them is gone or uses another.
func TestKubeSharedAccount(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.replica(true)
	first, second, third := b.fleet("first", runAs("shared")), b.fleet("second", runAs("shared")), b.fleet("third", runAs("shared"))
	r.want(first)
	r.until("first", first, ready)
	made := b.accountOf(first.Key)
	for _, f := range []*translate.Fleet{second, third} {
		r.want(f)
		r.until(f.Key.Name, f, ready)
	}

	// The fleet that made it uses another, and goes.
	r.want(b.fleet("first", runAs("other")))
	if b.accountOf(second.Key, third.Key) != made {
		t.Error("it was deleted when the fleet that made it no longer used it")
	}
	r.Want(first.Key, nil)
	b.startsPod(second)
	b.startsPod(third)

	// So does the one to which it belongs now.
	gone, left := second, third
	if b.account().Labels[render.OwningGatewayNameLabel] == "third" {
		gone, left = third, second
	}
	r.Want(gone.Key, nil)
	if b.accountOf(left.Key) != made {
		t.Error("it was deleted with the fleet to which it belonged")
	}
	const one = "ServiceAccount/shared ConfigMap/% Secret/% Deployment/% Service/%"
	b.has(left, one)
	b.startsPod(left)

	b.deleteAccount()
	b.has(left, one)
	r.Want(left.Key, nil)
	b.has(left, "")
}

// TestKubeSharedAccountDeleted puts back a ServiceAccount for those that run as it,
// also where the fleet that made it does not.
func TestKubeSharedAccountDeleted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.replica(true)
	maker, user := b.fleet("maker", runAs("shared")), b.fleet("user", runAs("shared"))
	r.want(maker)
	r.until("maker", maker, ready)
	r.want(user)
	r.until("user", user, ready)
	frozen := b.fleet("maker", runAs("shared"))
	frozen.Frozen = "its EnvoyProxy is invalid"
	r.want(frozen)
	b.deleteAccount()
	b.accountOf(user.Key, maker.Key)
	b.startsPod(maker)
	b.startsPod(user)

	// Both of them use it, whoever of them goes.
	r.Want(user.Key, nil)
	b.until("that the user is gone", func() error {
		if _, err := b.client.AppsV1().Deployments(b.namespace).Get(t.Context(), b.render.FleetResource(user.Key), metav1.GetOptions{}); err == nil {
			return errors.New("it is not")
		}
		return nil
	})
	b.startsPod(maker)
	r.want(maker)
	b.accountOf(maker.Key)
	r.Want(maker.Key, nil)
	b.has(maker, "")
}

// TestKubeSharedAccountMoves changes the deployment mode of two fleets that run as one
// ServiceAccount: it stays until both have moved.
func TestKubeSharedAccountMoves(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	there := *b
	there.namespace = newBench(t).namespace // the controller's
	b.render.Namespace = there.namespace
	before := b.replica(true)
	moves, stays := b.fleet("moves", runAs("shared")), b.fleet("stays", runAs("shared"))
	before.want(moves)
	before.until("moves", moves, ready)
	before.want(stays)
	before.until("stays", stays, ready)
	before.end()

	b.render.GatewayNamespaceMode = true
	after := b.replica(true)
	after.want(b.fleet("stays", func(k *v1alpha1.EnvoyProxyKubernetesProvider) { k.EnvoyDeployment.Replicas = ptr.To[int32](0) }))
	moves = b.fleet("moves")
	after.want(moves)
	after.until("moves", moves, ready)
	after.Complete()
	b.until("what moved is gone", func() error {
		if got := there.names(); strings.Contains(got, "moves") {
			return errors.New(got)
		}
		return nil
	})
	there.startsPod(stays)

	stays = b.fleet("stays")
	after.want(stays)
	after.until("stays", stays, ready)
	there.has(stays, "")
}

func runAs(account string) func(*v1alpha1.EnvoyProxyKubernetesProvider) {
	return func(k *v1alpha1.EnvoyProxyKubernetesProvider) {
		k.EnvoyServiceAccount = &v1alpha1.KubernetesServiceAccountSpec{Name: &account}
	}
}

// account returns the ServiceAccount that fleets share.
func (b *bench) account() *corev1.ServiceAccount {
	b.t.Helper()
	s, err := b.client.CoreV1().ServiceAccounts(b.namespace).Get(b.t.Context(), "shared", metav1.GetOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// accountOf waits until it belongs to one of these fleets, and says which object it
// is.
func (b *bench) accountOf(fleets ...store.Key) types.UID {
	b.t.Helper()
	var uid types.UID
	b.until("whose the account is", func() error {
		s, err := b.client.CoreV1().ServiceAccounts(b.namespace).Get(b.t.Context(), "shared", metav1.GetOptions{})
		if err != nil {
			return err
		}
		uid = s.UID
		owner, ok := render.Owner(s.Labels)
		for _, k := range fleets {
			if ok && k == owner {
				return nil
			}
		}
		return fmt.Errorf("it belongs to %s", owner)
	})
	return uid
}

func (b *bench) deleteAccount() {
	b.t.Helper()
	if err := b.client.CoreV1().ServiceAccounts(b.namespace).Delete(b.t.Context(), "shared", metav1.DeleteOptions{}); err != nil {
		b.t.Fatal(err)
	}
}

// startsPod takes away a fleet's pod and waits for the next, which there cannot be
// without its ServiceAccount.
func (b *bench) startsPod(f *translate.Fleet) {
	b.t.Helper()
	pods, ctx := b.client.CoreV1().Pods(b.namespace), b.t.Context()
	list := metav1.ListOptions{LabelSelector: labels.SelectorFromSet(render.OwnerLabels(f.Key)).String()}
	before, err := pods.List(ctx, list)
	if err != nil {
		b.t.Fatal(err)
	}
	old := map[types.UID]bool{}
	for _, p := range before.Items {
		old[p.UID] = true
	}
	if err := pods.DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}, list); err != nil {
		b.t.Fatal(err)
	}
	b.until("another pod of "+f.Key.Name, func() error {
		now, err := pods.List(ctx, list)
		if err != nil {
			return err
		}
		for _, p := range now.Items {
			if !old[p.UID] && p.Spec.ServiceAccountName == "shared" {
				return nil
			}
		}
		return errors.New("there is none")
	})
}
