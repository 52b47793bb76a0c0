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
	err := o.drain(ctx)
	return errors.Join(err, done(o.ReadyFile))
}

// Quit asks Envoy to end, after [Drain]. The kubelet's signal does that as well, but
// not where the pod goes while Envoy starts: it has no handler for signals yet, and the
// kernel keeps those without one from the first process of a container. Then the signal
// is lost, and the pod stays until its grace period is over. An error may say that Envoy
// has ended already.
func Quit(ctx context.Context, o DrainOptions) error {
	limit, cancel := context.WithTimeout(ctx, quitWithin)
	defer cancel()
	if _, err := o.admin(limit).Post(limit, "/quitquitquit"); err != nil {
		return fmt.Errorf("end Envoy: %w", err)
	}
	return nil
}

// quitWithin is how long Envoy has to take the request to end.
const quitWithin = 5 * time.Second

// admin is how Envoy is asked. It is looked for until it is found: one that starts does
// not answer yet.
func (o *DrainOptions) admin(ctx context.Context) *envoy.Admin {
	if o.Admin != nil {
		return o.Admin
	}
	address, found := adminAddress(ctx, AdminPort)
	admin := envoy.NewAdmin("tcp", address)
	if found {
		o.Admin = admin
	}
	return admin
}

func (o *DrainOptions) drain(ctx context.Context) error {
	start := time.Now()
	limit, cancel := context.WithTimeout(ctx, o.DrainTimeout)
	defer cancel()
	failing := make(<-chan time.Time)
	const fail = "/healthcheck/fail"
	wanted := []string{fail}
	if o.HealthCheckFailureDelay > 0 {
		wanted = []string{"/drain_listeners?graceful&skip_exit"}
		timer := time.NewTimer(o.HealthCheckFailureDelay)
		defer timer.Stop()
		failing = timer.C
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for last := -1; ; {
		var problem error
		if wanted, problem = o.post(limit, wanted); problem != nil {
			o.Logger.Error("cannot drain Envoy yet", "error", problem)
		}
		n, err := o.admin(limit).ActiveConnections(limit, envoy.FleetStatsPort, readyPort)
		passed := time.Since(start)
		switch {
		case err != nil:
			o.Logger.Error("cannot count Envoy's connections", "error", err)
		case len(wanted) == 0 && passed >= o.MinDrainDuration && n <= o.ExitAtConnections:
			o.Logger.Info("drained", "connections", n, "took", passed.Round(time.Millisecond))
			return nil
		case n != last:
			o.Logger.Info("draining", "connections", n)
			last = n
		}
		select {
		case <-failing:
			wanted = append(wanted, fail)
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

// post asks Envoy for one thing after the other and returns what it could not be asked
// for, and why.
func (o *DrainOptions) post(ctx context.Context, wanted []string) ([]string, error) {
	for i, path := range wanted {
		if _, err := o.admin(ctx).Post(ctx, path); err != nil {
			return wanted[i:], fmt.Errorf("drain: %w", err)
		}
	}
	return nil, nil
}
