package kube

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/egctl/egctl/pkg/store"
)

// forbids asks the API server whether it is our permissions that forbid to list a
// place. Only a clear answer counts: an authorizer that could not find out says no,
// too, and adds why.
func (c *clients) forbids(ctx context.Context, p place, r resource) bool {
	client, err := c.client("", "v1")
	if err != nil {
		return false
	}
	review := authorizationv1.SelfSubjectAccessReview{
		TypeMeta: metav1.TypeMeta{APIVersion: authorizationv1.SchemeGroupVersion.String(), Kind: "SelfSubjectAccessReview"},
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: p.namespace, Verb: "list", Group: p.kind.Group, Version: r.version, Resource: r.plural,
		}},
	}
	body, err := json.Marshal(review)
	if err != nil {
		return false
	}
	const asJSON = "application/json"
	answer, err := client.Post().AbsPath("apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews").
		SetHeader("Content-Type", asJSON).SetHeader("Accept", asJSON).Body(body).Timeout(10 * time.Second).Do(ctx).Raw()
	if err != nil || json.Unmarshal(answer, &review) != nil {
		return false
	}
	return !review.Status.Allowed && review.Status.EvaluationError == ""
}

// CaughtUp waits until everything that a live read shows of the objects that decide
// which proxies run has come by the watches, too. A watch may be behind without
// knowing it: what it has not shown yet is not gone. An error is ctx's.
func (s *Source) CaughtUp(ctx context.Context) error {
	delay := retry().DelayFunc()
	for {
		if s.caughtUp(ctx) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(delay()):
		}
	}
}

func (s *Source) caughtUp(ctx context.Context) bool {
	s.mu.Lock()
	complete := s.open
	var watchers []*watcher
	for p, w := range s.watchers {
		if s.decisive(p.kind) {
			watchers = append(watchers, w)
		}
	}
	s.mu.Unlock()
	return complete && !slices.ContainsFunc(watchers, func(w *watcher) bool { return !w.caughtUp(ctx) })
}

// caughtUp compares what is there now with what the watch has shown.
func (w *watcher) caughtUp(ctx context.Context) bool {
	client, err := w.source.clients.client(w.place.kind.Group, w.resource.version)
	if err != nil {
		return false
	}
	request := client.Get().Resource(w.resource.plural).Timeout(time.Minute).
		SetHeader("Accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")
	if w.place.namespace != "" {
		request = request.Namespace(w.place.namespace)
	}
	body, err := request.Do(ctx).Raw()
	if err != nil {
		return false // the watch fails likewise, and says so
	}
	var live metav1.PartialObjectMetadataList
	if json.Unmarshal(body, &live) != nil {
		return false
	}
	return !w.lags(live.Items)
}

// lags says whether something that is there has not been shown by the watch.
func (w *watcher) lags(live []metav1.PartialObjectMetadata) bool {
	w.source.mu.Lock()
	defer w.source.mu.Unlock()
	for i := range live {
		o := &live[i]
		k := store.ID{Kind: w.place.kind, Namespace: o.Namespace, Name: o.Name}.Key()
		seen, ok := w.known[k]
		if unread, bad := w.unread[k]; bad && (!ok || older(seen, unread)) {
			seen, ok = unread, true
		}
		if !ok || older(seen, o.ResourceVersion) {
			return true
		}
	}
	return false
}

// older compares resource versions: numbers that grow.
func older(a, b string) bool {
	x, errX := strconv.ParseUint(a, 10, 64)
	y, errY := strconv.ParseUint(b, 10, 64)
	if errX != nil || errY != nil {
		return a != b
	}
	return x < y
}
