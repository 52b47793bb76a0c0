package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// The addresses in a cluster's network namespace, the same in every cluster.
const (
	// NodeAddress is the node's.
	NodeAddress = "10.89.0.2"
	// LoadBalancerRange is where Services of type LoadBalancer have their addresses.
	// One that spec.loadBalancerIP asks for has to lie in it, or the Service gets
	// none.
	LoadBalancerRange = "10.89.4.0/22"

	podRange     = "10.244.0.0/16"
	serviceRange = "10.96.0.0/16"
	// apiServerService is the first address of serviceRange: Service kubernetes.
	apiServerService = "10.96.0.1"
	dnsService       = "10.96.0.10"
)

// apiServer is where clients in the network namespace find it.
const apiServer = "https://127.0.0.1:6443"

// users are who the API server knows by their tokens. Each component is who it
// would be elsewhere, so that Kubernetes' own roles are what it may do.
func (o Options) users() map[string]struct{ user, group string } {
	return map[string]struct{ user, group string }{
		"admin":                   {"admin", "system:masters"},
		"kube-controller-manager": {"system:kube-controller-manager", ""},
		"kube-scheduler":          {"system:kube-scheduler", ""},
		"kube-proxy":              {"system:kube-proxy", ""},
		"kubelet":                 {"system:node:" + o.node(), "system:nodes"},
		"loadbalancer":            {"system:loadbalancer", "system:masters"},
	}
}

// node is the node's name.
func (o Options) node() string { return o.Name }

// configure writes all files that the components are started with.
func (c *Cluster) configure() error {
	for _, dir := range []string{"logs", "pids", "config", "cni"} {
		if err := os.MkdirAll(filepath.Join(c.dir, dir), 0o755); err != nil {
			return err
		}
	}
	if err := c.writeKeys(); err != nil {
		return err
	}
	var tokens strings.Builder
	for _, name := range sortedKeys(c.o.users()) {
		u := c.o.users()[name]
		token := randomToken()
		fmt.Fprintf(&tokens, "%s,%s,%s,%q\n", token, u.user, name, u.group)
		file := filepath.Join(c.dir, "config", name+".kubeconfig")
		if name == "admin" {
			file = c.Kubeconfig()
		}
		if err := c.writeKubeconfig(file, token); err != nil {
			return err
		}
	}
	containerd, err := c.containerdConfig()
	if err != nil {
		return err
	}
	for file, text := range map[string]string{
		"config/tokens.csv":      tokens.String(),
		"config/containerd.toml": containerd,
		"config/kubelet.yaml":    c.kubeletConfig(),
		"cni/10-bridge.conflist": cniConfig,
	} {
		if err := os.WriteFile(filepath.Join(c.dir, file), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// writeKeys makes the API server's certificate, that of the authority which clients
// verify it by, and the key of the service accounts' tokens.
func (c *Cluster) writeKeys() error {
	crt, key, err := cert.GenerateSelfSignedCertKey(NodeAddress,
		[]net.IP{net.ParseIP("127.0.0.1"), net.ParseIP(apiServerService)},
		[]string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"})
	if err != nil {
		return err
	}
	// What signed the certificate comes after it.
	chain, err := cert.ParseCertsPEM(crt)
	if err != nil {
		return err
	}
	authority, err := cert.EncodeCertificates(chain[len(chain)-1])
	if err != nil {
		return err
	}
	accounts, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	accountsPEM, err := keyutil.MarshalPrivateKeyToPEM(accounts)
	if err != nil {
		return err
	}
	for file, text := range map[string][]byte{"ca.crt": authority, "apiserver.crt": crt, "apiserver.key": key, "accounts.key": accountsPEM} {
		if err := os.WriteFile(filepath.Join(c.dir, "config", file), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) writeKubeconfig(file, token string) error {
	authority, err := os.ReadFile(filepath.Join(c.dir, "config", "ca.crt"))
	if err != nil {
		return err
	}
	name := c.o.netns()
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: apiServer, CertificateAuthorityData: authority}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	return clientcmd.WriteToFile(*config, file)
}

func randomToken() string {
	b := make([]byte, 16)
	// Never fails, says crypto/rand.
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

func (c *Cluster) containerdConfig() (string, error) {
	// An overlay cannot have another one's directory as its upper layer, as in a
	// container; copying is slow, but works.
	snapshotter := "overlayfs"
	var fs unix.Statfs_t
	if err := unix.Statfs(c.dir, &fs); err != nil {
		return "", fmt.Errorf("file system of %s: %w", c.dir, err)
	}
	if fs.Type == unix.OVERLAYFS_SUPER_MAGIC {
		snapshotter = "native"
	}
	return fmt.Sprintf(`version = 3
root = "/run/cluster/containerd/root"
state = "/run/cluster/containerd/state"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.internal.v1.opt"]

[plugins."io.containerd.cri.v1.images"]
snapshotter = %[1]q

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = %[2]q

[plugins."io.containerd.cri.v1.runtime"]
# Neither CAP_SYS_RESOURCE nor AppArmor is a matter of course where tests run.
restrict_oom_score_adj = true
disable_apparmor = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = [%[3]q]
conf_dir = "/run/cluster/cni"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
snapshotter = %[1]q

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
SystemdCgroup = false
`, snapshotter, PauseImage, cniDir), nil
}

func (c *Cluster) kubeletConfig() string {
	// Whoever is in the namespace may ask the kubelet for anything: all in there
	// belong to one test.
	return fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: %s
authentication:
  anonymous:
    enabled: true
  webhook:
    enabled: false
authorization:
  mode: AlwaysAllow
cgroupDriver: cgroupfs
cgroupRoot: /%s
clusterDNS: [%s]
clusterDomain: cluster.local
containerRuntimeEndpoint: unix:///run/cluster/containerd.sock
enforceNodeAllocatable: []
evictionHard:
  memory.available: 1%%
  nodefs.available: 1%%
  nodefs.inodesFree: 1%%
  imagefs.available: 1%%
failCgroupV1: false
failSwapOn: false
imageGCHighThresholdPercent: 100
kubeAPIBurst: 200
kubeAPIQPS: 100
maxPods: 400
registryPullQPS: 0
resolvConf: ""
serializeImagePulls: false
volumePluginDir: /var/lib/kubelet/volumeplugins
`, NodeAddress, c.o.cgroup(), dnsService)
}

const cniConfig = `{
  "cniVersion": "1.0.0",
  "name": "pods",
  "plugins": [
    {
      "type": "bridge",
      "bridge": "cni0",
      "isGateway": true,
      "hairpinMode": true,
      "ipam": {
        "type": "host-local",
        "ranges": [[{"subnet": "` + podRange + `"}]],
        "routes": [{"dst": "0.0.0.0/0"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`
