// Package cluster starts a real Kubernetes of one node for tests: every program
// of the control plane and of the node is the true one, built from Go's public
// modules. Nothing is mocked, and nothing leaves the machine.
//
// A cluster lives in namespaces of its own. Its network namespace has no way out:
// no packet can leave it, its ports and addresses clash with nobody's, and several
// clusters run side by side. Its process namespace ends as a whole when its first
// process does, and with its mount namespace go its mounts; so stopping leaves
// nothing behind, whatever state the cluster was in, and a start after a crash is
// like any other.
//
// It needs Linux and root.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// Options say which cluster, and where it keeps what. The zero value is the
// cluster "default" in the user's cache folder.
type Options struct {
	// Name tells clusters of this machine apart: up to 20 lower-case letters,
	// digits and hyphens.
	Name string
	// CacheDir is for what was built, and outlives clusters. Default: egctl/cluster
	// in the user's cache folder.
	CacheDir string
	// RunDir has a folder for each cluster, while it is up. Default: the folder run
	// in CacheDir.
	RunDir string
	// Jobs is how many packages the Go compiler works on at once, 0 for one a core.
	Jobs int
	// Envoy is the program to make EnvoyImage of. Default: the one that "make envoy"
	// puts into egctl's cache. Without one there is no such image.
	Envoy string
	// Args are added to the command lines of components, by their name, such as
	// kube-apiserver.
	Args map[string][]string
	// Progress is told what is done and how long it took. Nil: nobody is.
	Progress io.Writer

	progress *sync.Mutex
}

var validName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$`)

// complete fills in the defaults.
func (o Options) complete() (Options, error) {
	if runtime.GOOS != "linux" {
		return o, fmt.Errorf("a test cluster needs Linux, and this is %s", runtime.GOOS)
	}
	if os.Geteuid() != 0 {
		return o, errors.New("a test cluster needs root: it makes namespaces and mounts")
	}
	if o.Name == "" {
		o.Name = "default"
	}
	if !validName.MatchString(o.Name) {
		return o, fmt.Errorf("cluster name %q: up to 20 lower-case letters, digits and hyphens, please", o.Name)
	}
	if o.CacheDir == "" || o.Envoy == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return o, err
		}
		if o.CacheDir == "" {
			o.CacheDir = filepath.Join(cache, "egctl", "cluster")
		}
		if o.Envoy == "" {
			o.Envoy = filepath.Join(cache, "egctl", "envoy", EnvoyVersion, runtime.GOOS+"-"+runtime.GOARCH, "envoy")
		}
	}
	if o.RunDir == "" {
		o.RunDir = filepath.Join(o.CacheDir, "run")
	}
	for _, dir := range []*string{&o.CacheDir, &o.RunDir, &o.Envoy} {
		abs, err := filepath.Abs(*dir)
		if err != nil {
			return o, err
		}
		*dir = abs
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	o.progress = &sync.Mutex{}
	return o, nil
}

func (o Options) say(format string, args ...any) {
	o.progress.Lock()
	defer o.progress.Unlock()
	fmt.Fprintf(o.Progress, format+"\n", args...)
}

// step does something and tells how long it took.
func (o Options) step(what string, do func() error) error {
	began := time.Now()
	if err := do(); err != nil {
		return err
	}
	o.say("%6.1f s  %s", time.Since(began).Seconds(), what)
	return nil
}

// A Cluster is one that is up, or was when it was opened.
type Cluster struct {
	o        Options
	dir      string
	programs programs
	state    state
}

// Up starts the cluster and returns when its node is Ready, a pod can start, and
// names resolve. If it is up already, with the same programs and arguments, Up only
// loads images that it lacks. If something of it is left from a crash, that goes
// first.
func Up(ctx context.Context, o Options) (*Cluster, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	built, err := build(ctx, o)
	if err != nil {
		return nil, err
	}
	unlock, err := o.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if c, err := open(o); err == nil && c.healthy(ctx) == nil {
		if !maps.Equal(c.state.Programs, built.dirs) || !maps.EqualFunc(c.state.Args, o.Args, slices.Equal) {
			return nil, fmt.Errorf("cluster %s is up with other programs or arguments than asked for; take it down first", o.Name)
		}
		o.say("cluster %s is up already", o.Name)
		return c, c.loadImages(ctx, built.images)
	}
	if err := o.remove(ctx); err != nil {
		return nil, err
	}
	c := &Cluster{o: o, dir: o.dir(), programs: built, state: state{Programs: built.dirs, Args: o.Args}}
	if err := o.step("cluster "+o.Name+" is up", func() error { return c.start(ctx) }); err != nil {
		// What the components wrote stays for whoever wants to know more.
		return nil, errors.Join(fmt.Errorf("start cluster %s: %w", o.Name, err), c.end(context.WithoutCancel(ctx)))
	}
	return c, nil
}

// Open returns the cluster that is up. Of o, only the name and the folders count.
func Open(o Options) (*Cluster, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	return open(o)
}

func open(o Options) (*Cluster, error) {
	s, err := readState(o.dir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cluster %s is not up", o.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("cluster %s: %w", o.Name, err)
	}
	if !s.Init.alive() {
		return nil, fmt.Errorf("cluster %s is not up any more: it was killed", o.Name)
	}
	o.Args = s.Args
	return &Cluster{o: o, dir: o.dir(), state: s, programs: programs{dirs: s.Programs}}, nil
}

// Down ends the cluster's processes and removes all that it had on this machine.
func (c *Cluster) Down(ctx context.Context) error { return Down(ctx, c.o) }

// Down is for a cluster that may not be up, or only half: it removes whatever is
// left of it. That nothing is left is no error.
func Down(ctx context.Context, o Options) error {
	o, err := o.complete()
	if err != nil {
		return err
	}
	unlock, err := o.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return o.step("cluster "+o.Name+" is down", func() error { return o.remove(ctx) })
}

// dir is the cluster's folder.
func (o Options) dir() string { return filepath.Join(o.RunDir, o.Name) }

// lock keeps others from starting or ending the same cluster.
func (o Options) lock(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(o.RunDir, 0o755); err != nil {
		return nil, err
	}
	l := flock.New(o.dir() + ".lock")
	if _, err := l.TryLockContext(ctx, 100*time.Millisecond); err != nil {
		return nil, fmt.Errorf("wait for another process that starts or ends cluster %s: %w", o.Name, err)
	}
	// The file stays: removing it would let two others lock two files of the same name.
	return func() { _ = l.Close() }, nil
}

// Dir is the cluster's folder; its logs are in the folder logs.
func (c *Cluster) Dir() string { return c.dir }

// Kubeconfig is a file that makes a client of the network namespace the cluster's
// administrator.
func (c *Cluster) Kubeconfig() string { return filepath.Join(c.dir, "kubeconfig") }

// Netns is the file of the cluster's network namespace, as "nsenter --net=" and
// "go test -exec" want it.
func (c *Cluster) Netns() string { return netnsFile(c.o.netns()) }

// LogFile is what the component writes.
func (c *Cluster) LogFile(component string) string { return c.o.logFile(component) }

// LogFile is what a component of a cluster writes, also of one that could not be
// started.
func LogFile(o Options, component string) (string, error) {
	o, err := o.complete()
	return o.logFile(component), err
}

func (o Options) logFile(component string) string {
	return filepath.Join(o.dir(), "logs", component+".log")
}
