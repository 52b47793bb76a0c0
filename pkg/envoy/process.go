package envoy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// Phase is what a [Process] is doing.
type Phase string

// The phases. A process goes from Starting to Ready, by way of BackingOff back
// to Starting when Envoy dies, and at last through Draining to Stopped.
const (
	Starting   Phase = "Starting"
	Ready      Phase = "Ready"
	BackingOff Phase = "BackingOff"
	Draining   Phase = "Draining"
	Stopped    Phase = "Stopped"
)

// State is what can be said about a [Process] at one moment.
type State struct {
	Phase    Phase
	PID      int           // of the running Envoy; 0 while there is none
	Restarts int           // how often Envoy was started again
	Err      error         // why the last Envoy ended unasked, or why draining was cut short
	Delay    time.Duration // in BackingOff: until the next start
}

// BackOff says how long to wait before an Envoy that died is started again.
type BackOff struct {
	Initial time.Duration // before the first restart; 0: 100 ms
	Max     time.Duration // it doubles up to here; 0: 30 s
	// Stable is how long an Envoy must have run for its death to count as the
	// first again; 0: 10 s.
	Stable time.Duration
}

func (b BackOff) withDefaults() BackOff {
	if b.Initial == 0 {
		b.Initial = 100 * time.Millisecond
	}
	if b.Max == 0 {
		b.Max = 30 * time.Second
	}
	if b.Stable == 0 {
		b.Stable = 10 * time.Second
	}
	return b
}

// after returns the wait that follows the n-th death in a row, n from 1.
func (b BackOff) after(n int) time.Duration {
	d := b.Initial
	for range n - 1 {
		if d *= 2; d >= b.Max {
			break
		}
	}
	return min(d, b.Max)
}

// ProcessConfig says how to run an Envoy.
type ProcessConfig struct {
	Binary string
	// Bootstrap in JSON or YAML. It must have an admin address.
	Bootstrap []byte
	// Dir is a folder for this process alone; it is made, and its mode set to
	// 0700. The bootstrap is written to it.
	Dir string
	// LogLevel is Envoy's own: trace, debug, info, warning, error, critical or
	// off; empty: warning.
	LogLevel string
	// Concurrency is the number of worker threads; 0: one per CPU.
	Concurrency int
	// DrainTime is how long Stop waits at most for connections to end; 0: 60 s.
	DrainTime time.Duration
	// KillAfter is how long Envoy may take to end after SIGTERM before it gets
	// SIGKILL; 0: 5 s.
	KillAfter time.Duration
	BackOff   BackOff
	// Args are further command line arguments, last.
	Args []string
	// Log takes Envoy's log and the supervisor's own few words. Nil: discarded.
	Log *slog.Logger
	// Stdout takes what Envoy prints there, which is access logs that go to
	// /dev/stdout. Nil: discarded.
	Stdout io.Writer
	// OnState is told of every change, one call at a time and in order. It must
	// return soon and must not call the Process.
	OnState func(State)
}

// Process is one Envoy that is kept running until it is stopped. Envoy dies with
// this process on Linux, however this process dies.
type Process struct {
	cfg   ProcessConfig
	file  string // the bootstrap on disk
	admin *Admin

	stopOnce sync.Once
	stop     chan struct{} // closed by Stop
	hurry    chan struct{} // closed when Stop's context ends
	done     chan struct{} // closed when nothing runs any more

	mu      sync.Mutex
	state   State
	changed chan struct{} // closed and replaced at each change
	ended   error         // what Wait returns
}

