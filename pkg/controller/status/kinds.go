package status

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/store"
)

// Limits of the API.
const (
	maxAddresses = 16
	maxAncestors = 16
	maxParents   = 32
)

// Types of conditions that are ours where a list is everybody's. One that is no
// longer wanted goes.
const (
	classTypes    = "Accepted SupportedVersion"
	gatewayTypes  = "Accepted Programmed ResolvedRefs InsecureFrontendValidationMode"
	setTypes      = "Accepted Programmed"
	listenerTypes = "Accepted Programmed ResolvedRefs Conflicted OverlappingTLSConfig"
)

// liveStatus returns a pointer to the status of an object, as the type in which
// the translator reports it; nil for kinds without one of ours.
func liveStatus(o store.Object) any {
	switch o := o.(type) {
	case *gateway.GatewayClass:
		return &o.Status
	case *gateway.Gateway:
		return &o.Status
	case *gateway.ListenerSet:
		return &o.Status
	case *gateway.HTTPRoute:
		return &o.Status.RouteStatus
	case *gateway.GRPCRoute:
		return &o.Status.RouteStatus
	case *gateway.TLSRoute:
		return &o.Status.RouteStatus
	case *gateway.TCPRoute:
		return &o.Status.RouteStatus
	case *gateway.UDPRoute:
		return &o.Status.RouteStatus
	case *gateway.BackendTLSPolicy:
		return &o.Status
	case *v1alpha1.EnvoyProxy:
		s := &gateway.PolicyStatus{}
		for _, a := range o.Status.Ancestors {
			s.Ancestors = append(s.Ancestors, gateway.PolicyAncestorStatus(a))
		}
		return s
	default:
		return nil
	}
}

// statusPatch compares a live object with the status that the translator reports;
// nil: none of ours. The patch is nil if nothing is to be written. The note says
// what does not fit where no condition can say it.
func statusPatch(live store.Object, desired any, controller string, now time.Time) (p *patch, note string, err error) {
	status := liveStatus(live)
	if status == nil {
		return nil, "", nil
	}
	e := newEdits(now, status)
	ours := gateway.GatewayController(controller)
	switch was := status.(type) {
	case *gateway.GatewayClassStatus:
		// Nothing in the status of a class, a Gateway or a ListenerSet says whose it
		// is. One that is not ours any more is left to its new owner.
		if want, ok := desired.(*gateway.GatewayClassStatus); ok && want != nil {
			conditions("conditions", classTypes, want.Conditions).apply(e, was.Conditions, want.Conditions)
			set(e, "supportedFeatures", was.SupportedFeatures, want.SupportedFeatures)
		}
	case *gateway.GatewayStatus:
		if want, ok := desired.(*gateway.GatewayStatus); ok && want != nil {
			gatewayEdits(e, was, want)
		}
	case *gateway.ListenerSetStatus:
		if want, ok := desired.(*gateway.ListenerSetStatus); ok && want != nil {
			conditions("conditions", setTypes, want.Conditions).apply(e, was.Conditions, want.Conditions)
			setListeners.apply(e, was.Listeners, want.Listeners)
		}
	case *gateway.RouteStatus:
		want, _ := desired.(*gateway.RouteStatus)
		note = parents(live.GetNamespace(), ours).fit(e, was.Parents, ptr.Deref(want, gateway.RouteStatus{}).Parents)
	case *gateway.PolicyStatus:
		want, _ := desired.(*gateway.PolicyStatus)
		wanted := ptr.Deref(want, gateway.PolicyStatus{}).Ancestors
		l := ancestors(live.GetNamespace())
		l.mine = func(a *gateway.PolicyAncestorStatus) bool {
			// Envoy Gateway signs no entries of an EnvoyProxy.
			return a.ControllerName == ours || a.ControllerName == "" && slices.ContainsFunc(wanted, func(w gateway.PolicyAncestorStatus) bool { return l.same(a, &w) })
		}
		note = l.fit(e, was.Ancestors, wanted)
	}
	p, err = e.patch(live)
	return p, note, err
}

func gatewayEdits(e *edits, was, want *gateway.GatewayStatus) {
	wanted, addresses := want.Conditions, want.Addresses
	if more := len(addresses) - maxAddresses; more > 0 {
		addresses = addresses[:maxAddresses]
		wanted = noted(wanted, string(gateway.GatewayConditionProgrammed), tooMany(more, "addresses", maxAddresses))
	}
	conditions("conditions", gatewayTypes, wanted).apply(e, was.Conditions, wanted)
	set(e, "addresses", was.Addresses, addresses)
	listeners.apply(e, was.Listeners, want.Listeners)
	set(e, "attachedListenerSets", was.AttachedListenerSets, want.AttachedListenerSets)
}

// Listeners are all ours, whereas a stranger may add conditions to them.
var listeners = list[gateway.ListenerStatus]{
	field: "listeners",
	mine:  func(*gateway.ListenerStatus) bool { return true },
	same:  func(a, b *gateway.ListenerStatus) bool { return a.Name == b.Name },
	merge: func(e *edits, was *gateway.ListenerStatus, want gateway.ListenerStatus) gateway.ListenerStatus {
		want.Conditions = e.stamped(listenerTypes, ptr.Deref(was, gateway.ListenerStatus{}).Conditions, want.Conditions)
		return want
	},
}

