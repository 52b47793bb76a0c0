package status

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/egctl/egctl/pkg/store"
)

// patch is a request that turns a live status into the desired one.
type patch struct {
	kind types.PatchType
	body []byte
}

// operation is one of a JSON patch (RFC 6902).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// edits collects the differences of a status. They touch nothing but what
// differs and is ours: what others wrote, fields that this version does not know
// included, stays as the API server has it.
type edits struct {
	now metav1.Time
	// fresh says that the live object has no status yet.
	fresh  bool
	fields map[string]any // of a fresh status
	ops    []operation
}

func newEdits(now time.Time, status any) *edits {
	return &edits{now: metav1.NewTime(now), fresh: reflect.ValueOf(status).Elem().IsZero(), fields: map[string]any{}}
}

// patch returns the request; nil if nothing differs. It applies to this very
// version of the object and to no other: the positions in a JSON patch would be
// wrong. A fresh status may lack its object, which only a merge patch makes.
func (e *edits) patch(live store.Object) (*patch, error) {
	if len(e.ops) == 0 && len(e.fields) == 0 {
		return nil, nil
	}
	kind, content := types.JSONPatchType, any(append([]operation{sameVersion(live)}, e.ops...))
	if e.fresh {
		kind = types.MergePatchType
		content = map[string]any{"metadata": map[string]any{"resourceVersion": live.GetResourceVersion()}, "status": e.fields}
	}
	body, err := json.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("encode the patch of %s: %w", store.KeyOf(live), err)
	}
	return &patch{kind, body}, nil
}

func sameVersion(live store.Object) operation {
	return operation{"test", "/metadata/resourceVersion", live.GetResourceVersion()}
}

// set makes a field what it should be as a whole; an empty value removes it.
func set[T any](e *edits, field string, live, want T) {
	switch {
	case equality.Semantic.DeepEqual(live, want):
	case e.fresh:
		e.fields[field] = want
	case empty(want):
		e.ops = append(e.ops, operation{Op: "remove", Path: "/status/" + field})
	default:
		e.ops = append(e.ops, operation{"add", "/status/" + field, want})
	}
}

func empty(v any) bool {
	r := reflect.ValueOf(v)
	return r.IsZero() || r.Kind() == reflect.Slice && r.Len() == 0
}

// list describes a list of which some elements are ours.
type list[T any] struct {
	field string
	// mine says which elements of the live list are ours.
	mine func(*T) bool
	// same says which live element a wanted one replaces.
	same func(live, want *T) bool
	// merge takes over from the live element, nil if there is none, what a wanted
	// one should keep.
	merge func(e *edits, live *T, want T) T
}

// apply keeps each element in its place, and adds new ones at the end.
func (l list[T]) apply(e *edits, live, want []T) {
	var replaced, added []operation
	var removed []operation // from the end, so that positions hold
	var values []T
	used := make([]bool, len(want))
	path := "/status/" + l.field
	for i := range live {
		if !l.mine(&live[i]) {
			continue
		}
		at := fmt.Sprintf("%s/%d", path, i)
		j := -1
		for n := range want {
			if !used[n] && l.same(&live[i], &want[n]) {
				j = n
				break
			}
		}
		if j < 0 {
			removed = append([]operation{{Op: "remove", Path: at}}, removed...)
			continue
		}
		used[j] = true
		if v := l.merge(e, &live[i], want[j]); !equality.Semantic.DeepEqual(live[i], v) {
			replaced = append(replaced, operation{"replace", at, v})
		}
	}
	for n := range want {
		if !used[n] {
			v := l.merge(e, nil, want[n])
			values = append(values, v)
			added = append(added, operation{"add", path + "/-", v})
		}
	}
	switch {
	case len(live) > 0:
		e.ops = append(append(append(e.ops, replaced...), removed...), added...)
	case len(values) == 0:
	case e.fresh:
		e.fields[l.field] = values
	default:
		e.ops = append(e.ops, operation{"add", path, values})
	}
}

// stamp gives a condition its lastTransitionTime: that of the live one if the
// status is the same.
func (e *edits) stamp(live *metav1.Condition, want metav1.Condition) metav1.Condition {
	want.LastTransitionTime = e.now
	if live != nil && live.Status == want.Status && !live.LastTransitionTime.IsZero() {
		want.LastTransitionTime = live.LastTransitionTime
	}
	return want
}

// conditions describes a list of conditions of which the given types are ours,
// and those that are wanted.
func conditions(field, owned string, want []metav1.Condition) list[metav1.Condition] {
	types := strings.Fields(owned)
	for i := range want {
		types = append(types, want[i].Type)
	}
	return list[metav1.Condition]{
		field: field,
		mine: func(c *metav1.Condition) bool {
			for _, t := range types {
				if t == c.Type {
					return true
				}
			}
			return false
		},
		same:  func(a, b *metav1.Condition) bool { return a.Type == b.Type },
		merge: (*edits).stamp,
	}
}

// stamped returns wanted conditions with their times, and those of the live ones
// that are of none of the owned types.
func (e *edits) stamped(owned string, live, want []metav1.Condition) []metav1.Condition {
	l := conditions("", owned, want)
	var out []metav1.Condition
	for _, w := range want {
		var before *metav1.Condition
		for i := range live {
			if live[i].Type == w.Type {
				before = &live[i]
			}
		}
		out = append(out, e.stamp(before, w))
	}
	for i := range live {
		if !l.mine(&live[i]) {
			out = append(out, live[i])
		}
	}
	return out
}
