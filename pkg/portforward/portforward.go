// Package portforward makes ports of pods reachable on this machine, by way of
// the API server. A target may be a pod, what has pods (a Service, a Deployment, …)
// or a Gateway, which stands for its proxies. When a pod goes away, another takes
// over; the local ports stay open all the time.
package portforward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	typedgateway "sigs.k8s.io/gateway-api/pkg/client/clientset/versioned/typed/apis/v1"

	"github.com/egctl/egctl/pkg/inspect/proxies"
)

// Options say what to forward.
type Options struct {
	Config *rest.Config
	// Namespace is that of the target.
	Namespace string
	Target    Target
	// Ports are those of the target: of a Gateway's listeners, of a Service, else of
	// the container.
	Ports []Port
	// Addresses to listen on: IP addresses, or "localhost" for 127.0.0.1 and, where
	// there is one, ::1. Empty: localhost.
	Addresses []string
	// ControllerNamespace is where proxies are looked for first; empty for
	// [proxies.DefaultControllerNamespace].
	ControllerNamespace string
	// PodTimeout is how long to wait for a pod at the beginning; zero: not at all.
	// Later, for another pod, there is no limit, except that a target that is one pod
	// is given up after this time.
	PodTimeout time.Duration
	// Ready is called once all ports are open; nil if nobody wants to know.
	Ready func([]ForwardedPort)
	// Out gets a line for each open port, Err what happens to pods and connections.
	// Nil discards.
	Out, Err io.Writer
}

// ForwardedPort is an open port on this machine.
type ForwardedPort struct {
	Local netip.AddrPort
	// Port is the target's, and Container that of the container behind it.
	Port, Container uint16
}

// patience is how long a connection is held while there is no pod to take it.
const patience = 30 * time.Second

// Forward forwards until the context ends, which is no error. It fails if there is no
// pod in time, if a port cannot be opened, or if the cluster does not let it.
func Forward(ctx context.Context, o Options) error {
	if len(o.Ports) == 0 {
		return errors.New("no port to forward")
	}
	if len(o.Addresses) == 0 {
		o.Addresses = []string{"localhost"}
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.Err == nil {
		o.Err = io.Discard
	}
	client, err := typedcore.NewForConfig(o.Config)
	if err != nil {
		return fmt.Errorf("connect to the cluster: %w", err)
	}
	gateways, err := typedgateway.NewForConfig(o.Config)
	if err != nil {
		return fmt.Errorf("connect to the cluster: %w", err)
	}
	f := &forwarder{
		Options: o, core: client, pods: newPodSet(), swapped: make(chan struct{}),
		proxies: proxies.Client{Core: client, Gateways: gateways, ControllerNamespace: o.ControllerNamespace},
	}
	f.lenient = f.adminOnly()
	err = f.run(ctx)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // that it was ended is how a forward ends
	}
	return err
}

type forwarder struct {
	Options
	core    typedcore.CoreV1Interface
	proxies proxies.Client
	dest    *destination
	pods    *podSet
	// lenient takes pods that run and are not ready.
	lenient bool

	said sync.Mutex // one line at a time
	told bool       // that there is no pod; for the goroutine of run only

	mu      sync.Mutex
	link    *link
	swapped chan struct{} // closed when link is another
}

func (f *forwarder) say(format string, args ...any) {
	f.said.Lock()
	defer f.said.Unlock()
	fmt.Fprintf(f.Err, format+"\n", args...)
}

// adminOnly says that only ports are wanted that a proxy has that is not ready:
// one looks at them to learn why it is not.
func (f *forwarder) adminOnly() bool {
	if f.Target.Kind != "gateway" {
		return false
	}
	for _, p := range f.Ports {
		_, named := proxyPorts()[p.Remote]
		numbered := false
		for _, n := range proxyPorts() {
			numbered = numbered || p.Remote == fmt.Sprint(n)
		}
		if !named && !numbered {
			return false
		}
	}
	return true
}

func (f *forwarder) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	deadline := time.Now().Add(f.PodTimeout)
	if err := f.find(ctx, deadline); err != nil {
		return err
	}
	running.Go(func() { f.pods.follow(ctx, f.core.Pods(f.dest.namespace), f.dest.pods) })
	first, err := f.connect(ctx, deadline)
	if err != nil {
		return err
	}
	f.swap(first)
	listeners, err := f.listen(ctx, first.pod)
	for _, l := range listeners {
		context.AfterFunc(ctx, func() { l.Close() })
	}
	if err != nil {
		return err
	}
	f.say("Forwarding to pod %s/%s", first.pod.Namespace, first.pod.Name)
	var open []ForwardedPort
	for _, l := range listeners {
		fmt.Fprintf(f.Out, "Forwarding from %s -> %d\n", l.opened.Local, l.opened.Container)
		open = append(open, l.opened)
		running.Go(func() { f.accept(ctx, &running, l) })
	}
	if f.Ready != nil {
		f.Ready(open)
	}
	return f.keep(ctx, first)
}

