// Package suite has what end-to-end tests stand on: a real cluster, egctl and its
// image and charts built from this checkout, a registry, helm, and helpers that
// wait, send requests and say what was seen last when that was not what was
// expected.
//
// A test package has one [Shared] and closes it in TestMain. Nothing is started
// or built before a test asks for it.
package suite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	gateways "sigs.k8s.io/gateway-api/pkg/client/clientset/versioned"

	"github.com/egctl/egctl/test/cluster"
)

// Version is that of what is built from this checkout.
const Version = "v0.0.0-e2e"

// SystemNamespace is where the controller is.
const SystemNamespace = "envoy-gateway-system"

// Suite is a cluster with what is needed to install egctl in it.
type Suite struct {
	Cluster  *cluster.Cluster
	Config   *rest.Config
	Kube     kubernetes.Interface
	Gateways gateways.Interface
	Dynamic  dynamic.Interface

	// Root is this checkout, Dir a folder for what is made during the run. Dir/bin is
	// in the PATH of commands.
	Root, Dir string

	mapper *restmapper.DeferredDiscoveryRESTMapper
	keep   bool
	// lock is held while this process has the cluster.
	lock *flock.Flock

	mutex     sync.Mutex
	installed string
	registry  *registryServer
}

// Shared is the suite of a test package, started by the first test that needs it.
type Shared struct {
	// Name is that of the cluster, and in capitals a part of the variables that say
	// otherwise: EGCTL_NAME_CLUSTER, EGCTL_NAME_KEEP. Default: e2e.
	Name string

	once  sync.Once
	suite *Suite
	err   error
}

// Get returns the suite. Where there can be none, the test is skipped, which CI
// does not allow.
func (h *Shared) Get(t *testing.T) *Suite {
	t.Helper()
	if why := unavailable(); why != "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("no cluster can be started: ", why)
		}
		t.Skip("SKIPPED, nothing was tested end to end: ", why)
	}
	// Not the test's context: the suite outlives it.
	h.once.Do(func() { h.suite, h.err = start(context.Background(), cmp.Or(h.Name, "e2e")) })
	if h.err != nil {
		t.Fatal(h.err)
	}
	return h.suite
}

// Close removes what Get started, unless EGCTL_NAME_KEEP=1 says to keep the cluster
// for the next run.
func (h *Shared) Close() error {
	if h.suite == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	return h.suite.stop(ctx)
}

func unavailable() string {
	switch {
	case runtime.GOOS != "linux":
		return "it needs Linux, and this is " + runtime.GOOS
	case os.Geteuid() != 0:
		return "it needs root"
	}
	return ""
}

func start(ctx context.Context, name string) (*Suite, error) {
	variable := "EGCTL_" + strings.ToUpper(name)
	name = cmp.Or(os.Getenv(variable+"_CLUSTER"), name)
	module, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/egctl/egctl/test/e2e").Output()
	if err != nil {
		return nil, fmt.Errorf("where is this checkout? go list: %w", err)
	}
	cache, err := cacheDir()
	if err != nil {
		return nil, err
	}
	s := &Suite{
		Root: filepath.Join(strings.TrimSpace(string(module)), "..", ".."), Dir: filepath.Join(cache, "run", name),
		keep: os.Getenv(variable+"_KEEP") == "1", installed: nothing,
	}
	if err := os.MkdirAll(filepath.Join(s.Dir, "bin"), 0o755); err != nil {
		return nil, err
	}
	s.lock = flock.New(s.Dir + ".lock")
	if free, err := s.lock.TryLock(); err != nil || !free {
		return nil, errors.Join(fmt.Errorf("another run has the cluster %s; EGCTL_E2E_CLUSTER names one for this run", name), err)
	}
	o := cluster.Options{Name: name, Envoy: os.Getenv("EGCTL_ENVOY"), Progress: os.Stderr}
	group, building := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		// A cluster that a run left behind says nothing about this run.
		if !s.keep {
			if err := cluster.Down(building, o); err != nil {
				return err
			}
		}
		s.Cluster, err = cluster.Up(building, o)
		return err
	})
	group.Go(func() error { return s.build(building) })
	err = group.Wait()
	if err == nil {
		err = s.connect(ctx)
	}
	if err != nil && s.Cluster != nil {
		return nil, errors.Join(err, s.stop(ctx))
	}
	return s, err
}

// connect makes the clients and gives the cluster the image.
func (s *Suite) connect(ctx context.Context) error {
	var err error
	if s.Config, err = s.Cluster.RESTConfig(); err != nil {
		return err
	}
	if s.Kube, err = kubernetes.NewForConfig(s.Config); err != nil {
		return err
	}
	if s.Gateways, err = gateways.NewForConfig(s.Config); err != nil {
		return err
	}
	if s.Dynamic, err = dynamic.NewForConfig(s.Config); err != nil {
		return err
	}
	d, err := discovery.NewDiscoveryClientForConfig(s.Config)
	if err != nil {
		return err
	}
	s.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(d))
	if err := s.Cluster.LoadImage(ctx, s.ImageFile()); err != nil {
		return err
	}
	return s.clean(ctx)
}

func (s *Suite) stop(ctx context.Context) error {
	var errs []error
	if s.registry != nil {
		errs = append(errs, s.registry.close())
	}
	if s.keep {
		fmt.Fprintf(os.Stderr, "cluster kept; KUBECONFIG=%s inside nsenter --net=%s\n", s.Cluster.Kubeconfig(), s.Cluster.Netns())
		return errors.Join(errs...)
	}
	return errors.Join(append(errs, s.Cluster.Down(ctx))...)
}

// cacheDir is for what outlives runs.
func cacheDir() (string, error) {
	cache, err := os.UserCacheDir()
	return filepath.Join(cache, "egctl", "e2e"), err
}

// Run runs a command in the cluster's network: egctl, kubectl, helm, … It returns
// what was written to standard output, and fails the test if the command fails.
func (s *Suite) Run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := s.Try(t.Context(), name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Try is Run where a failure is not the end: the error has what the command said.
func (s *Suite) Try(ctx context.Context, name string, args ...string) (string, error) {
	return s.TryIn(ctx, "", name, args...)
}

// TryIn is Try with something to read.
func (s *Suite) TryIn(ctx context.Context, stdin, name string, args ...string) (string, error) {
	cmd := s.Cluster.Command(ctx, name, args...)
	s.environ(cmd)
	var out, said strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &said
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, tail(out.String(), 40), tail(said.String(), 40))
	}
	return out.String(), nil
}

// tail is the end of a text.
func tail(text string, lines int) string {
	all := strings.SplitAfter(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "")
}
