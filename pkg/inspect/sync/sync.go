// Package sync asks controllers how far the proxies are: which have acknowledged
// all that they are to run, and what they refuse.
package sync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/egctl/egctl/pkg/inspect/proxies"
	"github.com/egctl/egctl/pkg/portforward"
	"github.com/egctl/egctl/pkg/wellknown"
)

// Path is where the admin interface of a controller tells of the proxies that are
// connected to it.
const Path = "/api/proxies"

// AdminPort is that of a controller's admin interface, unless its configuration
// says otherwise.
const AdminPort = wellknown.AdminPort

// Proxy is how far a connected proxy is.
type Proxy struct {
	// Fleet is "namespace/name" of the Gateway, or the name of the GatewayClass of
	// merged Gateways. Node is the name of the proxy's pod.
	Fleet string `json:"fleet"`
	Node  string `json:"node"`
	// Synced says that it has answered for everything that it is to run.
	Synced bool `json:"synced"`
	// Refused are the names of resources whose newest version it refuses.
	Refused []string `json:"refused,omitempty"`
}

// ErrUnknown says that no controller tells how far proxies are, as that of Envoy
// Gateway does not.
var ErrUnknown = errors.New("no controller tells how far proxies are")

// Ask asks all controllers in a namespace, by port-forward. A proxy is connected to
// one of them.
func Ask(ctx context.Context, config *rest.Config, namespace string) ([]Proxy, error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("client of the cluster: %w", err)
	}
	pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: wellknown.ControllerSelector})
	if err != nil {
		return nil, fmt.Errorf("list controllers in namespace %s: %w", namespace, err)
	}
	var all []Proxy
	err = ErrUnknown
	for i := range pods.Items {
		pod := &pods.Items[i]
		if !proxies.Ready(pod) {
			continue
		}
		some, e := ask(ctx, config, pod)
		switch {
		case e == nil:
			all, err = append(all, some...), nil
		case !errors.Is(e, ErrUnknown):
			return nil, fmt.Errorf("ask pod %s/%s: %w", namespace, pod.Name, e)
		}
	}
	return all, err
}

func ask(ctx context.Context, config *rest.Config, pod *core.Pod) ([]Proxy, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	type answer struct {
		list []Proxy
		err  error
	}
	asked := make(chan answer, 1)
	forwarded := portforward.Forward(ctx, portforward.Options{
		Config: config, Namespace: pod.Namespace, Target: portforward.Target{Kind: "pod", Name: pod.Name},
		Ports: []portforward.Port{{Remote: strconv.Itoa(AdminPort)}}, Addresses: []string{"127.0.0.1"},
		Ready: func(ports []portforward.ForwardedPort) {
			go func() {
				defer cancel()
				list, err := get(ctx, "http://"+ports[0].Local.String()+Path)
				asked <- answer{list, err}
			}()
		},
	})
	select {
	case a := <-asked:
		return a.list, a.err
	default:
		return nil, errors.Join(forwarded, context.Cause(ctx))
	}
}

func get(ctx context.Context, url string) ([]Proxy, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return nil, ErrUnknown
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", url, resp.Status)
	}
	var list []Proxy
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	return list, nil
}