// find waits until the target is there. A Gateway's proxies may still be on their way; any
// other target that is missing is a mistake.
func (f *forwarder) find(ctx context.Context, deadline time.Time) error {
	for told := false; ; told = true {
		d, err := f.resolve(ctx)
		if err == nil {
			f.dest = d
			return nil
		}
		var missing *proxies.NotFoundError
		if !errors.As(err, &missing) || time.Now().After(deadline) {
			return err
		}
		if !told {
			f.say("Waiting for the proxies of %s", f.Target)
		}
		sleep(ctx, time.Second)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// connect waits for a pod that will do and connects to it. A zero deadline is none.
func (f *forwarder) connect(ctx context.Context, deadline time.Time) (*link, error) {
	var timeout <-chan time.Time
	if !deadline.IsZero() {
		// A moment for the first list, whatever the timeout.
		timer := time.NewTimer(max(time.Until(deadline), 5*time.Second))
		defer timer.Stop()
		timeout = timer.C
	}
	slow := time.NewTimer(time.Second)
	defer slow.Stop()
	for failures := 0; ; {
		pods, changed, err := f.pods.state()
		state := describe(pods)
		if err != nil {
			state = err.Error()
		}
		var retry <-chan time.Time
		if pod := f.choose(pods, failures); pod != nil {
			l, err := dial(ctx, f.Config, pod)
			if err == nil {
				return l, nil
			}
			if failures++; !deadline.IsZero() && failures == 3 {
				return nil, err
			}
			state = err.Error()
			retry = time.After(min(time.Duration(failures)*500*time.Millisecond, 10*time.Second))
		}
		for waiting := true; waiting; {
			select {
			case <-changed:
				waiting = retry != nil // after a failure its pause is kept
				changed = nil
			case <-retry:
				waiting = false
			case <-slow.C:
				f.told = true
				f.say("Waiting for a ready pod of %s: %s", f.Target, state)
			case <-timeout:
				return nil, fmt.Errorf("no pod of %s in namespace %s is ready: %s", f.Target, f.dest.namespace, state)
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
}

// choose takes the pod that has been ready longest, and another after each failure.
func (f *forwarder) choose(pods []*core.Pod, failures int) *core.Pod {
	var usable []*core.Pod
	for _, p := range pods {
		if f.dest.usable(p, f.lenient) {
			usable = append(usable, p)
		}
	}
	if len(usable) == 0 {
		return nil
	}
	return usable[failures%len(usable)]
}

// keep replaces the link whenever its pod goes away, until the context ends.
func (f *forwarder) keep(ctx context.Context, l *link) error {
	for {
		why := f.lost(ctx, l)
		if ctx.Err() != nil {
			f.swap(nil)
			return nil //nolint:nilerr // likewise
		}
		var deadline time.Time
		f.swap(nil)
		if why != "" { // else the pod is well, only the connection is not
			f.say("Pod %s/%s %s: looking for another", l.pod.Namespace, l.pod.Name, why)
			if f.dest.single {
				deadline = time.Now().Add(f.PodTimeout)
			}
		}
		next, err := f.connect(ctx, deadline)
		if err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // likewise
			}
			return err
		}
		if next.pod.UID != l.pod.UID || f.told {
			f.told = false
			f.say("Forwarding to pod %s/%s", next.pod.Namespace, next.pod.Name)
		}
		l = next
		f.swap(l)
	}
}

// lost waits until the link is to be replaced and says what happened to the pod,
// if it is that. A pod that goes away while there is no other is used to its end.
func (f *forwarder) lost(ctx context.Context, l *link) string {
	for {
		pods, changed, err := f.pods.state()
		now := f.pods.now(l.pod.UID)
		switch {
		case err != nil: // not known: only the connection can tell
		case now == nil:
			return "is gone"
		case now.Status.Phase == core.PodFailed || now.Status.Phase == core.PodSucceeded:
			return "has ended"
		case !f.dest.usable(now, f.lenient) && f.choose(pods, 0) != nil:
			return proxies.Ailment(now)
		}
		select {
		case <-ctx.Done():
			return ""
		case <-changed:
		case <-l.broken:
			return ""
		case <-l.conn.CloseChan():
			return ""
		}
	}
}

// swap makes l the link that connections take; nil: they wait.
func (f *forwarder) swap(l *link) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.link != nil {
		f.link.retire()
	}
	f.link = l
	close(f.swapped)
	f.swapped = make(chan struct{})
}

// current waits for a link. Whoever gets one releases it.
func (f *forwarder) current(ctx context.Context) (*link, error) {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		f.mu.Lock()
		l, swapped := f.link, f.swapped
		f.mu.Unlock()
		if l != nil && l.use() {
			return l, nil
		}
		select {
		case <-swapped:
		case <-timeout.C:
			return nil, fmt.Errorf("no pod of %s took the connection within %s", f.Target, patience)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// serve carries one connection.
func (f *forwarder) serve(ctx context.Context, conn net.Conn, p Port) error {
	for {
		l, err := f.current(ctx)
		if err != nil {
			return err
		}
		found, err := f.dest.port(p.Remote, l.pod)
		if err == nil {
			err = l.carry(ctx, conn, found.container)
		}
		l.release()
		if !errors.Is(err, errNoStream) || ctx.Err() != nil {
			return err
		}
		// Nothing has been read from the connection: the next link can have it, once it is there.
		f.mu.Lock()
		swapped, same := f.swapped, f.link == l
		f.mu.Unlock()
		if same {
			select {
			case <-swapped:
			case <-ctx.Done():
			}
		}
	}
}

// report says what went wrong with a connection.
func (f *forwarder) report(local netip.AddrPort, err error) {
	f.say("Connection to %s failed: %s", local, strings.TrimSpace(err.Error()))
}
