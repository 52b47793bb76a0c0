package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/controller/infra/kube/render"
	source "github.com/egctl/egctl/pkg/controller/source/kube"
	ads "github.com/egctl/egctl/pkg/controller/xds"
	"github.com/egctl/egctl/pkg/envoy"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
	"github.com/egctl/egctl/pkg/wellknown"
)

// ReadyPort is where proxies tell the kubelet that they have their configuration.
const ReadyPort = wellknown.ProxyReadyPort

// Limits of requests to the API server a second, and at once, unless the
// configuration says otherwise.
const (
	defaultQPS   = 50
	defaultBurst = 100
)

// provider returns the settings of the provider, never nil.
func provider(c *v1alpha1.EnvoyGateway) *v1alpha1.EnvoyGatewayKubernetesProvider {
	if c.Provider == nil || c.Provider.Kubernetes == nil {
		return &v1alpha1.EnvoyGatewayKubernetesProvider{}
	}
	return c.Provider.Kubernetes
}

// gatewayNamespaceMode says whether proxies run beside their Gateways.
func gatewayNamespaceMode(c *v1alpha1.EnvoyGateway) bool {
	d := provider(c).Deploy
	return d != nil && ptr.Deref(d.Type, "") == v1alpha1.KubernetesDeployModeTypeGatewayNamespace
}

// settings are those of the translator.
func settings(c *v1alpha1.EnvoyGateway) translate.Settings {
	s := translate.DefaultSettings()
	if c.Gateway != nil && c.Gateway.ControllerName != "" {
		s.ControllerName = c.Gateway.ControllerName
	}
	s.DefaultProxy = c.EnvoyProxy
	s.GatewayNamespaceMode = gatewayNamespaceMode(c)
	s.ReadyPort = ReadyPort
	return s
}

// scope says which namespaces are watched.
func scope(c *v1alpha1.EnvoyGateway) (source.Scope, error) {
	w := provider(c).Watch
	switch {
	case w == nil:
		return source.Scope{}, nil
	case w.Type == v1alpha1.KubernetesWatchModeTypeNamespaces:
		return source.Scope{Namespaces: w.Namespaces}, nil
	case w.NamespaceSelector != nil:
		selector, err := metav1.LabelSelectorAsSelector(w.NamespaceSelector)
		if err != nil {
			return source.Scope{}, fmt.Errorf("provider.kubernetes.watch.namespaceSelector: %w", err)
		}
		return source.Scope{Selector: selector}, nil
	default:
		return source.Scope{}, nil
	}
}

// limited is the client with the limits of the configuration.
func limited(config *rest.Config, c *v1alpha1.EnvoyGateway) *rest.Config {
	out := rest.CopyConfig(config)
	out.QPS, out.Burst = defaultQPS, defaultBurst
	if k := provider(c).Client; k != nil && k.RateLimit != nil {
		out.QPS = float32(ptr.Deref(k.RateLimit.QPS, defaultQPS))
		out.Burst = int(ptr.Deref(k.RateLimit.Burst, defaultBurst))
	}
	return out
}

// elect configures an election.
func elect(e *election, c *v1alpha1.EnvoyGateway) {
	e.Lease, e.Renew, e.Retry = 15*time.Second, 10*time.Second, 2*time.Second
	if l := provider(c).LeaderElection; l != nil {
		e.Lease = duration(l.LeaseDuration, e.Lease)
		e.Renew = duration(l.RenewDeadline, e.Renew)
		e.Retry = duration(l.RetryPeriod, e.Retry)
	}
}

// serverOptions are those of the ADS server.
func serverOptions(c *v1alpha1.EnvoyGateway) []grpc.ServerOption {
	var l ads.Limits
	if x := c.XDSServer; x != nil {
		l.MaxConnectionAge, l.MaxConnectionAgeGrace = duration(x.MaxConnectionAge, 0), duration(x.MaxConnectionAgeGrace, 0)
		if x.MaxReceiveMessageSize != nil {
			l.MaxReceive = int(x.MaxReceiveMessageSize.Value())
		}
	}
	return l.ServerOptions()
}

// duration reads a duration that has been validated.
func duration(d *gateway.Duration, otherwise time.Duration) time.Duration {
	if d == nil {
		return otherwise
	}
	v, err := time.ParseDuration(string(*d))
	if err != nil {
		return otherwise
	}
	return v
}

// bootstrap is what the proxies of a fleet start with.
func bootstrap(o Options, c *v1alpha1.EnvoyGateway, f *translate.Fleet) (string, error) {
	return envoy.FleetBootstrap(envoy.FleetBootstrapOptions{
		Fleet: translate.FleetName(f.Key), ControllerNamespace: o.Namespace, ClusterDomain: o.ClusterDomain,
		Token: gatewayNamespaceMode(c), Parameters: f.Parameters, ParametersNamespace: cmp.Or(f.ParametersNamespace, o.Namespace),
		MemoryLimit: memoryLimit(f.Parameters),
	})
}

// memoryLimit is that of the container envoy, in bytes; 0: it has none.
func memoryLimit(p *v1alpha1.EnvoyProxySpec) int64 {
	if p == nil || p.Provider == nil || p.Provider.Kubernetes == nil {
		return 0
	}
	var container *v1alpha1.KubernetesContainerSpec
	switch k := p.Provider.Kubernetes; {
	case k.EnvoyDeployment != nil:
		container = k.EnvoyDeployment.Container
	case k.EnvoyDaemonSet != nil:
		container = k.EnvoyDaemonSet.Container
	}
	if container == nil || container.Resources == nil {
		return 0
	}
	return container.Resources.Limits.Memory().Value()
}

// checkProxy returns a function that says why no proxies can be run with a spec,
// whatever their Gateway. It renders them for one that is made up.
func checkProxy(c render.Config) func(*v1alpha1.EnvoyProxySpec) error {
	c.CABundle = nil // it changes, and is no matter of the spec
	namespace := c.Namespace
	if c.GatewayNamespaceMode {
		namespace = "any" // what may not be used in the controller's may well be elsewhere
	}
	fleet := translate.Fleet{Key: store.ID{Kind: store.Gateway, Namespace: namespace, Name: "any"}.Key()}
	return func(s *v1alpha1.EnvoyProxySpec) error {
		f := fleet
		f.Parameters = s
		if _, err := c.Bootstrap(&f); err != nil {
			// Without the name of the fleet.
			return cmp.Or(errors.Unwrap(err), err)
		}
		if _, err := c.Objects(&f); err != nil {
			n := c.Names(&f)
			return errors.New(strings.ReplaceAll(err.Error(), " "+n.Namespace+"/"+n.Resource, ""))
		}
		return nil
	}
}
