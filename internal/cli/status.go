package cli

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/pkg/inspect/configdump"
	"github.com/egctl/egctl/pkg/store"
)

// statusObject is an object with nothing but its status.
type statusObject struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	Metadata   statusMeta `json:"metadata"`
	Status     any        `json:"status"`
}

type statusMeta struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
}

// statuses lists the objects that have a status, in the order of the kinds.
func (w *world) statuses() []statusObject {
	var keys []store.Key
	for k, r := range w.reports {
		if r.Status != nil {
			keys = append(keys, k)
		}
	}
	rank := map[store.Kind]int{}
	for i, info := range store.Kinds {
		rank[info.Kind] = i
	}
	slices.SortFunc(keys, func(a, b store.Key) int {
		if a.Kind != b.Kind {
			return rank[a.Kind] - rank[b.Kind]
		}
		return a.Compare(b)
	})
	list := make([]statusObject, len(keys))
	for i, k := range keys {
		info, _ := store.Info(k.Kind) // reports are on kinds of the store
		list[i] = statusObject{
			APIVersion: k.Group + "/" + info.Version,
			Kind:       k.Kind.Kind,
			Metadata:   statusMeta{Name: k.Name, Namespace: k.Namespace},
			Status:     w.reports[k].Status,
		}
	}
	return list
}

func (o *translateOptions) printStatus(w *world) error {
	list := w.statuses()
	if o.Output == "table" {
		var rows [][]string
		for _, s := range list {
			name := strings.ToLower(s.Kind) + "/" + s.Metadata.Name
			for _, c := range conditions(s.Status) {
				rows = append(rows, []string{s.Metadata.Namespace, name, c.on, c.Type, string(c.Status), c.Reason})
			}
		}
		return configdump.WriteTable(o.Out, []string{"NAMESPACE", "NAME", "ON", "TYPE", "STATUS", "REASON"}, rows)
	}
	return printObject(o.Out, o.Output, struct {
		APIVersion string         `json:"apiVersion"`
		Kind       string         `json:"kind"`
		Items      []statusObject `json:"items"`
	}{"v1", "List", list})
}

// placed is a condition and the part of the object, or the parent, it is about.
type placed struct {
	on string
	metav1.Condition
}

func conditions(status any) []placed {
	var list []placed
	add := func(on string, conditions []metav1.Condition) {
		for _, c := range conditions {
			list = append(list, placed{on, c})
		}
	}
	parent := func(ref gateway.ParentReference) string {
		kind := "Gateway"
		if ref.Kind != nil {
			kind = string(*ref.Kind)
		}
		s := strings.ToLower(kind) + "/" + string(ref.Name)
		if ref.SectionName != nil {
			s += "/" + string(*ref.SectionName)
		}
		if ref.Port != nil {
			s += fmt.Sprintf(":%d", *ref.Port)
		}
		return s
	}
	switch s := status.(type) {
	case *gateway.GatewayClassStatus:
		add("", s.Conditions)
	case *gateway.GatewayStatus:
		add("", s.Conditions)
		for i := range s.Listeners {
			add("listener "+string(s.Listeners[i].Name), s.Listeners[i].Conditions)
		}
	case *gateway.ListenerSetStatus:
		add("", s.Conditions)
		for i := range s.Listeners {
			add("listener "+string(s.Listeners[i].Name), s.Listeners[i].Conditions)
		}
	case *gateway.RouteStatus:
		for i := range s.Parents {
			add(parent(s.Parents[i].ParentRef), s.Parents[i].Conditions)
		}
	case *gateway.PolicyStatus:
		for i := range s.Ancestors {
			add(parent(s.Ancestors[i].AncestorRef), s.Ancestors[i].Conditions)
		}
	}
	return list
}
