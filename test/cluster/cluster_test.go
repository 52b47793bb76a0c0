package cluster

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

//go:embed testdata/workload.yaml
var workload string

// testOptions are those of a cluster of this test in this checkout: what a killed
// run left, the next one takes away. Where there can be no cluster, the test is
// skipped, but not in CI.
func testOptions(t *testing.T, suffix string) Options {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256([]byte(dir))
	o := Options{
		Name:     "test-" + hex.EncodeToString(hash[:3]) + suffix,
		Envoy:    os.Getenv("EGCTL_ENVOY"),
		Progress: t.Output(),
	}
	completed, err := o.complete()
	if err == nil {
		_, err = os.Stat(completed.Envoy)
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("SKIPPED, no cluster was tested: ", err)
	}
	return o
}

// TestCluster is a cluster's life: it serves, its components come and go, it is
// killed and comes back, and it leaves nothing.
func TestCluster(t *testing.T) {
	o := testOptions(t, "")
	// The first run on a machine builds Kubernetes.
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Minute)
	defer cancel()
	t.Cleanup(func() {
		if err := Down(context.WithoutCancel(ctx), o); err != nil {
			t.Error(err)
		}
	})
	c, err := Up(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Up(ctx, o); err != nil || again.state.Init != c.state.Init {
		t.Fatalf("the second of two starts did not find the cluster of the first: %v", err)
	}

	apply(t, c)
	t.Run("serves", func(t *testing.T) { serves(t, c) })
	t.Run("load balancer keeps to its range", func(t *testing.T) { keepsToRange(t, c) })
	t.Run("no way out", func(t *testing.T) {
		_, err := c.DialContext(ctx, "tcp", "192.0.2.1:80")
		if !errors.Is(err, syscall.ENETUNREACH) {
			t.Errorf("dialling an address of the world: %v, want that there is no way", err)
		}
	})
	t.Run("exec", func(t *testing.T) {
		out, err := c.Exec(ctx, "kubectl", "logs", "--namespace=proxied", "deployment/echo")
		if err != nil || !strings.Contains(string(out), "Starting server") {
			t.Errorf("the log of a pod is %q, error %v", out, err)
		}
		if _, err := c.Exec(ctx, "kubectl", "get", "pod", "no-such-pod"); err == nil || !strings.Contains(err.Error(), "no-such-pod") {
			t.Errorf("error is %v, want what the command said", err)
		}
	})
	t.Run("components stop and start", func(t *testing.T) {
		through := address(t, c, "envoy") + ":80"
		for _, name := range []string{"kube-apiserver", "etcd"} {
			if err := c.StopComponent(ctx, name); err != nil {
				t.Fatal(err)
			}
			if err := c.healthy(ctx); err == nil {
				t.Errorf("all is well without %s", name)
			}
			get(t, c, through)
			if err := c.StartComponent(ctx, name); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.StartComponent(ctx, "etcd"); err == nil {
			t.Error("what runs was started")
		}
		serves(t, c)
	})

	t.Run("comes back after a crash", func(t *testing.T) {
		killAll(t, c)
		if _, err := Open(o); err == nil {
			t.Error("a killed cluster is taken for one that is up")
		}
		if c, err = Up(ctx, o); err != nil {
			t.Fatal(err)
		}
		apply(t, c)
		serves(t, c)
	})
	t.Run("leaves nothing", func(t *testing.T) {
		if err := c.Down(ctx); err != nil {
			t.Fatal(err)
		}
		nothingLeft(t, c)
	})
}

// TestStartFails sees to it that the error says what the component that failed
// said, and where, and that nothing runs on.
func TestStartFails(t *testing.T) {
	o := testOptions(t, "-fails")
	o.Args = map[string][]string{"kube-apiserver": {"--no-such-flag"}}
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Minute)
	defer cancel()
	t.Cleanup(func() {
		if err := Down(context.WithoutCancel(ctx), o); err != nil {
			t.Error(err)
		}
	})
	_, err := Up(ctx, o)
	if err == nil {
		t.Fatal("a cluster without an API server came up")
	}
	log, nameErr := LogFile(o, "kube-apiserver")
	if nameErr != nil {
		t.Fatal(nameErr)
	}
	for _, want := range []string{"kube-apiserver: exit status 1", log, "unknown flag: --no-such-flag"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
	s, err := readState(filepath.Dir(filepath.Dir(log)))
	if err != nil {
		t.Fatal(err)
	}
	if s.Init.alive() {
		t.Error("the cluster's first process runs on")
	}
}

func apply(t *testing.T, c *Cluster) {
	t.Helper()
	cmd := c.Command(t.Context(), "kubectl", "apply", "--server-side", "-f", "-")
	cmd.Stdin = strings.NewReader(strings.ReplaceAll(strings.ReplaceAll(workload, "ECHO_IMAGE", EchoImage), "ENVOY_IMAGE", EnvoyImage))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("kubectl apply: %v\n%s", err, out)
	}
}

