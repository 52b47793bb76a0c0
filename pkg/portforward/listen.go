package portforward

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	core "k8s.io/api/core/v1"
)

// listener is an open port on this machine.
type listener struct {
	net.Listener
	port   Port
	opened ForwardedPort
}

// address is where to listen. One that is optional may be missing on a machine.
type address struct {
	ip       netip.Addr
	optional bool
}

// ParseAddress checks an address to listen on: an IP address or "localhost".
func ParseAddress(s string) error {
	_, err := addresses([]string{s})
	return err
}

func addresses(list []string) ([]address, error) {
	var found []address
	seen := map[netip.Addr]bool{}
	add := func(ip netip.Addr, optional bool) {
		if !seen[ip] {
			seen[ip] = true
			found = append(found, address{ip, optional})
		}
	}
	for _, s := range list {
		if s == "localhost" {
			add(netip.AddrFrom4([4]byte{127, 0, 0, 1}), false)
			add(netip.IPv6Loopback(), true)
			continue
		}
		ip, err := netip.ParseAddr(s)
		if err != nil {
			return nil, fmt.Errorf("address %q is neither an IP address nor localhost", s)
		}
		add(ip, false)
	}
	return found, nil
}

// listen opens all ports. What is open is returned with an error, too.
func (f *forwarder) listen(ctx context.Context, pod *core.Pod) ([]*listener, error) {
	list, err := addresses(f.Addresses)
	if err != nil {
		return nil, err
	}
	var open []*listener
	for _, p := range f.Ports {
		remote, err := f.dest.port(p.Remote, pod)
		if err != nil {
			return open, err
		}
		local := uint16(max(p.Local, 0))
		if p.Local < 0 {
			local = remote.number
		}
		for _, a := range list {
			var config net.ListenConfig
			l, err := config.Listen(ctx, "tcp", netip.AddrPortFrom(a.ip, local).String())
			if err != nil {
				if a.optional {
					continue
				}
				return open, cannotListen(err, a.ip, local, p.Remote)
			}
			bound, err := netip.ParseAddrPort(l.Addr().String())
			if err != nil {
				l.Close()
				return open, fmt.Errorf("listen on %s: %w", l.Addr(), err)
			}
			// The other addresses get the port that was free on the first.
			local = bound.Port()
			open = append(open, &listener{
				Listener: l, port: p,
				opened: ForwardedPort{Local: netip.AddrPortFrom(a.ip, local), Port: remote.number, Container: remote.container},
			})
		}
	}
	return open, nil
}

// cannotListen says what to do instead.
func cannotListen(err error, ip netip.Addr, local uint16, remote string) error {
	at := netip.AddrPortFrom(ip, local)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listen on %s: the port is taken; :%s takes any that is free", at, remote)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("listen on %s: a port below 1024 needs privileges; say %d:%s instead", at, 10000+int(local), remote)
	default:
		return fmt.Errorf("listen on %s: %w", at, err)
	}
}

// accept serves the connections to a port until the listener is closed.
func (f *forwarder) accept(ctx context.Context, running *sync.WaitGroup, l *listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			f.report(l.opened.Local, err)
			sleep(ctx, 100*time.Millisecond) // out of file descriptors, most likely
			continue
		}
		running.Go(func() {
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			defer conn.Close()
			if err := f.serve(ctx, conn, l.port); err != nil && ctx.Err() == nil {
				f.report(l.opened.Local, err)
			}
		})
	}
}