// Start runs an Envoy and supervises it: when it dies it is started again, after
// a wait that grows while it keeps dying. Start returns once the first one runs,
// ready or not; an error means that it could not even be executed. When ctx ends
// Envoy is ended at once, without draining; [Process.Stop] is the gentle way.
func Start(ctx context.Context, cfg ProcessConfig) (*Process, error) {
	admin, err := adminOf(cfg.Bootstrap)
	if err != nil {
		return nil, err
	}
	if cfg.LogLevel == "" {
		cfg.LogLevel = "warning"
	}
	if cfg.DrainTime == 0 {
		cfg.DrainTime = 60 * time.Second
	}
	if cfg.KillAfter == 0 {
		cfg.KillAfter = 5 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.BackOff = cfg.BackOff.withDefaults()
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder for envoy: %w", err)
	}
	if err := os.Chmod(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder for envoy: %w", err)
	}
	// YAML, of which JSON is a part, whatever the bootstrap is written in.
	file := filepath.Join(cfg.Dir, "bootstrap.yaml")
	if err := os.WriteFile(file, cfg.Bootstrap, 0o600); err != nil {
		return nil, fmt.Errorf("bootstrap for envoy: %w", err)
	}
	p := &Process{
		cfg: cfg, file: file, admin: admin,
		stop: make(chan struct{}), hurry: make(chan struct{}), done: make(chan struct{}), changed: make(chan struct{}),
	}
	started := make(chan error, 1)
	go p.supervise(ctx, started)
	if err := <-started; err != nil {
		<-p.done
		return nil, err
	}
	return p, nil
}

// args are Envoy's arguments. Hot restart is off: it shares memory by a number
// that two Envoys of one machine would have to agree on, and is not used.
func (p *Process) args() []string {
	args := []string{
		"-c", p.file,
		"--disable-hot-restart",
		"--log-level", p.cfg.LogLevel,
		"--log-format", logFormat,
		"--drain-time-s", strconv.Itoa(max(1, int(p.cfg.DrainTime.Seconds()))),
		"--drain-strategy", "immediate",
	}
	if p.cfg.Concurrency > 0 {
		args = append(args, "--concurrency", strconv.Itoa(p.cfg.Concurrency))
	}
	return append(args, p.cfg.Args...)
}

// Admin returns a client for Envoy's admin interface.
func (p *Process) Admin() *Admin { return p.admin }

// State returns the present state.
func (p *Process) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// Ready waits until Envoy has its configuration and serves. The error says in
// what state it was when ctx ended or the process was stopped.
func (p *Process) Ready(ctx context.Context) error {
	for {
		p.mu.Lock()
		s, changed := p.state, p.changed
		p.mu.Unlock()
		switch s.Phase {
		case Ready:
			return nil
		case Draining, Stopped:
			return notReady(s, errors.New("it was stopped"))
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return notReady(s, context.Cause(ctx))
		}
	}
}

func notReady(s State, why error) error {
	if s.Err != nil {
		return fmt.Errorf("envoy is not ready (%s after %d restarts, last: %w): %w", s.Phase, s.Restarts, s.Err, why)
	}
	return fmt.Errorf("envoy is not ready (%s): %w", s.Phase, why)
}

// Wait returns when Envoy has ended for good: nil after [Process.Stop], else the
// reason for which the context of Start ended.
func (p *Process) Wait() error {
	<-p.done
	return p.ended
}

// Stop ends Envoy gently: its health check fails, clients are asked to go, and
// when no connection is left, or after DrainTime, it gets SIGTERM, and SIGKILL
// if it does not heed that. When ctx ends first, Envoy is killed at once and the
// error says so. Stop returns when Envoy is gone.
func (p *Process) Stop(ctx context.Context) error {
	p.stopOnce.Do(func() { close(p.stop) })
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	select {
	case <-p.hurry:
	default:
		close(p.hurry)
	}
	p.mu.Unlock()
	<-p.done
	return fmt.Errorf("envoy was killed before it was drained: %w", context.Cause(ctx))
}

// set changes the state and tells about it. OnState is called with the lock
// held, which keeps the order; that is why it must not call the Process.
func (p *Process) set(change func(*State)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.state)
	close(p.changed)
	p.changed = make(chan struct{})
	if p.cfg.OnState != nil {
		p.cfg.OnState(p.state)
	}
}