// serves sees to it that the cluster is well, and that a client reaches Envoy at a
// LoadBalancer's address, and Envoy, in a pod and as nobody, reaches the backend by
// its Service's name.
func serves(t *testing.T, c *Cluster) {
	t.Helper()
	if err := c.nodeReady(t.Context()); err != nil {
		t.Error(err)
	}
	if err := c.namesResolve(t.Context()); err != nil {
		t.Error(err)
	}
	body := get(t, c, address(t, c, "envoy")+":80")
	for _, want := range []string{`"pod": "echo-`, "X-Envoy-Expected-Rq-Timeout-Ms"} {
		if !strings.Contains(body, want) {
			t.Errorf("the answer lacks %s:\n%s", want, body)
		}
	}
}

// keepsToRange sees to it that a Service gets the address that it asks for if the
// load balancer has it, and that the others are none of its business.
func keepsToRange(t *testing.T, c *Cluster) {
	t.Helper()
	if got := address(t, c, "wish"); got != "10.89.4.200" {
		t.Errorf("a Service that asks for 10.89.4.200 has %s", got)
	}
	get(t, c, "10.89.4.200:8000")
	client, err := c.client()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"wish-beyond-the-range", "of-another-class"} {
		s, err := client.CoreV1().Services("proxied").Get(t.Context(), name, metav1.GetOptions{})
		if err != nil || len(s.Status.LoadBalancer.Ingress) > 0 {
			t.Errorf("Service %s has the addresses %v, error %v", name, s.Status.LoadBalancer.Ingress, err)
		}
	}
}

// address waits for a Service's address.
func address(t *testing.T, c *Cluster, name string) string {
	t.Helper()
	client, err := c.client()
	if err != nil {
		t.Fatal(err)
	}
	var address string
	eventually(t, func(ctx context.Context) error {
		s, err := client.CoreV1().Services("proxied").Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if len(s.Status.LoadBalancer.Ingress) == 0 {
			return fmt.Errorf("Service %s has no address", name)
		}
		address = s.Status.LoadBalancer.Ingress[0].IP
		return nil
	})
	return address
}

// get waits for an answer with status 200 and returns its body.
func get(t *testing.T, c *Cluster, address string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DialContext: c.DialContext, DisableKeepAlives: true}, Timeout: 2 * time.Second}
	var body []byte
	eventually(t, func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if body, err = io.ReadAll(response.Body); err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("status %s: %s", response.Status, body)
		}
		return nil
	})
	return string(body)
}

func eventually(t *testing.T, do func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := wait(ctx, do); err != nil {
		t.Fatal(err)
	}
}

// killAll kills the cluster's processes, those of its pods included, as the
// kernel's out-of-memory killer might: without a word.
func killAll(t *testing.T, c *Cluster) {
	t.Helper()
	pids := processes(t, c)
	// containerd, etcd and five of Kubernetes, the load balancer, init, the pods.
	if len(pids) < 15 {
		t.Fatalf("found only %d processes of the cluster", len(pids))
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatal(err)
		}
	}
	eventually(t, func(context.Context) error {
		if c.state.Init.alive() {
			return errors.New("init lives on")
		}
		return nil
	})
}

// processes are those in the cluster's cgroup, which are its pods', and those that
// were told of its folder or of its first process.
func processes(t *testing.T, c *Cluster) []int {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	namespace, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", c.state.Init.PID))
	var pids []int
	for _, dir := range all {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			t.Fatal(err)
		}
		// Processes end while one looks at them.
		cgroups, _ := os.ReadFile(filepath.Join(dir, "cgroup"))
		mounts, _ := os.Readlink(filepath.Join(dir, "ns", "mnt"))
		line, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		if strings.Contains(string(cgroups), "/"+c.o.cgroup()+"/") || namespace != "" && mounts == namespace ||
			strings.Contains(string(line), fmt.Sprintf("--target\x00%d\x00", c.state.Init.PID)) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func nothingLeft(t *testing.T, c *Cluster) {
	t.Helper()
	for _, pid := range processes(t, c) {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		t.Errorf("process %d is left: %q", pid, line)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, c.dir) || strings.Contains(line, c.o.netns()) {
			t.Errorf("a mount is left: %s", line)
		}
	}
	dirs, _, err := hierarchies()
	if err != nil {
		t.Fatal(err)
	}
	gone := []string{c.dir, c.Netns()}
	for _, dir := range dirs {
		gone = append(gone, filepath.Join(dir, c.o.cgroup()))
	}
	for _, file := range gone {
		if _, err := os.Lstat(file); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left; error %v", file, err)
		}
	}
}
