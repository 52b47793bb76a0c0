package status

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/client-go/util/workqueue"

	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate"
)

const (
	// settle is how long an error must last before an Event tells of it: while
	// objects are applied one after the other, references lead nowhere for a moment.
	settle = 2 * time.Second
	// At most so many Events are made a second, and in a burst.
	eventRate, eventBurst = 5, 25
	// maxEventMessage is the API's limit, in bytes.
	maxEventMessage = 1024
)

// events tells of findings of severity Error that are new for their object. All
// but run is called with the writer's mutex held.
type events struct {
	writer *Writer
	queue  workqueue.TypedDelayingInterface[store.Key]
	told   map[store.Key]map[string]bool
}

func (e *events) begin() { e.queue = workqueue.NewTypedDelayingQueue[store.Key]() }

func (e *events) end() {
	e.queue.ShutDown()
	e.queue = nil
}

// consider has an object looked at if it has something to tell or to forget.
func (e *events) consider(k store.Key, r translate.Report) {
	if e.queue != nil && (len(errorsOf(r)) > 0 || e.told[k] != nil) {
		e.queue.AddAfter(k, settle)
	}
}

func errorsOf(r translate.Report) []finding.Finding {
	var out []finding.Finding
	for _, f := range r.Findings {
		if f.Severity == finding.Error {
			out = append(out, f)
		}
	}
	return out
}

// run posts Events until the queue is shut down.
func (e *events) run(ctx context.Context) {
	e.writer.mu.Lock()
	q := e.queue
	e.writer.mu.Unlock()
	limit := flowcontrol.NewTokenBucketRateLimiter(eventRate, eventBurst)
	for q != nil {
		k, quit := q.Get()
		if quit {
			return
		}
		for _, ev := range e.news(k) {
			if limit.Wait(ctx) != nil {
				break
			}
			if err := e.writer.client.post(ctx, ev); err != nil && ctx.Err() == nil {
				e.writer.o.Logger.Debug("cannot make an Event", "object", k.String(), "error", err)
			}
		}
		q.Done(k)
	}
}

// news returns the Events of an object that are due.
func (e *events) news(k store.Key) []*core.Event {
	e.writer.mu.Lock()
	defer e.writer.mu.Unlock()
	ob := e.writer.objects[k]
	if ob == nil || ob.live == nil {
		delete(e.told, k)
		return nil
	}
	var out []*core.Event
	told := map[string]bool{}
	for _, f := range errorsOf(ob.report) {
		id := f.String()
		if !e.told[k][id] && !told[id] {
			out = append(out, event(ob.live, k, f, e.writer.o.ControllerName, time.Now()))
		}
		told[id] = true
	}
	e.told[k] = told
	if len(told) == 0 {
		delete(e.told, k)
	}
	return out
}

// event makes the Event of a finding. Its name follows from what it says of which
// generation, so that a new leader says nothing twice.
func event(live store.Object, k store.Key, f finding.Finding, controller string, now time.Time) *core.Event {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %s", live.GetUID(), live.GetGeneration(), f))
	message := f.Message
	if f.Path != "" {
		message = f.Path + ": " + message
	}
	if f.Hint != "" {
		message += ": " + f.Hint
	}
	if len(message) > maxEventMessage {
		message = strings.ToValidUTF8(message[:maxEventMessage-3], "") + "..."
	}
	namespace := k.Namespace
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	version, kind := live.GetObjectKind().GroupVersionKind().ToAPIVersionAndKind()
	return &core.Event{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Event"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: strings.TrimRight(fmt.Sprintf("%.200s", k.Name), ".-") + "." + hex.EncodeToString(sum[:8])},
		InvolvedObject: core.ObjectReference{
			APIVersion: version, Kind: kind, Namespace: k.Namespace, Name: k.Name,
			UID: live.GetUID(), ResourceVersion: live.GetResourceVersion(), FieldPath: f.Path,
		},
		Type: core.EventTypeWarning, Reason: string(f.Code), Message: message,
		Source: core.EventSource{Component: fieldManager}, ReportingController: controller,
		FirstTimestamp: metav1.NewTime(now), LastTimestamp: metav1.NewTime(now), Count: 1,
	}
}

func (c *client) post(ctx context.Context, ev *core.Event) error {
	r, err := c.of(schema.GroupVersion{Version: "v1"})
	if err != nil {
		return err
	}
	body, err := json.Marshal(ev)
	if err != nil {
		return err
	}
	err = r.Post().Resource("events").Namespace(ev.Namespace).SetHeader("Content-Type", "application/json").Timeout(timeout).Body(body).Do(ctx).Error()
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}
