// Command loadbalancer gives the Services of type LoadBalancer their addresses.
// The node's kube-proxy answers at any address that stands in a Service's status,
// so that writing it there is all that a load balancer has to do on one node.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "`file` that says where the API server is")
	addresses := flag.String("range", "", "addresses to give away, as a `prefix` such as 10.0.0.0/24")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *kubeconfig, *addresses); err != nil {
		fmt.Fprintln(os.Stderr, "loadbalancer:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, kubeconfig, addresses string) error {
	prefix, err := netip.ParsePrefix(addresses)
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 200, 400
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	services := factory.Core().V1().Services()
	// One place is enough: a look at all Services follows every change.
	changed := make(chan struct{}, 1)
	wake := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	if _, err := services.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { wake() },
		UpdateFunc: func(any, any) { wake() },
		DeleteFunc: func(any) { wake() },
	}); err != nil {
		return err
	}
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	if !cache.WaitForCacheSync(ctx.Done(), services.Informer().HasSynced) {
		return nil
	}
	b := &balancer{client: client, services: services.Lister(), pool: pool{prefix: prefix}}
	retry := time.NewTimer(time.Hour)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-retry.C:
		}
		if err := b.sync(ctx); err != nil {
			slog.Error("not all Services have their address; trying again", "error", err)
			retry.Reset(500 * time.Millisecond)
		}
	}
}

type balancer struct {
	client   kubernetes.Interface
	services listers.ServiceLister
	pool     pool
}

// sync writes the statuses that are not as the pool would have them.
func (b *balancer) sync(ctx context.Context) error {
	services, err := b.services.List(labels.Everything())
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range b.pool.plan(services) {
		service := c.service.DeepCopy()
		service.Status.LoadBalancer = corev1.LoadBalancerStatus{}
		if c.address.IsValid() {
			service.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: c.address.String()}}
		}
		_, err := b.client.CoreV1().Services(service.Namespace).UpdateStatus(ctx, service, metav1.UpdateOptions{})
		switch {
		case err == nil:
			slog.Info("address written", "service", service.Namespace+"/"+service.Name, "address", c.address)
		case apierrors.IsNotFound(err), apierrors.IsConflict(err):
			// The informer is about to say so, which leads here again.
		default:
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
