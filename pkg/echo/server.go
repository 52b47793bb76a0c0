package echo

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
)

// Server is a running echo server.
type Server struct {
	opts        Options
	log         *slog.Logger
	certificate []byte
	addrs       map[Protocol]net.Addr
	services    []service

	// stopping is closed when the server begins to stop: from then on, an error
	// of a listener is no news.
	stopping chan struct{}
	stopOnce sync.Once
	serving  sync.WaitGroup

	mu  sync.Mutex
	err error
}

// service is one listener and what answers it.
type service interface {
	// serve returns when the service was shut down or its listener failed.
	serve() error
	// shutdown takes no new work, waits for what is under way until ctx is
	// done, and then cuts it off. serve returns once it was called.
	shutdown(ctx context.Context) error
}

// Start opens every listener of opts and serves them until [Server.Shutdown].
// Connections are accepted once it returns. ctx bounds the start only. If one
// listener cannot be opened, none stays open and the error names it.
func Start(ctx context.Context, opts Options) (*Server, error) {
	s := &Server{
		opts:     opts,
		log:      opts.Logger,
		addrs:    map[Protocol]net.Addr{},
		stopping: make(chan struct{}),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	for p := range opts.Addresses {
		if !known(p) {
			return nil, fmt.Errorf("echo server: unknown protocol %q", p)
		}
	}
	if err := s.prepareTLS(); err != nil {
		return nil, err
	}

	listeners := map[Protocol]net.Listener{}
	var packets net.PacketConn
	closeAll := func() {
		for _, l := range listeners {
			l.Close()
		}
		if packets != nil {
			packets.Close()
		}
	}
	var lc net.ListenConfig
	for _, p := range protocols() {
		address := opts.Addresses[p]
		if address == "" {
			continue
		}
		var err error
		if p == UDP {
			if packets, err = lc.ListenPacket(ctx, "udp", address); err == nil {
				s.addrs[p] = packets.LocalAddr()
			}
		} else {
			var l net.Listener
			if l, err = lc.Listen(ctx, "tcp", address); err == nil {
				listeners[p], s.addrs[p] = l, l.Addr()
			}
		}
		if err != nil {
			closeAll()
			return nil, fmt.Errorf("echo server: listen for %s: %w", p, err)
		}
	}
	if len(s.addrs) == 0 {
		return nil, errors.New("echo server: no address to listen on")
	}

	grpcDescriptor, err := describeGRPC()
	if err != nil {
		closeAll()
		return nil, err
	}
	// Services are made only now: their answers tell ports, which the system
	// may just have picked.
	retries := newRetries()
	for p, l := range listeners {
		switch p {
		case HTTP, H2C, HTTPS:
			s.services = append(s.services, newHTTPService(s, p, l, retries))
		case GRPC, GRPCS:
			s.services = append(s.services, newGRPCService(s, p, l, grpcDescriptor))
		default:
			s.services = append(s.services, newTCPService(s, p, l))
		}
	}
	if packets != nil {
		s.services = append(s.services, &udpService{server: s, conn: packets})
	}
	for _, svc := range s.services {
		s.serving.Go(func() { s.run(svc) })
	}
	for _, p := range protocols() {
		if addr := s.addrs[p]; addr != nil {
			s.log.InfoContext(ctx, "listening", "protocol", string(p), "address", addr.String())
		}
	}
	return s, nil
}

func known(p Protocol) bool {
	for _, q := range protocols() {
		if p == q {
			return true
		}
	}
	return false
}

// prepareTLS makes a certificate if one is needed and none was given.
func (s *Server) prepareTLS() error {
	if s.opts.TLS != nil {
		return nil
	}
	for p, address := range s.opts.Addresses {
		if p.encrypted() && address != "" {
			config, certificate, err := selfSigned(s.opts.Identity)
			if err != nil {
				return err
			}
			s.opts.TLS, s.certificate = config, certificate
			return nil
		}
	}
	return nil
}

// tlsConfig is the TLS configuration of one listener, with its own ALPN list.
func (s *Server) tlsConfig(protocols ...string) *tls.Config {
	config := s.opts.TLS.Clone()
	config.NextProtos = protocols
	return config
}

// run serves svc. A listener that fails takes the server down: half a backend
// answers half of a test.
func (s *Server) run(svc service) {
	err := svc.serve()
	select {
	case <-s.stopping:
		return
	default:
	}
	if err == nil {
		err = errors.New("listener closed")
	}
	s.mu.Lock()
	if s.err == nil {
		s.err = fmt.Errorf("echo server: %w", err)
	}
	s.mu.Unlock()
	// Not from here: Shutdown waits for this goroutine.
	go func() {
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.Shutdown(gone) // its error would only say that there was no grace
	}()
}

// Addr is the address on which p is served, nil if it is off.
func (s *Server) Addr(p Protocol) net.Addr { return s.addrs[p] }

// port is the port on which p is served, "" if it is off.
func (s *Server) port(p Protocol) string {
	addr := s.addrs[p]
	if addr == nil {
		return ""
	}
	_, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return ""
	}
	return port
}

// CertificatePEM is the certificate that the server made for itself, for
// clients to trust; nil if [Options.TLS] was given or nothing is encrypted.
func (s *Server) CertificatePEM() []byte { return s.certificate }

// Wait blocks until the server has stopped. It returns nil after a
// [Server.Shutdown], else the error of the listener that failed.
func (s *Server) Wait() error {
	<-s.stopping
	s.serving.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Shutdown closes the listeners, lets requests under way finish until ctx is
// done, and then cuts them off and returns ctx's error. Connections between
// requests are closed at once. It may be called more than once.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopOnce.Do(func() { close(s.stopping) })
	errs := make([]error, len(s.services))
	var wg sync.WaitGroup
	for i, svc := range s.services {
		wg.Go(func() { errs[i] = svc.shutdown(ctx) })
	}
	wg.Wait()
	s.serving.Wait()
	return errors.Join(errs...)
}
