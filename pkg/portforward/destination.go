package portforward

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	typedapps "k8s.io/client-go/kubernetes/typed/apps/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/inspect/proxies"
	"github.com/egctl/egctl/pkg/wellknown"
)

// Ports that every proxy has beside those of its listeners.
const (
	AdminPort    = wellknown.ProxyAdminPort
	MetricsPort  = wellknown.ProxyMetricsPort
	ShutdownPort = wellknown.ProxyShutdownPort
	ReadyPort    = wellknown.ProxyReadyPort
)

func proxyPorts() map[string]uint16 {
	return map[string]uint16{"admin": AdminPort, "metrics": MetricsPort, "shutdown": ShutdownPort, "ready": ReadyPort}
}

// destination is what a target stands for: pods, and what their ports are called.
type destination struct {
	namespace string
	// pods selects them.
	pods metav1.ListOptions
	// service maps ports to those of containers; nil: they are the containers'.
	service *core.Service
	// gateway is the one whose proxies these are, if they are proxies.
	gateway *gateway.Gateway
	// single says that the target names one pod, which need not be ready.
	single bool
}

// resolve finds out what a target stands for, now.
func (f *forwarder) resolve(ctx context.Context) (*destination, error) {
	ns, name := f.Namespace, f.Target.Name
	d := &destination{namespace: ns}
	apps, err := typedapps.NewForConfig(f.Config)
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	var selector *metav1.LabelSelector
	switch f.Target.Kind {
	case "pod":
		if _, err := f.core.Pods(ns).Get(ctx, name, metav1.GetOptions{}); err != nil {
			return nil, f.Target.explain(fmt.Errorf("read pod %s/%s: %w", ns, name, err))
		}
		d.single = true
		d.pods.FieldSelector = fields.OneTermEqualSelector("metadata.name", name).String()
		return d, nil
	case "gateway":
		fleet, err := f.proxies.Find(ctx, ns, name)
		if err != nil {
			return nil, err
		}
		d.namespace, d.service, d.gateway = fleet.Namespace, fleet.Service, fleet.Gateway
		d.pods.LabelSelector = fleet.Selector.String()
		return d, nil
	case "service":
		s, err := f.core.Services(ns).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("read service %s/%s: %w", ns, name, err)
		}
		if len(s.Spec.Selector) == 0 {
			return nil, fmt.Errorf("service %s/%s selects no pods: its endpoints come from elsewhere", ns, name)
		}
		d.service = s
		d.pods.LabelSelector = labels.SelectorFromSet(s.Spec.Selector).String()
		return d, nil
	case "deployment":
		o, err := apps.Deployments(ns).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("read deployment %s/%s: %w", ns, name, err)
		}
		selector = o.Spec.Selector
	case "daemonset":
		o, err := apps.DaemonSets(ns).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("read daemonset %s/%s: %w", ns, name, err)
		}
		selector = o.Spec.Selector
	case "statefulset":
		o, err := apps.StatefulSets(ns).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("read statefulset %s/%s: %w", ns, name, err)
		}
		selector = o.Spec.Selector
	case "replicaset":
		o, err := apps.ReplicaSets(ns).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("read replicaset %s/%s: %w", ns, name, err)
		}
		selector = o.Spec.Selector
	default:
		return nil, fmt.Errorf("there is no way to %s", f.Target)
	}
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil, fmt.Errorf("selector of %s in namespace %s: %w", f.Target, ns, err)
	}
	d.pods.LabelSelector = s.String()
	return d, nil
}

// remotePort is a port of the target: its number there, and in the container.
type remotePort struct{ number, container uint16 }

