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
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		// A socket is of the namespace that its thread is in when it is made, and
		// stays so. The thread ends with this goroutine, which does not unlock it.
		runtime.LockOSThread()
		conn, err := dialIn(ctx, c.Netns(), network, address)
		done <- result{conn, err}
	}()
	r := <-done
	return r.conn, r.err
}

func dialIn(ctx context.Context, netns, network, address string) (net.Conn, error) {
	ns, err := os.Open(netns)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("enter network namespace %s: %w", netns, err)
	}
	return new(net.Dialer).DialContext(ctx, network, address)
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
