package cli

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	typedgateway "sigs.k8s.io/gateway-api/pkg/client/clientset/versioned/typed/apis/v1"

	"github.com/egctl/egctl/pkg/inspect/proxies"
	"github.com/egctl/egctl/pkg/inspect/status"
	"github.com/egctl/egctl/pkg/portforward"
)

// A shell waits for completions: an answer that takes longer is none.
const completionTimeout = 2 * time.Second

// completeFlags completes the flags that name something in the kubeconfig or the
// cluster.
func (o *kubeOptions) completeFlags(cmd *cobra.Command) {
	// It fails for a flag that does not exist only, which the tests would see.
	register := func(flag string, values func(context.Context) []string) {
		_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			return values(cmd.Context()), cobra.ShellCompDirectiveNoFileComp
		})
	}
	register("namespace", func(ctx context.Context) []string {
		return o.objectNames(ctx, status.Resource{Version: "v1", Plural: "namespaces"})
	})
	raw := o.Kube.ToRawKubeConfigLoader
	register("context", func(context.Context) []string {
		config, err := raw().RawConfig()
		if err != nil {
			return nil
		}
		return sortedKeys(config.Contexts)
	})
	register("cluster", func(context.Context) []string {
		config, err := raw().RawConfig()
		if err != nil {
			return nil
		}
		return sortedKeys(config.Clusters)
	})
	register("user", func(context.Context) []string {
		config, err := raw().RawConfig()
		if err != nil {
			return nil
		}
		return sortedKeys(config.AuthInfos)
	})
}

func sortedKeys[V any](m map[string]V) []string {
	list := make([]string, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

// objectNames are those of the objects of a resource in the namespace that is chosen so
// far; none if the cluster does not say in time.
func (o *kubeOptions) objectNames(ctx context.Context, r status.Resource) []string {
	config, err := o.config()
	if err != nil {
		return nil
	}
	client, err := status.NewClient(config)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(orBackground(ctx), completionTimeout)
	defer cancel()
	if r.Version == "" { // which the cluster has, it says itself
		served, err := client.Resources(ctx)
		if err != nil {
			return nil
		}
		found, _ := status.Select(served, r.Name())
		if len(found) == 0 {
			return nil
		}
		r = found[0]
	}
	q := status.Query{}
	if q.Namespace, err = o.namespace(); err != nil {
		return nil
	}
	objects, _, err := client.List(ctx, r, q)
	if err != nil {
		return nil
	}
	var names []string
	for _, ob := range objects {
		names = append(names, ob.Metadata.Name)
	}
	slices.Sort(names)
	return names
}

func orBackground(ctx context.Context) context.Context {
	if ctx == nil {
		return context.Background()
	}
	return ctx
}

// completeTarget completes TYPE/NAME.
func (o *portForwardOptions) completeTarget(ctx context.Context, typed string) ([]string, cobra.ShellCompDirective) {
	kind, _, named := strings.Cut(typed, "/")
	if !named {
		var list []string
		for _, names := range portforward.Kinds() {
			list = append(list, names[0]+"/")
		}
		return list, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	target, err := portforward.ParseTarget(kind + "/x")
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	resource := status.Resource{Version: "v1", Plural: target.Kind + "s", Namespaced: true}
	switch target.Kind {
	case "gateway":
		resource = status.Resource{Kind: "Gateway"}
	case "deployment", "daemonset", "statefulset", "replicaset":
		resource.Group = "apps"
	}
	names := o.objectNames(ctx, resource)
	for i := range names {
		names[i] = kind + "/" + names[i]
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// ports are what a target has to offer.
func (o *portForwardOptions) ports(ctx context.Context, target portforward.Target) []string {
	config, err := o.config()
	if err != nil {
		return nil
	}
	namespace, err := o.namespace()
	if err != nil {
		return nil
	}
	client, err := typedcore.NewForConfig(config)
	if err != nil {
		return nil
	}
	gateways, err := typedgateway.NewForConfig(config)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(orBackground(ctx), completionTimeout)
	defer cancel()
	var list []string
	switch target.Kind {
	case "gateway":
		fleet, err := proxies.Client{Core: client, Gateways: gateways, ControllerNamespace: o.ControllerNamespace}.Find(ctx, namespace, target.Name)
		if err != nil {
			return nil
		}
		list = append(servicePorts(fleet.Service), "admin", "metrics", "ready")
	case "service":
		s, err := client.Services(namespace).Get(ctx, target.Name, metav1.GetOptions{})
		if err != nil {
			return nil
		}
		list = servicePorts(s)
	case "pod":
		p, err := client.Pods(namespace).Get(ctx, target.Name, metav1.GetOptions{})
		if err != nil {
			return nil
		}
		for _, c := range p.Spec.Containers {
			for _, port := range c.Ports {
				list = append(list, cobra.CompletionWithDesc(strconv.Itoa(int(port.ContainerPort)), port.Name))
			}
		}
	}
	return list
}

func servicePorts(s *core.Service) []string {
	var list []string
	for _, p := range s.Spec.Ports {
		if p.Protocol != core.ProtocolUDP {
			list = append(list, cobra.CompletionWithDesc(strconv.Itoa(int(p.Port)), p.Name))
		}
	}
	return list
}
