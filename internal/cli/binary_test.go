package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/egctl/egctl/pkg/echo"
)

// patience is how long a test waits for what must happen at some time. The
// machine may be busy; a pass never takes that long.
const patience = 60 * time.Second

var build struct {
	sync.Once
	path string
	err  error
}

// egctl returns the binary, which is built for the first test that needs it.
func egctl(t *testing.T) string {
	t.Helper()
	build.Do(func() {
		dir, err := os.MkdirTemp("", "egctl-test-")
		if err != nil {
			build.err = err
			return
		}
		build.path = filepath.Join(dir, "egctl")
		out, err := exec.Command("go", "build", "-o", build.path, "github.com/egctl/egctl/cmd/egctl").CombinedOutput()
		if err != nil {
			build.err = fmt.Errorf("build egctl: %w\n%s", err, out)
		}
	})
	if build.err != nil {
		t.Fatal(build.err)
	}
	return build.path
}

func TestMain(m *testing.M) {
	code := m.Run()
	if build.path != "" {
		_ = os.RemoveAll(filepath.Dir(build.path)) // the system empties its folder for temporary files
	}
	os.Exit(code)
}

// console is what a process writes, readable while it does.
type console struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.Write(p)
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.String()
}

// process is a running egctl.
type process struct {
	t        *testing.T
	cmd      *exec.Cmd
	out, err console
	done     chan struct{}
}

// launch starts egctl.
func launch(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(egctl(t), args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // the state is looked at
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it has mostly ended
		<-p.done
	})
	return p
}

// eventually waits for something to come true.
func (p *process) eventually(what string, ok func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("%s did not come true; egctl says:\n%s", what, p.err.String())
		}
	}
}

// says waits for words on standard error.
func (p *process) says(words ...string) {
	p.t.Helper()
	for _, w := range words {
		p.eventually(fmt.Sprintf("%q", w), func() bool { return strings.Contains(p.err.String(), w) })
	}
}

// exit waits for the end and returns the exit code.
func (p *process) exit() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("egctl does not end; it says:\n%s", p.err.String())
	}
	return p.cmd.ProcessState.ExitCode()
}

// children are the processes that a process has started.
func (p *process) children() []int {
	p.t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	var pids []int
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			continue // the thread has ended
		}
		for _, word := range strings.Fields(string(data)) {
			if pid, err := strconv.Atoi(word); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	if len(pids) == 0 {
		if _, err := os.Stat("/proc/self/task/" + strconv.Itoa(os.Getpid()) + "/children"); err != nil {
			p.t.Skip("finding processes needs Linux")
		}
		p.t.Fatal("egctl has no Envoy")
	}
	return pids
}

// gone waits until processes are no more.
func (p *process) gone(pids []int) {
	p.t.Helper()
	for _, pid := range pids {
		p.eventually(fmt.Sprintf("the end of process %d", pid), func() bool {
			if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
				return true
			}
			// Whoever inherits an orphan may not reap it.
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			return err != nil || strings.Contains(string(stat), ") Z ")
		})
	}
}

func backend(t *testing.T) string {
	t.Helper()
	s, err := echo.Start(context.Background(), echo.Options{
		Addresses: map[echo.Protocol]string{echo.HTTP: "127.0.0.1:0"}, Identity: echo.Identity{Service: "web", Pod: "web-1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Shutdown(ctx) // its clients may not have gone
	})
	return s.Addr(echo.HTTP).String()
}

// folder is a folder of manifests.
type folder struct {
	t   *testing.T
	dir string
}

func (f folder) write(name, text string) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

// status asks the gateway and returns the status; 0 without an answer.
func status(port int, host, path string) int {
	req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", port, path), nil)
	if err != nil {
		return 0
	}
	req.Host = host
	c := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(req)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}
