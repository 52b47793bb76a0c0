package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/controller"
	"github.com/egctl/egctl/pkg/controller/identity"
	infra "github.com/egctl/egctl/pkg/controller/infra/kube"
	"github.com/egctl/egctl/pkg/controller/infra/kube/render"
	"github.com/egctl/egctl/pkg/controller/metrics"
	"github.com/egctl/egctl/pkg/controller/pki"
	source "github.com/egctl/egctl/pkg/controller/source/kube"
	"github.com/egctl/egctl/pkg/controller/status"
	ads "github.com/egctl/egctl/pkg/controller/xds"
	"github.com/egctl/egctl/pkg/inspect/sync"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
	"github.com/egctl/egctl/pkg/wellknown"
)

// parts are what a controller in a cluster is made of.
type parts struct {
	o       Options
	config  *v1alpha1.EnvoyGateway
	metrics *metrics.Metrics
	// client is for all but elections and reviews, which have rates of their own:
	// whoever reaches the port for proxies can have tokens reviewed, and that must not
	// keep the leader from renewing its Lease.
	client, elections, reviews kubernetes.Interface

	source  *source.Source
	pki     *pki.Manager
	server  *ads.Server
	infra   *infra.Infrastructure
	writer  *status.Writer
	control *controller.Controller
}

// run works with one configuration until ctx ends.
func run(ctx context.Context, o Options, c *v1alpha1.EnvoyGateway, m *metrics.Metrics) error {
	p := &parts{o: o, config: c, metrics: m}
	if err := p.assemble(); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.control.Run(ctx) })
	group.Go(func() error { return p.infra.Run(ctx) })
	group.Go(func() error { return p.pki.Watch(ctx) })
	group.Go(func() error { p.pki.Provide(ctx); return nil })
	group.Go(func() error { return p.serveProxies(ctx) })
	group.Go(func() error { return p.lead(ctx) })
	group.Go(func() error { return listenAndServe(ctx, "probes", ":"+strconv.Itoa(ProbePort), probes(p.ready)) })
	group.Go(func() error { return p.serveAdmin(ctx) })
	if t := c.Telemetry; t == nil || t.Metrics == nil || t.Metrics.Prometheus == nil || !t.Metrics.Prometheus.Disable {
		group.Go(func() error { return listenAndServe(ctx, "metrics", ":"+strconv.Itoa(MetricsPort), scrape(m.Registry)) })
	}
	return group.Wait()
}

