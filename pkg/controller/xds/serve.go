package xds

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

const (
	// maxReceive bounds a request. The largest is the first after a reconnect,
	// with the version of every resource: about 100 bytes each.
	maxReceive = 32 << 20
	// minPing is how often a proxy may ping. Envoy's keepalive is of the order
	// of 30 s; a server that is stricter than its clients cuts them off.
	minPing = 15 * time.Second
	// A proxy that is gone without a word must not count as one that has not
	// acknowledged.
	pingAfter, pingTimeout = 30 * time.Second, 10 * time.Second
	// gracePeriod is how long Serve waits for open calls to end.
	gracePeriod = 2 * time.Second
)

// Serve serves ADS on a listener until ctx ends, and then tells the proxies that
// came in by it to reconnect elsewhere. It closes the listener. A Server may be
// served on any number of listeners, each of which comes and goes by itself; opts
// are for transport credentials and the like.
func (s *Server) Serve(ctx context.Context, listener net.Listener, opts ...grpc.ServerOption) error {
	server := grpc.NewServer(append([]grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxReceive),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingAfter, Timeout: pingTimeout}),
	}, opts...)...)
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(server, &service{server: s, stopped: ctx.Done()})

	over := make(chan struct{})
	go func() {
		defer close(over)
		<-ctx.Done()
		hard := time.AfterFunc(gracePeriod, server.Stop)
		defer hard.Stop()
		server.GracefulStop()
	}()
	err := server.Serve(listener)
	if ctx.Err() != nil {
		<-over
		return nil //nolint:nilerr // it was told to end, and Serve says no more than that it did
	}
	server.Stop()
	return fmt.Errorf("serve xDS on %s: %w", listener.Addr(), err)
}

// ListenUnix listens on a unix socket that only this user can reach: its mode
// is 0600, and so that this holds from the first moment on, its folder must be,
// or is made, one that nobody else may enter (0700). A socket left over by a
// process that is no more is replaced; one that answers is an error.
func ListenUnix(path string) (net.Listener, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder of socket %s: %w", path, err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("folder of socket %s: %w", path, err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("folder of socket %s: mode %04o lets others in, want 0700", path, info.Mode().Perm())
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("socket %s: %w", path, err), listener.Close())
	}
	return listener, nil
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("socket %s: %w", path, err)
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("socket %s: something else is in its place", path)
	}
	if conn, err := net.Dial("unix", path); err == nil {
		return errors.Join(fmt.Errorf("socket %s: in use by another process", path), conn.Close())
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("socket %s: %w", path, err)
	}
	return nil
}
