package envoy

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// child is one run of Envoy.
type child struct {
	cmd    *exec.Cmd
	lines  *logLines
	exited chan error // gets the result of Wait, once
}

// supervise runs one Envoy after the other until it is told to stop.
func (p *Process) supervise(ctx context.Context, started chan<- error) {
	// The kernel sends the parent death signal when the thread that forked ends,
	// not the process. This goroutine outlives its children, so it keeps the
	// thread for itself (golang.org/issue/27505).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)

	deaths := 0
	for first := true; ; first = false {
		begin := time.Now()
		c, err := p.spawn(first)
		if first {
			started <- err
			if err != nil {
				return
			}
		}
		if err == nil {
			var stopped bool
			if stopped, err = p.attend(ctx, c); stopped {
				return
			}
		}
		if time.Since(begin) >= p.cfg.BackOff.Stable {
			deaths = 0
		}
		deaths++
		delay := p.cfg.BackOff.after(deaths)
		p.cfg.Log.Error("envoy ended unasked", "error", err, "restartIn", delay)
		p.set(func(s *State) { s.Phase, s.PID, s.Err, s.Delay = BackingOff, 0, err, delay })
		select {
		case <-time.After(delay):
		case <-p.stop:
			p.finish(nil, nil)
			return
		case <-ctx.Done():
			p.finish(context.Cause(ctx), nil)
			return
		}
	}
}

func (p *Process) spawn(first bool) (*child, error) {
	c := &child{exited: make(chan error, 1), lines: &logLines{log: p.cfg.Log}}
	// The context is not the command's: ending is supervise's business.
	c.cmd = exec.Command(p.cfg.Binary, p.args()...)
	c.cmd.Dir = p.cfg.Dir
	c.cmd.Stderr = c.lines
	c.cmd.Stdout = p.cfg.Stdout
	c.cmd.WaitDelay = time.Second
	c.cmd.SysProcAttr = sysProcAttr()
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start envoy: %w", err)
	}
	p.set(func(s *State) {
		s.Phase, s.PID, s.Delay = Starting, c.cmd.Process.Pid, 0
		if !first {
			s.Restarts++
		}
	})
	go func() {
		err := c.cmd.Wait()
		c.lines.flush()
		c.exited <- c.explain(err)
	}()
	return c, nil
}

// explain adds to an exit status what Envoy said last.
func (c *child) explain(err error) error {
	if err == nil {
		err = errors.New("exit status 0")
	}
	if last := c.lines.lastError(); last != "" {
		return fmt.Errorf("envoy: %w: %s", err, last)
	}
	return fmt.Errorf("envoy: %w", err)
}

// attend looks after one Envoy until it ends. stopped says that this was wanted;
// otherwise err is the reason.
func (p *Process) attend(ctx context.Context, c *child) (stopped bool, err error) {
	readyCtx, cancel := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if p.admin.awaitReady(readyCtx) == nil {
			p.set(func(s *State) { s.Phase = Ready })
		}
	}()
	stopWatching := func() { cancel(); <-watched }
	defer stopWatching()

	select {
	case err := <-c.exited:
		return false, err
	case <-ctx.Done():
		stopWatching()
		p.terminate(c)
		p.finish(context.Cause(ctx), nil)
		return true, nil
	case <-p.stop:
		stopWatching()
		p.finish(nil, p.drainAndEnd(ctx, c))
		return true, nil
	}
}

// drainAndEnd is the gentle end. It returns why connections were cut, if so.
func (p *Process) drainAndEnd(ctx context.Context, c *child) error {
	serves := p.serves(ctx)
	p.set(func(s *State) { s.Phase = Draining })
	var cut error
	if serves {
		drainCtx, cancel := context.WithCancel(ctx)
		drained := make(chan error, 1)
		go func() { drained <- p.admin.drain(drainCtx, p.cfg.DrainTime) }()
		select {
		case cut = <-drained:
			cancel()
		case err := <-c.exited: // it died by itself: nothing is left to end
			cancel()
			<-drained //nolint:errcheck // it was called off
			return err
		case <-p.hurry:
			cancel()
			<-drained //nolint:errcheck // it was called off
			cut = errors.New("stopped in a hurry")
		}
		if cut != nil {
			p.cfg.Log.Warn("envoy is ended before its connections were", "error", cut)
		}
	}
	p.terminate(c)
	return cut
}

// serves says whether there is anything to drain. An Envoy may serve before anybody has
// seen that it is ready; one that does not answer in time is not there yet, and its admin
// interface may hang.
func (p *Process) serves(ctx context.Context) bool {
	if p.State().Phase == Ready {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err := p.admin.Get(ctx, "/ready")
	return err == nil
}

// terminate ends Envoy by SIGTERM, by SIGKILL when that takes too long or when
// there is a hurry, and returns when it is gone.
func (p *Process) terminate(c *child) {
	// An error means that it is gone already, which exited will tell too.
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.exited: //nolint:errcheck // however it ended, it did
		return
	case <-p.hurry:
	case <-time.After(p.cfg.KillAfter):
		p.cfg.Log.Warn("envoy does not end, killing it", "after", p.cfg.KillAfter)
	}
	_ = c.cmd.Process.Kill()
	<-c.exited //nolint:errcheck // however it ended, it did
}

func (p *Process) finish(ended, cut error) {
	p.ended = ended
	p.set(func(s *State) { s.Phase, s.PID, s.Delay, s.Err = Stopped, 0, 0, cut })
}
