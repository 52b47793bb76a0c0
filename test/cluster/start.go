package cluster

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// startTimeout is for what takes ten seconds on an idle machine.
const startTimeout = 3 * time.Minute

//go:embed manifests/coredns.yaml
var corednsManifest string

// start brings up the cluster, of which nothing is there yet.
func (c *Cluster) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := c.configure(); err != nil {
		return err
	}
	tools := filepath.Join(c.dir, "tools")
	if err := os.MkdirAll(tools, 0o755); err != nil {
		return err
	}
	if err := os.Symlink(c.programs.program("kubernetes", "kubectl"), filepath.Join(tools, "kubectl")); err != nil {
		return err
	}
	if err := c.o.step("namespaces, network", func() error { return c.boot(ctx) }); err != nil {
		return err
	}
	components := map[string]component{}
	for _, m := range c.components() {
		components[m.name] = m
	}
	launch := func(ctx context.Context, name string) error {
		return c.o.step(name, func() error { return c.launch(ctx, components[name]) })
	}
	// Images are loaded while the control plane comes up. They are there before the
	// kubelet: a pod that finds no image waits for ten seconds.
	control, controlCtx := errgroup.WithContext(ctx)
	control.Go(func() error {
		if err := launch(controlCtx, "containerd"); err != nil {
			return err
		}
		return c.o.step("images", func() error { return c.loadImages(controlCtx, c.programs.images) })
	})
	// An API server tries again until etcd is there.
	for _, name := range []string{"etcd", "kube-apiserver"} {
		control.Go(func() error { return launch(controlCtx, name) })
	}
	if err := control.Wait(); err != nil {
		return err
	}
	node, nodeCtx := errgroup.WithContext(ctx)
	for _, name := range []string{"kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "loadbalancer"} {
		node.Go(func() error { return launch(nodeCtx, name) })
	}
	node.Go(func() error { return c.applyDNS(nodeCtx) })
	if err := node.Wait(); err != nil {
		return err
	}
	for _, w := range []struct {
		what  string
		ready func(context.Context) error
	}{
		{"node Ready, service accounts", c.nodeReady},
		{"names resolve", c.namesResolve},
	} {
		if err := c.o.step(w.what, func() error { return wait(ctx, w.ready) }); err != nil {
			return fmt.Errorf("%w; the logs are in %s", err, filepath.Join(c.dir, "logs"))
		}
	}
	return nil
}

// loadImages loads those tarballs that were not loaded yet.
func (c *Cluster) loadImages(ctx context.Context, tars []string) error {
	for _, tar := range tars {
		if slices.Contains(c.state.Images, tar) {
			continue
		}
		if err := c.LoadImage(ctx, tar); err != nil {
			return err
		}
		c.state.Images = append(c.state.Images, tar)
	}
	return c.state.write(c.dir)
}

// wait calls ready until it returns nil. When time is up, the error is the last
// one.
func wait(ctx context.Context, ready func(context.Context) error) error {
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		if sleep(ctx, 50*time.Millisecond) != nil {
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}

func (c *Cluster) client() (*kubernetes.Clientset, error) {
	config, err := c.RESTConfig()
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}

// nodeReady reports whether pods can be made and will run.
func (c *Cluster) nodeReady(ctx context.Context) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	node, err := client.CoreV1().Nodes().Get(ctx, c.o.node(), metav1.GetOptions{})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(node.Status.Conditions, func(n corev1.NodeCondition) bool { return n.Type == corev1.NodeReady })
	if i < 0 {
		return errors.New("the kubelet has not said yet whether the node is Ready")
	}
	if n := node.Status.Conditions[i]; n.Status != corev1.ConditionTrue {
		return fmt.Errorf("the node is not Ready: %s: %s", n.Reason, n.Message)
	}
	if len(node.Spec.Taints) > 0 {
		return fmt.Errorf("the node has the taint %s", node.Spec.Taints[0].ToString())
	}
	_, err = client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
	return err
}

func (c *Cluster) applyDNS(ctx context.Context) error {
	manifest := strings.NewReplacer("CLUSTER_IP", dnsService, "IMAGE", CoreDNSImage).Replace(corednsManifest)
	return wait(ctx, func(ctx context.Context) error {
		args := []string{"apply", "--server-side", "-f", "-"}
		cmd := c.Command(ctx, "kubectl", args...)
		cmd.Stdin = strings.NewReader(manifest)
		if said, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, lastLines(string(said), 10))
		}
		return nil
	})
}

// namesResolve asks the cluster's name server, by its Service, for the API
// server's: that takes a pod that runs, kube-proxy, and CoreDNS in touch with the
// API server.
func (c *Cluster) namesResolve(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return c.DialContext(ctx, network, net.JoinHostPort(dnsService, "53"))
	}}
	const name = "kubernetes.default.svc.cluster.local."
	addresses, err := resolver.LookupHost(ctx, name)
	if err != nil {
		return err
	}
	if !slices.Contains(addresses, apiServerService) {
		return fmt.Errorf("%s resolves to %v", name, addresses)
	}
	return nil
}
