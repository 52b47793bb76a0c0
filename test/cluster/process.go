package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// launch starts a component and returns when it works.
func (c *Cluster) launch(ctx context.Context, m component) error {
	pidFile := filepath.Join("pids", m.name)
	if err := os.Remove(filepath.Join(c.dir, pidFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	log, err := os.OpenFile(c.LogFile(m.name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	// nsenter stays outside and waits; what it starts notes its own process id.
	args := c.enter("/bin/sh", "-c", `echo $$ >"$0" && exec "$@"`, filepath.Join(insideDir, pidFile), c.insideProgram(m.part, m.name))
	args = append(args, m.args...)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = c.environment()
	// A signal to whoever starts a cluster from a terminal is not for the cluster.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", m.name, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		err := c.works(ctx, m)
		if err == nil {
			return nil
		}
		select {
		case exit := <-ended:
			return c.failed(m.name, exit)
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return fmt.Errorf("start %s: %w", m.name, ctx.Err())
			}
			return c.failed(m.name, fmt.Errorf("%w while waiting for it: %w", ctx.Err(), err))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// failed tells why a component failed as far as its log knows.
func (c *Cluster) failed(name string, why error) error {
	if why == nil {
		why = errors.New("it ended by itself")
	}
	file := c.LogFile(name)
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("%s: %w", name, errors.Join(why, err))
	}
	return fmt.Errorf("%s: %w; the end of %s:\n%s", name, why, file, lastLines(string(text), 15))
}

// works reports, by an error that says what is amiss, whether a component does
// what it is there for.
func (c *Cluster) works(ctx context.Context, m component) error {
	pid, err := c.pid(m.name)
	if err != nil {
		return err
	}
	if pid == 0 {
		return fmt.Errorf("%s does not run", m.name)
	}
	if m.healthy == "" {
		return nil
	}
	if !strings.Contains(m.healthy, "://") {
		// By the node's path, since that of this machine may be too long for a socket.
		conn, err := net.Dial("unix", fmt.Sprintf("/proc/%d/root%s/%s", c.state.Init.PID, insideDir, m.healthy))
		if err != nil {
			return err
		}
		return conn.Close()
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, m.healthy, nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{
		DialContext:       c.DialContext,
		DisableKeepAlives: true,
		// They have certificates that they signed themselves.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s says %s", m.name, m.healthy, response.Status)
	}
	return nil
}

// stopTimeout is how long a component has to end by itself. API server and etcd
// would wait for clients that stay connected for as long as they may.
const stopTimeout = 2 * time.Second

// StopComponent ends a component, after stopTimeout by force, and returns when it
// has ended. Stopping what does not run is no error.
func (c *Cluster) StopComponent(ctx context.Context, name string) error {
	if _, err := c.component(name); err != nil {
		return err
	}
	signal := syscall.SIGTERM
	deadline := time.Now().Add(stopTimeout)
	for {
		pid, err := c.pid(name)
		if err != nil || pid == 0 {
			return err
		}
		if signal != 0 {
			if err := c.kill(ctx, pid, signal); err != nil {
				return err
			}
			signal = 0
		}
		if time.Now().After(deadline) {
			signal, deadline = syscall.SIGKILL, deadline.Add(time.Hour)
		}
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return fmt.Errorf("wait for %s to end: %w", name, err)
		}
	}
}

// SignalComponent sends a signal to a component: SIGKILL to see what a crash does,
// SIGSTOP what a hang does.
func (c *Cluster) SignalComponent(ctx context.Context, name string, signal syscall.Signal) error {
	if _, err := c.component(name); err != nil {
		return err
	}
	pid, err := c.pid(name)
	if err != nil {
		return err
	}
	if pid == 0 {
		return fmt.Errorf("%s of cluster %s does not run", name, c.o.Name)
	}
	return c.kill(ctx, pid, signal)
}

// pid is the component's process id in the cluster's process namespace, 0 if it
// does not run.
func (c *Cluster) pid(name string) (int, error) {
	text, err := os.ReadFile(filepath.Join(c.dir, "pids", name))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	// An empty file is one that is being written.
	if len(text) == 0 || !c.state.Init.alive() {
		return 0, nil
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("process id of %s: %w", name, err)
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/root/proc/%d/cmdline", c.state.Init.PID, pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	program, _, _ := strings.Cut(string(line), "\x00")
	if filepath.Base(program) != name {
		return 0, nil
	}
	return pid, nil
}

// kill sends a signal to a process of the cluster's process namespace.
func (c *Cluster) kill(ctx context.Context, pid int, signal syscall.Signal) error {
	args := c.enter("/bin/sh", "-c", fmt.Sprintf("kill -%d %d", int(signal), pid))
	return run(ctx, nil, args[0], args[1:]...)
}

// healthy reports whether all components work.
func (c *Cluster) healthy(ctx context.Context) error {
	for _, m := range c.components() {
		if err := c.works(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// Command is a command that runs in the cluster's network namespace, and in
// nothing else of it: it sees the files of this machine. KUBECONFIG is set, and
// kubectl is in PATH.
func (c *Cluster) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"--net=" + c.Netns(), "--", name}, args...)...)
	tools := filepath.Join(c.dir, "tools")
	cmd.Env = slices.DeleteFunc(os.Environ(), func(e string) bool {
		return strings.HasPrefix(e, "KUBECONFIG=") || strings.HasPrefix(e, "PATH=")
	})
	cmd.Env = append(cmd.Env, "KUBECONFIG="+c.Kubeconfig(), "PATH="+tools+":"+os.Getenv("PATH"))
	return cmd
}

// Exec runs a command in the cluster's network namespace and returns what it wrote
// to its standard output. The error has what it wrote to the other.
func (c *Cluster) Exec(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := c.Command(ctx, name, args...)
	var errors strings.Builder
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, lastLines(errors.String(), 20))
	}
	return out, nil
}

// LoadImage puts images of a tarball, as "docker save" or package image writes it,
// into the node, where pods find them by their names.
func (c *Cluster) LoadImage(ctx context.Context, tar string) error {
	f, err := os.Open(tar)
	if err != nil {
		return err
	}
	defer f.Close()
	args := c.enter(c.insideProgram("containerd", "ctr"), "--address="+insideDir+"/containerd.sock", "--namespace=k8s.io", "images", "import", "-")
	if err := run(ctx, f, args[0], args[1:]...); err != nil {
		return fmt.Errorf("load image %s: %w", tar, err)
	}
	return nil
}