var setListeners = list[gateway.ListenerEntryStatus]{
	field: "listeners",
	mine:  func(*gateway.ListenerEntryStatus) bool { return true },
	same:  func(a, b *gateway.ListenerEntryStatus) bool { return a.Name == b.Name },
	merge: func(e *edits, was *gateway.ListenerEntryStatus, want gateway.ListenerEntryStatus) gateway.ListenerEntryStatus {
		want.Conditions = e.stamped(listenerTypes, ptr.Deref(was, gateway.ListenerEntryStatus{}).Conditions, want.Conditions)
		return want
	},
}

// shared is a list that controllers share: each has the elements under its name.
type shared[T any] struct {
	list[T]
	limit      int
	conditions func(*T) *[]metav1.Condition
}

// fit applies as many of the wanted elements as the API allows beside those of
// others. The last that fits says how many do not; if none fits, the note does.
func (s shared[T]) fit(e *edits, live, want []T) (note string) {
	room := s.limit
	for i := range live {
		if !s.mine(&live[i]) {
			room--
		}
	}
	room = max(room, 0)
	if more := len(want) - room; more > 0 {
		note = tooMany(more, s.field, s.limit)
		want = append([]T(nil), want[:room]...)
		if room > 0 {
			c := s.conditions(&want[room-1])
			*c = noted(*c, string(gateway.RouteConditionAccepted), note)
			note = ""
		}
	}
	s.apply(e, live, want)
	return note
}

func tooMany(more int, what string, limit int) string {
	return fmt.Sprintf("%d more %s are not listed: the API allows %d.", more, what, limit)
}

// noted appends to the message of a condition, in a copy.
func noted(cs []metav1.Condition, kind, note string) []metav1.Condition {
	cs = append([]metav1.Condition(nil), cs...)
	for i := range cs {
		if cs[i].Type == kind {
			cs[i].Message += " " + note
		}
	}
	return cs
}

func parents(namespace string, controller gateway.GatewayController) shared[gateway.RouteParentStatus] {
	return shared[gateway.RouteParentStatus]{
		list: list[gateway.RouteParentStatus]{
			field: "parents",
			mine:  func(p *gateway.RouteParentStatus) bool { return p.ControllerName == controller },
			same: func(a, b *gateway.RouteParentStatus) bool {
				return target(namespace, &a.ParentRef) == target(namespace, &b.ParentRef)
			},
			merge: func(e *edits, was *gateway.RouteParentStatus, want gateway.RouteParentStatus) gateway.RouteParentStatus {
				if was == nil {
					was = &want
				}
				want.ParentRef = was.ParentRef // with the defaults that the API server adds
				want.Conditions = e.own(was.Conditions, want.Conditions)
				return want
			},
		},
		limit:      maxParents,
		conditions: func(p *gateway.RouteParentStatus) *[]metav1.Condition { return &p.Conditions },
	}
}

func ancestors(namespace string) shared[gateway.PolicyAncestorStatus] {
	return shared[gateway.PolicyAncestorStatus]{
		list: list[gateway.PolicyAncestorStatus]{
			field: "ancestors",
			same: func(a, b *gateway.PolicyAncestorStatus) bool {
				return target(namespace, &a.AncestorRef) == target(namespace, &b.AncestorRef)
			},
			merge: func(e *edits, was *gateway.PolicyAncestorStatus, want gateway.PolicyAncestorStatus) gateway.PolicyAncestorStatus {
				if was == nil {
					was = &want
				}
				want.AncestorRef = was.AncestorRef // with the defaults that the API server adds
				want.Conditions = e.own(was.Conditions, want.Conditions)
				return want
			},
		},
		limit:      maxAncestors,
		conditions: func(p *gateway.PolicyAncestorStatus) *[]metav1.Condition { return &p.Conditions },
	}
}

// own stamps the conditions of an element that is ours as a whole.
func (e *edits) own(live, want []metav1.Condition) []metav1.Condition {
	out := e.stamped("", live, want)
	return out[:len(want)]
}

// parent is what a reference means, whichever defaults it leaves out.
type parent struct {
	group, kind, namespace, name, section string
	port                                  int32
}

func target(namespace string, r *gateway.ParentReference) parent {
	return parent{
		group: string(ptr.Deref(r.Group, gateway.GroupName)), kind: string(ptr.Deref(r.Kind, "Gateway")),
		namespace: string(ptr.Deref(r.Namespace, gateway.Namespace(namespace))), name: string(r.Name),
		section: string(ptr.Deref(r.SectionName, "")), port: ptr.Deref(r.Port, 0),
	}
}

// observed returns the generation that a status speaks of; false if it has no
// conditions.
func observed(status any) (int64, bool) {
	var generation int64
	found := false
	look := func(cs []metav1.Condition) {
		for i := range cs {
			generation, found = max(generation, cs[i].ObservedGeneration), true
		}
	}
	switch s := status.(type) {
	case *gateway.GatewayClassStatus:
		look(s.Conditions)
	case *gateway.GatewayStatus:
		look(s.Conditions)
	case *gateway.ListenerSetStatus:
		look(s.Conditions)
	case *gateway.RouteStatus:
		for i := range s.Parents {
			look(s.Parents[i].Conditions)
		}
	case *gateway.PolicyStatus:
		for i := range s.Ancestors {
			look(s.Ancestors[i].Conditions)
		}
	}
	return generation, found
}