// assemble makes all parts and connects them.
func (p *parts) assemble() (err error) {
	log := p.o.Log.For
	tokens := gatewayNamespaceMode(p.config)
	config := limited(p.o.Config, p.config)
	for _, client := range []*kubernetes.Interface{&p.client, &p.elections, &p.reviews} {
		if *client, err = kubernetes.NewForConfig(config); err != nil {
			return fmt.Errorf("client of the API server: %w", err)
		}
	}
	if p.pki, err = pki.New(pki.Options{
		Client: p.client, Namespace: p.o.Namespace, ClusterDomain: p.o.ClusterDomain, ServerOnly: tokens,
		BundleChanged: func([]byte) { p.infra.Refresh() },
		Logger:        log(v1alpha1.LogComponentInfrastructure),
	}); err != nil {
		return err
	}
	scope, err := scope(p.config)
	if err != nil {
		return err
	}
	s := settings(p.config)
	renders := render.Config{
		Namespace: p.o.Namespace, ClusterDomain: p.o.ClusterDomain, GatewayNamespaceMode: tokens,
		ProxyImage: ProxyImage, ShutdownManagerImage: p.shutdownImage(), Command: []string{"egctl"},
		Bootstrap: func(f *translate.Fleet) (string, error) { return bootstrap(p.o, p.config, f) },
		CABundle:  p.pki.CABundle,
	}
	s.CheckProxy = checkProxy(renders)
	certificates := infra.Certificates(p.pki)
	if tokens {
		certificates = nil
	}
	if p.infra, err = infra.New(infra.Options{
		Client: config, Render: renders, Namespaces: scope.Namespaces, Certificates: certificates,
		Submit:  func(changes ...store.Change) { p.control.Submit(changes...) },
		Current: p.current,
		Observe: func(w infra.Write) {
			note := p.metrics.Applied
			if w.Delete {
				note = p.metrics.Deleted
			}
			note(w.Kind, w.Namespace, w.Name, w.Took, w.Err)
		},
		Logger: log(v1alpha1.LogComponentInfrastructure),
	}); err != nil {
		return err
	}
	identify := identity.Certificates(p.o.ClusterDomain)
	if tokens {
		identify = identity.Tokens(identity.TokenOptions{
			Reviews: p.reviews.AuthenticationV1().TokenReviews(), Audience: identity.Audience(p.o.Namespace, p.o.ClusterDomain),
			Fleet: p.infra.ServiceAccountFleet,
		})
	}
	p.server = ads.NewServer(ads.Options{Identify: identify, DrainTime: s.DrainTimeout, Logger: log(v1alpha1.LogComponentXDSServer)})
	p.server.Observe(p.metrics)
	if p.source, err = source.New(source.Options{
		Config: p.o.Config, Scope: scope,
		Observe: func(changes []store.Change) { p.writer.Observe(changes) },
		OnEvent: func(kind store.Kind, _ source.Event) { p.metrics.Event(kind) },
		Logger:  log(v1alpha1.LogComponentProvider),
	}); err != nil {
		return err
	}
	if p.writer, err = status.NewWriter(status.Options{
		Config: config, ControllerName: s.ControllerName, Resource: p.source.Resource,
		OnWrite: p.metrics.StatusWritten, Logger: log(v1alpha1.LogComponentProvider),
	}); err != nil {
		return err
	}
	p.control = controller.New(controller.Options{
		Settings: s, Sources: []controller.Source{p.source, p.infra.Running()}, Server: p.server, Infrastructure: p.infra, Reporter: p.writer,
		Updated: p.metrics.Updated, Logger: log(v1alpha1.LogComponentGatewayAPI),
	})
	return nil
}

// shutdownImage is the image that holds this program.
func (p *parts) shutdownImage() string {
	if m := provider(p.config).ShutdownManager; m != nil && ptr.Deref(m.Image, "") != "" {
		return *m.Image
	}
	return p.o.Image
}

// serveProxies serves ADS once everything is known, so that no proxy waits for an
// answer here that another replica could give.
func (p *parts) serveProxies(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-p.control.Ready():
	}
	if unlisted := p.source.Unlisted(); len(unlisted) == 0 {
		p.infra.Complete()
	} else {
		p.o.Log.For(v1alpha1.LogComponentInfrastructure).Warn("it is not known which Gateways there are: what is left of those that are gone is not removed before the next start",
			"missing", strings.Join(unlisted, ", "))
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", ":"+strconv.Itoa(XDSPort))
	if err != nil {
		return fmt.Errorf("listen for proxies: %w", err)
	}
	if p.o.Ready != nil {
		p.o.Ready()
	}
	options := append(serverOptions(p.config), grpc.Creds(credentials.NewTLS(p.pki.ServerTLS())))
	return p.server.Serve(ctx, listener, options...)
}

// lead writes statuses and infrastructure while this replica is the leader.
func (p *parts) lead(ctx context.Context) error {
	lead := func(ctx context.Context) error {
		if err := p.adopt(ctx); err != nil {
			return err
		}
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() error { return p.pki.Lead(ctx) })
		group.Go(func() error { return p.leadInfrastructure(ctx) })
		group.Go(func() error {
			p.look(ctx)
			return p.writer.Lead(ctx)
		})
		return group.Wait()
	}
	e := &election{
		Client: p.elections, Namespace: p.o.Namespace, Identity: p.o.Pod, Leading: p.metrics.Leading,
		Logger: p.o.Log.For(v1alpha1.LogComponentProvider),
	}
	elect(e, p.config)
	if l := provider(p.config).LeaderElection; l != nil && ptr.Deref(l.Disable, false) {
		e.always(ctx, lead)
		return nil
	}
	return e.run(ctx, lead)
}

// lookWithin is how long a new leader waits to know how proxies are before it writes
// statuses. Where they cannot be watched, statuses are worth more than waiting.
const lookWithin = 30 * time.Second

