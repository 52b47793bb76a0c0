// Package shutdown lets a proxy in a cluster end without losing a request.
//
// When a pod is deleted, the kubelet calls the preStop hooks of both of its containers
// at the same time. That of the container beside Envoy runs [Drain]: Envoy's health
// check fails, so that load balancers and clients go elsewhere, and Drain waits until
// they are gone. That of Envoy's own container asks the [Manager] beside it, which
// answers when Drain is done: until then Envoy lives. The two agree by a file. At the
// end [Quit] asks Envoy to end, in case that the kubelet's signal came before Envoy
// heard signals.
package shutdown

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/egctl/egctl/pkg/wellknown"
)

// Defaults, which are those of Envoy Gateway.
const (
	DefaultReadyTimeout     = 610 * time.Second
	DefaultDrainTimeout     = 60 * time.Second
	DefaultMinDrainDuration = 10 * time.Second
	// DefaultReadyFile is made when Envoy may end.
	DefaultReadyFile = "/tmp/shutdown-ready"
	// Port is where the Manager listens, AdminPort where Envoy's admin interface does.
	Port      = wellknown.ProxyShutdownPort
	AdminPort = wellknown.ProxyAdminPort
)

// Every second is often enough for a drain that takes ten.
const interval = time.Second

// Manager answers the kubelet's questions about the drain.
type Manager struct {
	// ReadyTimeout is how long Envoy's preStop hook is kept waiting;
	// [DefaultReadyTimeout] if zero.
	ReadyTimeout time.Duration
	// ReadyFile is [DefaultReadyFile] if empty.
	ReadyFile string
	// Logger may be nil.
	Logger *slog.Logger
}

// Serve serves until ctx ends, and then as long as a hook waits for an answer: the
// kubelet may end this container before Envoy's hook has heard that it may. It closes
// the listener.
func (m *Manager) Serve(ctx context.Context, listener net.Listener) error {
	if m.ReadyTimeout <= 0 {
		m.ReadyTimeout = DefaultReadyTimeout
	}
	if m.ReadyFile == "" {
		m.ReadyFile = DefaultReadyFile
	}
	if m.Logger == nil {
		m.Logger = slog.New(slog.DiscardHandler)
	}
	// A file that is there already is of a container that died; it would end Envoy
	// undrained.
	if err := os.Remove(m.ReadyFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("shutdown manager: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("/shutdown/ready", m.ready)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	over := make(chan error, 1)
	go func() {
		<-ctx.Done()
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.ReadyTimeout)
		defer cancel()
		over <- server.Shutdown(limit)
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("shutdown manager: %w", err)
	}
	if err := <-over; err != nil {
		return fmt.Errorf("shutdown manager: a hook still waits: %w", err)
	}
	return nil
}

// ready answers when Envoy may end, or when it has waited for too long.
func (m *Manager) ready(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	limit := time.NewTimer(m.ReadyTimeout)
	defer limit.Stop()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		_, err := os.Stat(m.ReadyFile)
		if err == nil {
			m.Logger.Info("Envoy may end", "waited", time.Since(start).Round(time.Millisecond))
			w.WriteHeader(http.StatusOK)
			return
		}
		if !errors.Is(err, os.ErrNotExist) {
			m.Logger.Error("cannot tell whether Envoy may end", "error", err)
		}
		select {
		case <-tick.C:
		case <-limit.C:
			m.Logger.Error("Envoy is not drained in time", "waited", m.ReadyTimeout)
			w.WriteHeader(http.StatusInternalServerError)
			return
		case <-r.Context().Done():
			return
		}
	}
}

// done makes the file that the Manager waits for.
func done(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("tell that Envoy may end: %w", err)
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		return fmt.Errorf("tell that Envoy may end: %w", err)
	}
	return nil
}

// adminAddress is where Envoy's admin interface answers, if it does: its loopback address
// depends on the family of addresses that the fleet has.
func adminAddress(ctx context.Context, port int) (address string, found bool) {
	const first = "127.0.0.1"
	for _, host := range []string{first, "::1"} {
		address := net.JoinHostPort(host, strconv.Itoa(port))
		conn, err := (&net.Dialer{Timeout: interval}).DialContext(ctx, "tcp", address)
		if err == nil {
			_ = conn.Close()
			return address, true
		}
	}
	return net.JoinHostPort(first, strconv.Itoa(port)), false
}
