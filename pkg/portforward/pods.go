package portforward

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/egctl/egctl/pkg/inspect/proxies"
)

// relist is how long after a failure, or where watching is not allowed, pods are
// listed again.
const relist = 2 * time.Second

// podSet follows the pods of a destination.
type podSet struct {
	mu      sync.Mutex
	pods    map[types.UID]*core.Pod
	err     error         // why they are not known
	changed chan struct{} // closed at the next change
}

func newPodSet() *podSet { return &podSet{changed: make(chan struct{})} }

// follow keeps the set up to date until the context ends.
func (s *podSet) follow(ctx context.Context, client typedcore.PodInterface, which metav1.ListOptions) {
	for ctx.Err() == nil {
		list, err := client.List(ctx, which)
		if err != nil {
			s.set(func() { s.err = fmt.Errorf("list pods: %w", err) })
			sleep(ctx, relist)
			continue
		}
		s.set(func() {
			s.err = nil
			s.pods = make(map[types.UID]*core.Pod, len(list.Items))
			for i := range list.Items {
				s.pods[list.Items[i].UID] = &list.Items[i]
			}
		})
		from := which
		from.ResourceVersion = list.ResourceVersion
		events, err := client.Watch(ctx, from)
		if err != nil { // who may list and not watch polls
			sleep(ctx, relist)
			continue
		}
		s.take(events)
		events.Stop()
	}
}

// take takes over events until they end.
func (s *podSet) take(events watch.Interface) {
	for e := range events.ResultChan() {
		pod, ok := e.Object.(*core.Pod)
		if !ok {
			return // too old to go on from: list again
		}
		s.set(func() {
			if e.Type == watch.Deleted {
				delete(s.pods, pod.UID)
			} else {
				s.pods[pod.UID] = pod
			}
		})
	}
}

func (s *podSet) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	close(s.changed)
	s.changed = make(chan struct{})
}

// state returns the pods, the longest ready first, and what is closed when they
// change. Pods are not to be changed.
func (s *podSet) state() ([]*core.Pod, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*core.Pod, 0, len(s.pods))
	for _, p := range s.pods {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *core.Pod) int {
		if c := readySince(a).Compare(readySince(b)); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return list, s.changed, s.err
}

// now returns the pod as it is; nil: it is gone.
func (s *podSet) now(uid types.UID) *core.Pod {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pods[uid]
}

func readySince(p *core.Pod) time.Time {
	for _, c := range p.Status.Conditions {
		if c.Type == core.PodReady && c.Status == core.ConditionTrue {
			return c.LastTransitionTime.Time
		}
	}
	return p.CreationTimestamp.Time.AddDate(1000, 0, 0) // after all that are ready
}

// describe says what is the matter with pods of which none will do.
func describe(pods []*core.Pod) string {
	if len(pods) == 0 {
		return "there are no pods"
	}
	var list []string
	for _, p := range pods {
		if ill := proxies.Ailment(p); ill != "" {
			list = append(list, fmt.Sprintf("pod %s/%s: %s", p.Namespace, p.Name, ill))
		}
	}
	const enough = 3
	if more := len(list) - enough; more > 0 {
		list = append(list[:enough], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(list, "; ")
}

// sleep waits, unless the context ends.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
