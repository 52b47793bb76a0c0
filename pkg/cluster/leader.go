package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/egctl/egctl/pkg/wellknown"
)

// LeaseName is the Lease that leaders hold: the name that Envoy Gateway uses, so
// that the two never write at the same time during a change from one to the other.
const LeaseName = wellknown.Lease

// election says how the leader is chosen among the replicas.
type election struct {
	Client    kubernetes.Interface
	Namespace string
	// Identity tells this replica from others.
	Identity string
	// Lease is how long a leader that is silent is still one, Renew how long it
	// tries to say that it lives, and Retry the time between attempts.
	Lease, Renew, Retry time.Duration
	Leading             func(bool)
	Logger              *slog.Logger
}

// run calls lead while this replica is the leader, as often as it becomes one,
// until ctx ends. An error of lead costs the leadership: another replica may have
// more luck.
func (e *election) run(ctx context.Context, lead func(context.Context) error) error {
	for ctx.Err() == nil {
		if err := e.term(ctx, lead); err != nil {
			return err
		}
		sleep(ctx, e.Retry)
	}
	return nil
}

// always leads without asking others, until ctx ends. Nobody else could have more
// luck, so what fails is tried again.
func (e *election) always(ctx context.Context, lead func(context.Context) error) {
	e.Leading(true)
	defer e.Leading(false)
	for ctx.Err() == nil {
		if err := lead(ctx); err != nil && ctx.Err() == nil {
			e.Logger.Error("cannot lead; it is tried again", "error", err)
		}
		sleep(ctx, e.Retry)
	}
}

// term waits to be the leader, leads, and returns when lead has returned.
func (e *election) term(ctx context.Context, lead func(context.Context) error) error {
	ctx, resign := context.WithCancel(ctx)
	defer resign()
	var leading sync.WaitGroup
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: e.Namespace, Name: LeaseName},
			Client:     e.Client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: e.Identity},
		},
		LeaseDuration: e.Lease, RenewDeadline: e.Renew, RetryPeriod: e.Retry,
		// What is being written at that moment may come after what the next leader
		// writes. It was true a moment ago, and the next leader sees it and mends it.
		ReleaseOnCancel: true,
		Name:            LeaseName,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) {
				leading.Add(1)
				defer leading.Done()
				defer resign()
				if ctx.Err() != nil {
					return
				}
				e.Logger.Info("leading: writing statuses and infrastructure")
				e.Leading(true)
				defer e.Leading(false)
				err := lead(ctx)
				switch {
				case ctx.Err() != nil:
					e.Logger.Info("no longer leading")
				case err != nil:
					e.Logger.Error("cannot lead; leaving it to others", "error", err)
				}
			},
			OnStoppedLeading: func() {},
			OnNewLeader: func(identity string) {
				if identity != e.Identity {
					e.Logger.Info("another replica leads", "identity", identity)
				}
			},
		},
	})
	if err != nil {
		return fmt.Errorf("leader election: %w", err)
	}
	elector.Run(ctx)
	leading.Wait()
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