// port finds the port of that number or name, for a pod.
func (d *destination) port(remote string, pod *core.Pod) (remotePort, error) {
	number, err := strconv.ParseUint(remote, 10, 16)
	numeric := err == nil
	if d.service == nil {
		if numeric {
			return remotePort{uint16(number), uint16(number)}, nil
		}
		n, ok := containerPort(pod, remote)
		if !ok {
			return remotePort{}, fmt.Errorf("pod %s/%s has no port named %q", pod.Namespace, pod.Name, remote)
		}
		return remotePort{n, n}, nil
	}
	udp := false
	for i := range d.service.Spec.Ports {
		p := &d.service.Spec.Ports[i]
		if numeric && p.Port != int32(number) || !numeric && p.Name != remote && p.Port != d.listenerPort(remote) {
			continue
		}
		if p.Protocol == core.ProtocolUDP {
			udp = true
			continue
		}
		return d.servicePort(p, pod)
	}
	if d.gateway != nil {
		if n, ok := proxyPorts()[remote]; ok {
			return remotePort{n, n}, nil
		}
		for _, n := range proxyPorts() {
			if numeric && n == uint16(number) {
				return remotePort{n, n}, nil
			}
		}
	}
	if udp {
		return remotePort{}, fmt.Errorf("port %s of %s is UDP, which a port-forward does not carry", remote, d)
	}
	return remotePort{}, fmt.Errorf("%s has no port %s; it has %s", d, remote, d.offers())
}

// listenerPort is the port of the Gateway's listener of that name; -1 if there is
// none.
func (d *destination) listenerPort(name string) int32 {
	if d.gateway != nil {
		for i := range d.gateway.Spec.Listeners {
			if l := &d.gateway.Spec.Listeners[i]; string(l.Name) == name {
				return l.Port
			}
		}
	}
	return -1
}

func (d *destination) servicePort(p *core.ServicePort, pod *core.Pod) (remotePort, error) {
	found := remotePort{number: uint16(p.Port), container: uint16(p.Port)}
	switch {
	case d.service.Spec.ClusterIP == core.ClusterIPNone: // a headless Service maps no ports
	case p.TargetPort.Type == intstr.String:
		n, ok := containerPort(pod, p.TargetPort.StrVal)
		if !ok {
			return found, fmt.Errorf("port %d of %s goes to the port named %q, which pod %s/%s has not",
				p.Port, d, p.TargetPort.StrVal, pod.Namespace, pod.Name)
		}
		found.container = n
	case p.TargetPort.IntVal != 0:
		found.container = uint16(p.TargetPort.IntVal)
	}
	return found, nil
}

func (d *destination) String() string {
	switch {
	case d.gateway != nil:
		return "gateway " + d.gateway.Namespace + "/" + d.gateway.Name
	case d.service != nil:
		return "service " + d.service.Namespace + "/" + d.service.Name
	default:
		return "the target in namespace " + d.namespace
	}
}

// offers lists the ports of the Service.
func (d *destination) offers() string {
	var list []string
	for i := range d.service.Spec.Ports {
		p := &d.service.Spec.Ports[i]
		s := strconv.Itoa(int(p.Port))
		if p.Name != "" {
			s += " (" + p.Name + ")"
		}
		if p.Protocol == core.ProtocolUDP {
			s += " (UDP)"
		}
		list = append(list, s)
	}
	if d.gateway != nil {
		list = append(list, "admin", "metrics", "ready", "shutdown")
	}
	return strings.Join(list, ", ")
}

func containerPort(pod *core.Pod, name string) (uint16, bool) {
	// An init container that keeps running (a sidecar) can have ports, too.
	for _, c := range slices.Concat(pod.Spec.Containers, pod.Spec.InitContainers) {
		for _, p := range c.Ports {
			if p.Name == name && p.Protocol != core.ProtocolUDP {
				return uint16(p.ContainerPort), true
			}
		}
	}
	return 0, false
}

// usable says whether a pod will do.
func (d *destination) usable(pod *core.Pod, lenient bool) bool {
	if d.single || lenient {
		return proxies.Running(pod)
	}
	return proxies.Ready(pod)
}
