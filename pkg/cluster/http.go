package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/egctl/egctl/pkg/inspect/sync"
	"github.com/egctl/egctl/pkg/wellknown"
)

// Ports of the controller: those of Envoy Gateway, which charts, network policies
// and scrape configurations name.
const (
	XDSPort     = wellknown.XDSPort
	MetricsPort = wellknown.MetricsPort
	ProbePort   = wellknown.ProbePort
	AdminPort   = wellknown.AdminPort
)

// farewell is how long a request may still take when the server is to end.
const farewell = time.Second

// listenAndServe serves HTTP until ctx ends. Nothing of it is left when it returns:
// with another configuration the process goes on.
func listenAndServe(ctx context.Context, what, address string, handler http.Handler) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen for %s: %w", what, err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	over := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(over)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close() // who is still there is cut off
		}
	})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serve %s on %s: %w", what, address, err)
	}
	<-over
	return nil
}

// patience is how long a probe that asks too early waits for an answer: a little
// less than kubelets do. They ask again much later only.
const patience = 900 * time.Millisecond

// probes answers the kubelet. A controller is healthy while it answers, and ready
// once ready says so.
func probes(ready func(context.Context) error) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), patience)
		defer cancel()
		if err := ready(ctx); err != nil {
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}

// scrape answers Prometheus.
func scrape(registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}

// admin answers those who come by port-forward. state is what package sync asks for;
// profiles are for loopback only.
func admin(state func() any, profiles bool, logger *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+sync.Path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(state()); err != nil {
			logger.Debug("admin client went away", "error", err)
		}
	})
	if profiles {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	return mux
}
