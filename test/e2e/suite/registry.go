package suite

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// registryServer is an OCI registry in the cluster's network, empty at first.
type registryServer struct {
	listener net.Listener
	server   *http.Server
	done     chan error
}

// Registry returns the address of a registry, such as 127.0.0.1:4567, which
// commands reach by plain HTTP.
func (s *Suite) Registry(t *testing.T) string {
	t.Helper()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.registry == nil {
		listener, err := s.Cluster.Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		r := &registryServer{
			listener: listener, done: make(chan error, 1),
			server: &http.Server{Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0))), ReadHeaderTimeout: 10 * time.Second},
		}
		go func() { r.done <- r.server.Serve(listener) }()
		s.registry = r
	}
	return s.registry.listener.Addr().String()
}

func (r *registryServer) close() error {
	err := r.server.Close()
	if served := <-r.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
