package cluster

import (
	"context"
	"fmt"
)

// A component is a program of the control plane or of the node.
type component struct {
	name, part string
	args       []string
	// healthy says how to know that it works: by a URL that answers, or by a Unix
	// socket in the cluster's folder that listens. Empty: it works once it runs.
	healthy string
}

// components returns all, in the order in which they are started.
func (c *Cluster) components() []component {
	config := func(name string) string { return insideDir + "/config/" + name }
	kubeconfig := func(name string) string { return "--kubeconfig=" + config(name+".kubeconfig") }
	all := []component{
		{name: "containerd", part: "containerd", healthy: "containerd.sock", args: []string{
			"--config=" + config("containerd.toml"),
			"--address=" + insideDir + "/containerd.sock",
		}},
		{name: "etcd", part: "kubernetes", healthy: "http://127.0.0.1:2379/health", args: []string{
			"--data-dir=" + insideDir + "/etcd",
			"--listen-client-urls=http://127.0.0.1:2379",
			"--advertise-client-urls=http://127.0.0.1:2379",
			"--listen-peer-urls=http://127.0.0.1:2380",
			// A test's data may go with the machine.
			"--unsafe-no-fsync",
			"--log-level=warn",
		}},
		{name: "kube-apiserver", part: "kubernetes", healthy: apiServer + "/readyz", args: []string{
			"--advertise-address=" + NodeAddress,
			"--allow-privileged=true",
			"--authorization-mode=Node,RBAC",
			"--enable-admission-plugins=NodeRestriction",
			// Leases would name the kubernetes Service's endpoint too late after a restart.
			"--endpoint-reconciler-type=master-count",
			"--etcd-servers=http://127.0.0.1:2379",
			// The node's name resolves nowhere.
			"--kubelet-preferred-address-types=InternalIP",
			"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
			"--service-account-key-file=" + config("accounts.key"),
			"--service-account-signing-key-file=" + config("accounts.key"),
			"--service-cluster-ip-range=" + serviceRange,
			"--tls-cert-file=" + config("apiserver.crt"),
			"--tls-private-key-file=" + config("apiserver.key"),
			"--token-auth-file=" + config("tokens.csv"),
		}},
		{name: "kube-controller-manager", part: "kubernetes", healthy: "https://127.0.0.1:10257/healthz", args: []string{
			kubeconfig("kube-controller-manager"),
			"--authentication-kubeconfig=" + config("kube-controller-manager.kubeconfig"),
			// What it would look up is there only if clients have certificates.
			"--authentication-skip-lookup=true",
			"--authorization-kubeconfig=" + config("kube-controller-manager.kubeconfig"),
			"--bind-address=127.0.0.1",
			"--flex-volume-plugin-dir=/var/lib/kubelet/volumeplugins",
			"--kube-api-burst=400",
			"--kube-api-qps=200",
			"--leader-elect=false",
			"--root-ca-file=" + config("ca.crt"),
			"--service-account-private-key-file=" + config("accounts.key"),
			"--use-service-account-credentials=true",
		}},
		{name: "kube-scheduler", part: "kubernetes", healthy: "https://127.0.0.1:10259/healthz", args: []string{
			kubeconfig("kube-scheduler"),
			"--authentication-kubeconfig=" + config("kube-scheduler.kubeconfig"),
			"--authentication-skip-lookup=true",
			"--authorization-kubeconfig=" + config("kube-scheduler.kubeconfig"),
			"--bind-address=127.0.0.1",
			"--kube-api-burst=400",
			"--kube-api-qps=200",
			"--leader-elect=false",
		}},
		{name: "kubelet", part: "kubernetes", healthy: "http://127.0.0.1:10248/healthz", args: []string{
			kubeconfig("kubelet"),
			"--config=" + config("kubelet.yaml"),
			"--hostname-override=" + c.o.node(),
			"--node-ip=" + NodeAddress,
			"--root-dir=/var/lib/kubelet",
		}},
		{name: "kube-proxy", part: "kubernetes", healthy: "http://127.0.0.1:10256/healthz", args: []string{
			kubeconfig("kube-proxy"),
			"--bind-address=0.0.0.0",
			"--cluster-cidr=" + podRange,
			// These are of the whole machine, and none of a test's business.
			"--conntrack-max-per-core=0",
			"--conntrack-tcp-timeout-close-wait=0s",
			"--conntrack-tcp-timeout-established=0s",
			"--hostname-override=" + c.o.node(),
			"--proxy-mode=nftables",
		}},
		{name: "loadbalancer", part: "loadbalancer", args: []string{
			kubeconfig("loadbalancer"),
			"--range=" + LoadBalancerRange,
		}},
	}
	for i := range all {
		all[i].args = append(all[i].args, c.o.Args[all[i].name]...)
	}
	return all
}

func (c *Cluster) component(name string) (component, error) {
	for _, m := range c.components() {
		if m.name == name {
			return m, nil
		}
	}
	return component{}, fmt.Errorf("a cluster has no component %q", name)
}

// Components are the names that StartComponent and StopComponent take, in the
// order in which Up starts them.
func (c *Cluster) Components() []string {
	var names []string
	for _, m := range c.components() {
		names = append(names, m.name)
	}
	return names
}

// StartComponent starts a component that was stopped, with the arguments it had,
// and returns when it works.
func (c *Cluster) StartComponent(ctx context.Context, name string) error {
	m, err := c.component(name)
	if err != nil {
		return err
	}
	if pid, err := c.pid(name); err != nil {
		return err
	} else if pid != 0 {
		return fmt.Errorf("%s of cluster %s runs already", name, c.o.Name)
	}
	return c.launch(ctx, m)
}
