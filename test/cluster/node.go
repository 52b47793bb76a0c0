package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// state is what a cluster's folder remembers of it.
type state struct {
	// Init is the first process of the cluster's process namespace.
	Init process
	// Programs are the folders of the parts, by their names.
	Programs map[string]string
	// Args are those of Options, for components that are started again.
	Args map[string][]string `json:",omitempty"`
	// Images are the tarballs of the cache that were loaded.
	Images []string `json:",omitempty"`
}

// A process is one of this machine, told from a later one with the same id by
// when it began.
type process struct {
	PID   int
	Began string
}

func thisProcess(pid int) (process, error) {
	began, err := startTime(pid)
	return process{PID: pid, Began: began}, err
}

// startTime is when the process began, in the kernel's ticks since boot. A zombie
// counts as gone.
func startTime(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	// The name, in parentheses, may hold anything; then come fields 3 and up.
	after := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(after) < 20 || after[0] == "Z" {
		return "", os.ErrNotExist
	}
	return after[19], nil
}

func (p process) alive() bool {
	if p.PID <= 0 {
		return false
	}
	began, err := startTime(p.PID)
	return err == nil && began == p.Began
}

// kill ends the process and waits until it is gone.
func (p process) kill(ctx context.Context) error {
	for p.alive() {
		if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func readState(dir string) (state, error) {
	var s state
	text, err := os.ReadFile(filepath.Join(dir, "state.json"))
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(text, &s)
}

func (s state) write(dir string) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "state.json"), text, 0o644)
}

func (o Options) netns() string    { return "egctl-" + o.Name }
func netnsFile(name string) string { return "/var/run/netns/" + name }
func (o Options) cgroup() string   { return "egctl-" + o.Name }

// boot makes the namespaces and the first process in them.
func (c *Cluster) boot(ctx context.Context) error {
	if err := run(ctx, nil, "ip", "netns", "add", c.o.netns()); err != nil {
		return err
	}
	// A bridge without ports stands for the network card: not every kernel has the
	// dummy device. There is no default route, so nothing but this is in reach.
	network := strings.Join([]string{
		"link set lo up",
		"link add node0 type bridge",
		"addr add " + NodeAddress + "/24 dev node0",
		"link set node0 up",
		"route add " + serviceRange + " dev node0 src " + NodeAddress,
		"route add " + LoadBalancerRange + " dev node0 src " + NodeAddress,
	}, "\n") + "\n"
	if err := run(ctx, strings.NewReader(network), "nsenter", "--net="+c.Netns(), "ip", "-batch", "-"); err != nil {
		return err
	}
	if err := c.filterBridges(ctx); err != nil {
		return err
	}
	if err := makeCgroups(c.o.cgroup()); err != nil {
		return err
	}
	log, err := os.Create(c.LogFile("init"))
	if err != nil {
		return err
	}
	defer log.Close()
	// nsenter becomes the first process of the process namespace, and then init.
	cmd := exec.Command("nsenter", "--net="+c.Netns(), c.programs.program("init", "init"), c.dir, c.o.CacheDir)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = c.environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("make the node's namespaces: %w", err)
	}
	init, err := thisProcess(cmd.Process.Pid)
	if err != nil {
		return c.failed("init", errors.Join(err, cmd.Wait()))
	}
	// Nobody waits for it but the kernel, which needs this to let it go.
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	c.state.Init = init
	if err := c.state.write(c.dir); err != nil {
		return errors.Join(err, init.kill(ctx))
	}
	for {
		if _, err := os.Stat(filepath.Join(c.dir, "ready")); err == nil {
			return nil
		}
		select {
		case err := <-ended:
			return c.failed("init", err)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// filterBridges sees to it that the kernel shows bridged packets to kube-proxy's
// rules. Without that, what a pod answers to another one of the same node does not
// get the Service's address back.
func (c *Cluster) filterBridges(ctx context.Context) error {
	const setting = "/proc/sys/net/bridge/bridge-nf-call-iptables"
	if _, err := os.Stat(setting); err == nil {
		return nil
	}
	if err := run(ctx, nil, "modprobe", "br_netfilter"); err != nil {
		return fmt.Errorf("there is no %s, and the kernel module that makes it does not load: %w", setting, err)
	}
	return nil
}

// enter is a command line in the node's namespaces. What the node's programs are
// told of files must be under its own paths: see inside.
func (c *Cluster) enter(args ...string) []string {
	return append([]string{"nsenter", "--target", strconv.Itoa(c.state.Init.PID), "--mount", "--net", "--pid", "--"}, args...)
}

// The node's programs see the cluster's folder and the cache at these paths.
const (
	insideDir   = "/run/cluster"
	insideCache = "/run/cache"
)

// insideProgram is the path of a program for the node's programs.
func (c *Cluster) insideProgram(part, name string) string {
	return filepath.Join(insideCache, filepath.Base(c.programs.dirs[part]), name)
}

// environment is that of the node's programs.
func (c *Cluster) environment() []string {
	path := []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}
	for _, part := range sortedKeys(c.programs.dirs) {
		path = append(path, filepath.Join(insideCache, filepath.Base(c.programs.dirs[part])))
	}
	return []string{"PATH=" + strings.Join(path, ":"), "HOME=/root", "LANG=C.UTF-8"}
}

// end ends all processes of the cluster, with its mounts and namespaces.
func (c *Cluster) end(ctx context.Context) error { return c.o.end(ctx) }

func (o Options) end(ctx context.Context) error {
	s, err := readState(o.dir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !s.Init.alive() {
		// Whoever started it may have been killed before it could write that down.
		if s.Init, err = o.findInit(ctx); err != nil {
			return err
		}
	}
	// The kernel ends the others of the process namespace before it lets go of the
	// first, and then nothing holds the mounts any more.
	if err := s.Init.kill(ctx); err != nil {
		return err
	}
	if _, err := os.Stat(netnsFile(o.netns())); err == nil {
		if err := run(ctx, nil, "ip", "netns", "delete", o.netns()); err != nil {
			return err
		}
	}
	return removeCgroups(ctx, o.cgroup())
}

// remove ends the cluster and removes its folder.
func (o Options) remove(ctx context.Context) error {
	if err := o.end(ctx); err != nil {
		return err
	}
	return os.RemoveAll(o.dir())
}

// findInit looks for the first process of the cluster's process namespace among
// those in its network namespace. The zero process stands for none.
func (o Options) findInit(ctx context.Context) (process, error) {
	if _, err := os.Stat(netnsFile(o.netns())); errors.Is(err, fs.ErrNotExist) {
		return process{}, nil
	}
	pids, err := exec.CommandContext(ctx, "ip", "netns", "pids", o.netns()).Output()
	if err != nil {
		return process{}, fmt.Errorf("list the processes of network namespace %s: %w", o.netns(), err)
	}
	for _, text := range strings.Fields(string(pids)) {
		pid, err := strconv.Atoi(text)
		if err != nil {
			return process{}, err
		}
		// Those that have gone meanwhile have no command line.
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		args := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
		if len(args) == 3 && filepath.Base(args[0]) == "init" && args[1] == o.dir() {
			return thisProcess(pid)
		}
	}
	return process{}, nil
}
