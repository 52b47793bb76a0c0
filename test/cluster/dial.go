package cluster

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// DialContext connects from within the cluster's network namespace, whatever the
// one of the caller. The address is a number: names are not looked up.
func (c *Cluster) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return nil, fmt.Errorf("dial %s in cluster %s: %w", address, c.o.Name, err)
	}
	return within(c, func() (net.Conn, error) { return new(net.Dialer).DialContext(ctx, network, address) })
}

// Listen listens within the cluster's network namespace, for a server of the
// calling process that commands and pods are to reach.
func (c *Cluster) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	return within(c, func() (net.Listener, error) { return new(net.ListenConfig).Listen(ctx, network, address) })
}

// within makes a socket in the cluster's network namespace.
func within[S any](c *Cluster, makeIt func() (S, error)) (S, error) {
	type result struct {
		socket S
		err    error
	}
	done := make(chan result, 1)
	go func() {
		// A socket is of the namespace that its thread is in when it is made, and
		// stays so. The thread ends with this goroutine, which does not unlock it.
		runtime.LockOSThread()
		var r result
		if r.err = enter(c.Netns()); r.err == nil {
			r.socket, r.err = makeIt()
		}
		done <- r
	}()
	r := <-done
	return r.socket, r.err
}

// enter moves the thread into the network namespace.
func enter(netns string) error {
	ns, err := os.Open(netns)
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace %s: %w", netns, err)
	}
	return nil
}

// RESTConfig makes a client of any network namespace the cluster's administrator.
func (c *Cluster) RESTConfig() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		return nil, err
	}
	config.Dial = c.DialContext
	// A test has reasons of its own to wait.
	config.QPS = -1
	return config, nil
}
