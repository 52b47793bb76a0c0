// Package controllers finds the gateway controllers in a cluster, egctl's and Envoy
// Gateway's, and asks them for their versions.
package controllers

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	streaming "k8s.io/streaming/pkg/httpstream"

	"github.com/egctl/egctl/pkg/wellknown"
)

// Selector selects the pods of controllers.
const Selector = wellknown.ControllerSelector

// Version is what a controller says of itself, under the names that Envoy
// Gateway's egctl prints.
type Version struct {
	Namespace           string `json:"namespace"`
	Name                string `json:"name"`
	Image               string `json:"image,omitempty"`
	EnvoyGatewayVersion string `json:"envoyGatewayVersion"`
	GatewayAPIVersion   string `json:"gatewayAPIVersion"`
	EnvoyProxyVersion   string `json:"envoyProxyVersion"`
	GitCommitID         string `json:"gitCommitID"`
	GolangVersion       string `json:"golangVersion"`
}

// Versions asks every running controller pod, in all namespaces. What is said of
// pods that do not answer goes to warn.
func Versions(ctx context.Context, config *rest.Config, warn func(format string, args ...any)) ([]Version, error) {
	client, err := typedcore.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	pods, err := client.Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{LabelSelector: Selector})
	if err != nil {
		return nil, fmt.Errorf("look for controllers: %w", err)
	}
	found := []Version{}
	for i := range pods.Items {
		p := &pods.Items[i]
		if p.Status.Phase != core.PodRunning || p.DeletionTimestamp != nil {
			warn("pod %s/%s does not run: it is not asked", p.Namespace, p.Name)
			continue
		}
		v := Version{Namespace: p.Namespace, Name: p.Name}
		container := controller(p)
		v.Image = container.Image
		if err := ask(ctx, config, client, p, container.Name, &v); err != nil {
			// Who may not execute anything in it still sees what it was made from.
			warn("ask pod %s/%s: %v", p.Namespace, p.Name, err)
			if v.EnvoyGatewayVersion == "" {
				v.EnvoyGatewayVersion = tag(container.Image)
			}
		}
		found = append(found, v)
	}
	slices.SortFunc(found, func(a, b Version) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	return found, nil
}

// controller is the container that runs it.
func controller(p *core.Pod) core.Container {
	for _, c := range p.Spec.Containers {
		if c.Name == wellknown.Deployment {
			return c
		}
	}
	if len(p.Spec.Containers) > 0 {
		return p.Spec.Containers[0]
	}
	return core.Container{}
}

// tag is the version in the name of an image; a digest is none.
func tag(image string) string {
	image, _, _ = strings.Cut(image, "@")
	_, tag, ok := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	if !ok {
		return ""
	}
	return tag
}

func ask(ctx context.Context, config *rest.Config, client typedcore.CoreV1Interface, p *core.Pod, container string, v *Version) error {
	url := client.RESTClient().Post().Resource("pods").Namespace(p.Namespace).Name(p.Name).SubResource("exec").
		VersionedParams(&core.PodExecOptions{
			Container: container, Command: []string{"envoy-gateway", "version", "-ojson"}, Stdout: true, Stderr: true,
		}, scheme.ParameterCodec).URL()
	socket, err := remotecommand.NewWebSocketExecutor(config, http.MethodGet, url.String())
	if err != nil {
		return err
	}
	spdy, err := remotecommand.NewSPDYExecutor(config, http.MethodPost, url)
	if err != nil {
		return err
	}
	exec, err := remotecommand.NewFallbackExecutor(socket, spdy, func(err error) bool {
		return streaming.IsUpgradeFailure(err) || streaming.IsHTTPSProxyError(err)
	})
	if err != nil {
		return err
	}
	var out, errs bytes.Buffer
	if err := exec.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &out, Stderr: &errs}); err != nil {
		if said := strings.TrimSpace(errs.String()); said != "" {
			return fmt.Errorf("%w: %s", err, said)
		}
		return err
	}
	return parse(out.Bytes(), v)
}

// parse takes over what a controller has printed, and leaves the rest as it is.
func parse(b []byte, v *Version) error {
	namespace, name, image := v.Namespace, v.Name, v.Image
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("read its version: %w", err)
	}
	v.Namespace, v.Name, v.Image = namespace, name, image
	return nil
}
