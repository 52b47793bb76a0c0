package status

import (
	"context"
	"encoding/json"
	"fmt"
)

// slice is the part of an EndpointSlice that is counted.
type slice struct {
	Metadata struct {
		Namespace string            `json:"namespace"`
		Labels    map[string]string `json:"labels"`
	} `json:"metadata"`
	Endpoints []struct {
		Addresses  []string `json:"addresses"`
		Conditions struct {
			Ready *bool `json:"ready"`
		} `json:"conditions"`
		TargetRef *struct {
			UID string `json:"uid"`
		} `json:"targetRef"`
	} `json:"endpoints"`
}

// endpointCounter counts a pod once, though it may be in a slice for IPv4 and one for
// IPv6.
type endpointCounter struct {
	seen  map[string]bool
	count map[string]Endpoints
}

func (c *endpointCounter) add(s *slice) {
	service := s.Metadata.Namespace + "/" + s.Metadata.Labels["kubernetes.io/service-name"]
	e := c.count[service]
	for _, ep := range s.Endpoints {
		var id string
		switch {
		case ep.TargetRef != nil && ep.TargetRef.UID != "":
			id = service + " " + ep.TargetRef.UID
		case len(ep.Addresses) > 0:
			id = service + " " + ep.Addresses[0]
		}
		if c.seen[id] {
			continue
		}
		c.seen[id] = true
		e.Total++
		if ep.Conditions.Ready == nil || *ep.Conditions.Ready { // nil means ready
			e.Ready++
		}
	}
	c.count[service] = e
}

// Endpoints counts the endpoints of all Services in a namespace; empty: in all.
func (c *Client) Endpoints(ctx context.Context, namespace string) (map[string]Endpoints, error) {
	counter := endpointCounter{seen: map[string]bool{}, count: map[string]Endpoints{}}
	r := Resource{Group: "discovery.k8s.io", Version: "v1", Kind: "EndpointSlice", Plural: "endpointslices", Namespaced: true}
	_, err := c.each(ctx, r, Query{Namespace: namespace}, func(b json.RawMessage) error {
		var s slice
		if err := json.Unmarshal(b, &s); err != nil {
			return fmt.Errorf("read EndpointSlice: %w", err)
		}
		counter.add(&s)
		return nil
	})
	return counter.count, err
}

// idleIssue says that no endpoint of a Service is ready; listed: it has some, or could.
func idleIssue(on string, listed bool) Issue {
	c := Condition{Type: "Endpoints", Status: "False", Reason: "EndpointsNotFound", Message: "None of its endpoints is ready."}
	if !listed {
		c.Message = "It has no endpoints."
	}
	return Issue{Verdict: Failed, On: on, Condition: c}
}

// idle are the Services that a route sends requests to and that have no endpoint which is
// ready, among those whose endpoints are known.
func idle(route *Object, known map[string]Endpoints, within string) []Issue {
	unresolved := false // then it is said that a Service does not exist
	for i := range route.Status.Parents {
		c := find(route.Status.Parents[i].Conditions, "ResolvedRefs")
		unresolved = unresolved || c != nil && c.Status == "False"
	}
	var list []Issue
	seen := map[string]bool{}
	for _, rule := range route.Spec.Rules {
		for _, ref := range rule.BackendRefs {
			namespace, on := or(ref.Namespace, route.Metadata.Namespace), ref.text("Service", route.Metadata.Namespace)
			if ref.Group != "" || or(ref.Kind, "Service") != "Service" || ref.Weight != nil && *ref.Weight == 0 ||
				within != "" && namespace != within || seen[on] {
				continue
			}
			seen[on] = true
			if e, listed := known[namespace+"/"+ref.Name]; e.Ready == 0 && (listed || !unresolved) {
				list = append(list, idleIssue(on, listed))
			}
		}
	}
	return list
}
