package shutdown

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/egctl/egctl/pkg/envoy"
	"github.com/egctl/egctl/pkg/wellknown"
)

// DrainOptions say how to drain an Envoy. A zero duration is one; the defaults are
// constants.
type DrainOptions struct {
	// DrainTimeout is how long to wait for connections to be gone, at most, and
	// MinDrainDuration at least: load balancers need time to notice.
	DrainTimeout, MinDrainDuration time.Duration
	// HealthCheckFailureDelay is how long the health check still succeeds, while
	// clients are asked to go elsewhere.
	HealthCheckFailureDelay time.Duration
	// ExitAtConnections is how many connections may be left.
	ExitAtConnections int

	// Admin is the admin interface of Envoy; the one on [AdminPort] of this machine if
	// nil.
	Admin *envoy.Admin
	// ReadyFile is [DefaultReadyFile] if empty.
	ReadyFile string
	// Logger may be nil.
	Logger *slog.Logger
}

// Drain drains Envoy and then makes the ready file, whatever has gone wrong before: an
// Envoy that cannot be asked must not hold up the end of its pod. It returns what went
// wrong. The end of ctx ends the drain.
func Drain(ctx context.Context, o DrainOptions) error {
	if o.ReadyFile == "" {
		o.ReadyFile = DefaultReadyFile
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Admin == nil {
		o.Admin = envoy.NewAdmin("tcp", adminAddress(ctx, AdminPort))
	}
	err := o.drain(ctx)
	return errors.Join(err, done(o.ReadyFile))
}

func (o *DrainOptions) drain(ctx context.Context) error {
	start := time.Now()
	limit, cancel := context.WithTimeout(ctx, o.DrainTimeout)
	defer cancel()
	failing := make(<-chan time.Time)
	var problem error
	if o.HealthCheckFailureDelay <= 0 {
		problem = o.post(limit, "/healthcheck/fail")
	} else {
		problem = o.post(limit, "/drain_listeners?graceful&skip_exit")
		timer := time.NewTimer(o.HealthCheckFailureDelay)
		defer timer.Stop()
		failing = timer.C
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for last := -1; ; {
		n, err := o.Admin.ActiveConnections(limit, envoy.FleetStatsPort, readyPort)
		passed := time.Since(start)
		switch {
		case err != nil:
			o.Logger.Error("cannot count Envoy's connections", "error", err)
		case passed >= o.MinDrainDuration && n <= o.ExitAtConnections:
			o.Logger.Info("drained", "connections", n, "took", passed.Round(time.Millisecond))
			return problem
		case n != last:
			o.Logger.Info("draining", "connections", n)
			last = n
		}
		select {
		case <-failing:
			problem = errors.Join(problem, o.post(limit, "/healthcheck/fail"))
		case <-tick.C:
		case <-limit.Done():
			if ctx.Err() != nil {
				return errors.Join(problem, fmt.Errorf("drain: %w", context.Cause(ctx)))
			}
			// That is how long they were given, and no error.
			o.Logger.Warn("the time for draining is over", "connections", n, "took", o.DrainTimeout)
			return problem
		}
	}
}

// readyPort is that of the readiness listener, which the kubelet keeps asking.
const readyPort = wellknown.ProxyReadyPort

func (o *DrainOptions) post(ctx context.Context, path string) error {
	if _, err := o.Admin.Post(ctx, path); err != nil {
		return fmt.Errorf("drain: %w", err)
	}
	return nil
}