// look waits until statuses say how proxies are: of Gateways that are programmed
// nobody is to hear that they are not, because this replica has not looked yet.
func (p *parts) look(term context.Context) {
	select {
	case <-term.Done():
		return
	case <-p.control.Ready():
	}
	ctx, cancel := context.WithTimeoutCause(term, lookWithin, fmt.Errorf("not within %s", lookWithin))
	defer cancel()
	err := p.infra.Known(ctx)
	if err == nil {
		err = p.control.Flush(ctx)
	}
	if err != nil && term.Err() == nil {
		p.o.Log.For(v1alpha1.LogComponentProvider).Warn("writing statuses though it is not known how all proxies are", "error", err)
	}
}

// current returns when everything that exists now has been translated.
func (p *parts) current(ctx context.Context) error {
	if err := p.source.CaughtUp(ctx); err != nil {
		return err
	}
	return p.control.Flush(ctx)
}

// leadInfrastructure waits until the CA is known which proxies with tokens are told
// to trust: that there is none would be written over the one that they know.
func (p *parts) leadInfrastructure(ctx context.Context) error {
	if gatewayNamespaceMode(p.config) && p.pki.Ready(ctx) != nil {
		return nil //nolint:nilerr // the term has ended: there is nothing else to wait for
	}
	return p.infra.Lead(ctx)
}

// adopt has what the controller makes for itself, its Secrets and its Lease, go with
// its Deployment: who uninstalls that is to find nothing left. A controller without
// a Deployment owns nothing.
func (p *parts) adopt(ctx context.Context) error {
	d, err := p.client.AppsV1().Deployments(p.o.Namespace).Get(ctx, wellknown.Deployment, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for the controller's own Deployment: %w", err)
	}
	owner := metav1.OwnerReference{APIVersion: "apps/v1", Kind: "Deployment", Name: d.Name, UID: d.UID}
	p.pki.OwnedBy([]metav1.OwnerReference{owner})
	if l := provider(p.config).LeaderElection; l != nil && ptr.Deref(l.Disable, false) {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"ownerReferences": []metav1.OwnerReference{owner}}})
	if err != nil {
		return err
	}
	_, err = p.client.CoordinationV1().Leases(p.o.Namespace).Patch(ctx, LeaseName, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: wellknown.FieldManager})
	if err != nil {
		return fmt.Errorf("have the Lease go with the Deployment: %w", err)
	}
	return nil
}

// ready waits until this replica can serve proxies, or says why it cannot yet.
func (p *parts) ready(ctx context.Context) error {
	select {
	case <-p.control.Ready():
	case <-ctx.Done():
		return errors.New("waiting for " + strings.Join(p.source.Waiting(), ", "))
	}
	if err := p.pki.Ready(ctx); err != nil {
		return errors.New("waiting for a certificate")
	}
	return nil
}

func (p *parts) serveAdmin(ctx context.Context) error {
	host, port, profiles := "127.0.0.1", AdminPort, false
	if a := p.config.Admin; a != nil {
		profiles = a.EnablePprof
		if a.Address != nil && a.Address.Host != "" {
			host = a.Address.Host
		}
		if a.Address != nil && a.Address.Port != 0 {
			port = a.Address.Port
		}
	}
	say := p.o.Log.For(v1alpha1.LogComponentDefault)
	// Profiles show the memory of a process that holds private keys.
	if profiles && !loopback(host) {
		say.Warn("admin.enablePprof has no effect: profiles are served on a loopback address only; set admin.address.host to 127.0.0.1", "host", host)
		profiles = false
	}
	return listenAndServe(ctx, "the admin interface", net.JoinHostPort(host, strconv.Itoa(port)), admin(p.proxies, profiles, say))
}

// loopback says whether only this machine, or this pod, can reach a host.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (p *parts) proxies() any {
	list := []sync.Proxy{}
	for _, fleet := range p.server.Gateways() {
		for _, s := range p.server.Synced(fleet) {
			proxy := sync.Proxy{Fleet: fleet, Node: s.NodeID, Synced: s.Settled()}
			for _, t := range s.Types {
				proxy.Refused = append(proxy.Refused, t.Refused...)
			}
			slices.Sort(proxy.Refused)
			list = append(list, proxy)
		}
	}
	return list
}
