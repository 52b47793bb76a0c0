package kube_test

import (
	"errors"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/egctl/egctl/pkg/controller/infra/kube/render"
	"github.com/egctl/egctl/pkg/translate"
)

// TestKubeGatewayOfAnotherClass: a Gateway that another controller takes over keeps its
// proxies, whether they are the other's when ours go or only when a removal that
// failed is tried again.
func TestKubeGatewayOfAnotherClass(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.render.GatewayNamespaceMode, b.render.Namespace = true, "another"
	other := b.replica(true)
	log := &text{}
	limited := *b
	limited.log = log
	limited.render.Namespace = "elsewhere"
	limited.config = rest.CopyConfig(b.config)
	user := "egctl-test:taken-" + b.namespace
	limited.config.Impersonate.UserName = user
	b.permit("", user, "get", "list", "watch", "create", "patch") // not to delete
	ours := limited.replica(true)

	f := b.fleet("eg")
	ours.want(f)
	ours.until("ready", f, ready)
	ours.Want(f.Key, nil)
	b.until("that the removal fails", func() error {
		if !strings.Contains(log.String(), "fleet is not as wanted") {
			return errors.New("it does not")
		}
		return nil
	})
	taken := b.takenBy(other, f)
	b.permit(b.namespace, user, "*")
	b.until("that it is tried again", func() error {
		if !strings.Contains(log.String(), "left to another controller") {
			return errors.New("it is not")
		}
		return nil
	})
	b.same(taken, "when its removal was tried again")

	second := b.fleet("second")
	ours.want(second)
	ours.until("ready", second, ready)
	now := b.takenBy(other, second)
	ours.Want(second.Key, nil)
	b.until("that both are forgotten", func() error {
		if strings.Count(log.String(), "left to another controller") != 2 {
			return errors.New("they are not")
		}
		return nil
	})
	b.same(now, "with the Gateway's class")
	other.Want(second.Key, nil)
	b.has(f, "ServiceAccount/eg ConfigMap/eg Deployment/eg Service/eg")
	b.same(taken, "with another Gateway")
	other.Want(f.Key, nil)
	b.has(f, "")
}

// taken is what another controller runs for a fleet.
type taken struct {
	name string
	uids map[string]types.UID
}

// takenBy has another controller run a fleet, and waits until it does.
func (b *bench) takenBy(other *replica, f *translate.Fleet) taken {
	b.t.Helper()
	other.want(f)
	b.until("the other's proxies", func() error {
		d, err := b.client.AppsV1().Deployments(b.namespace).Get(b.t.Context(), f.Key.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, v := range d.Spec.Template.Spec.Volumes {
			if v.Name == render.TokenVolume && v.Projected.Sources[0].ServiceAccountToken.Audience == other.b.render.Audience() {
				return nil
			}
		}
		return errors.New("they are not there")
	})
	other.until("ready", f, ready)
	return taken{f.Key.Name, b.uids(f.Key.Name)}
}

// same fails the test if an object of a fleet was deleted, even if it is back.
func (b *bench) same(t taken, when string) {
	b.t.Helper()
	for kind, uid := range b.uids(t.name) {
		if uid != t.uids[kind] {
			b.t.Errorf("%s %s was deleted %s", kind, t.name, when)
		}
	}
}

func (b *bench) uids(name string) map[string]types.UID {
	b.t.Helper()
	ctx, get := b.t.Context(), metav1.GetOptions{}
	account, err := b.client.CoreV1().ServiceAccounts(b.namespace).Get(ctx, name, get)
	files, err2 := b.client.CoreV1().ConfigMaps(b.namespace).Get(ctx, name, get)
	deployment, err3 := b.client.AppsV1().Deployments(b.namespace).Get(ctx, name, get)
	service, err4 := b.client.CoreV1().Services(b.namespace).Get(ctx, name, get)
	if err := errors.Join(err, err2, err3, err4); err != nil {
		b.t.Fatal(err)
	}
	return map[string]types.UID{"ServiceAccount": account.UID, "ConfigMap": files.UID, "Deployment": deployment.UID, "Service": service.UID}
}
