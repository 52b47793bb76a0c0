package kube_test

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
)

// link passes connections on to an API server, until it is cut.
type link struct {
	config *rest.Config
	server string
	addr   string

	mu    sync.Mutex
	l     net.Listener
	conns []net.Conn
}

func newLink(t *testing.T, config *rest.Config) *link {
	t.Helper()
	u, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	l := &link{config: rest.CopyConfig(config), server: u.Host, addr: "127.0.0.1:0"}
	l.restore(t)
	if !config.Insecure && config.ServerName == "" {
		l.config.ServerName = u.Hostname()
	}
	l.config.Host = "https://" + l.addr
	t.Cleanup(l.cut)
	return l
}

func (l *link) restore(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", l.addr)
	if err != nil {
		t.Fatal(err)
	}
	l.addr = listener.Addr().String()
	l.mu.Lock()
	l.l = listener
	l.mu.Unlock()
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", l.server)
			if err != nil {
				_ = in.Close()
				continue
			}
			l.mu.Lock()
			l.conns = append(l.conns, in, out)
			l.mu.Unlock()
			go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
			go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
		}
	}()
}

func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.l.Close()
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.conns = nil
}
