package crd

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// weigh looks whether a release of the Gateway API that lacks fields of the one
// before, as every release of the experimental channel may, takes something away
// from an object.
func (c Client) weigh(ctx context.Context, live *unstructured.Unstructured, d Decision) (Decision, error) {
	if !weighable(live, d) {
		return d, nil
	}
	objects, err := c.objects(ctx, live, d.Lost)
	if apierrors.IsForbidden(err) {
		d.Reason += "; whether an object has them cannot be told: " + err.Error()
		return d, nil
	}
	if err != nil {
		return d, err
	}
	return d.weighed(objects), nil
}

// weighable says whether the objects that exist decide. Definitions of others are
// not weighed: they may have users that have not made an object yet.
func weighable(live *unstructured.Unstructured, d Decision) bool {
	return d.Risk == FieldLoss && IsGatewayAPI(live)
}

// weighed is the decision once the objects of each version are known.
func (d Decision) weighed(objects map[string][]unstructured.Unstructured) Decision {
	if used := uses(d.Lost, objects); len(used) > 0 {
		d.Reason += "; used by " + Fields(used, 3)
		return d
	}
	d.Action, d.Risk, d.Reason, d.Unused = Update, "", "", true
	return d
}

// objects lists all there are, in each version that [Missing] has found to lose a
// field.
func (c Client) objects(ctx context.Context, live *unstructured.Unstructured, lost []string) (map[string][]unstructured.Unstructured, error) {
	group, _, _ := unstructured.NestedString(live.Object, "spec", "group")
	plural, _, _ := unstructured.NestedString(live.Object, "spec", "names", "plural")
	out := map[string][]unstructured.Unstructured{}
	for _, l := range lost {
		version, _, isField := strings.Cut(l, " ")
		if _, ok := out[version]; ok || !isField {
			continue
		}
		list, err := c.Resource(schema.GroupVersionResource{Group: group, Version: version, Resource: plural}).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("list %s.%s: %w", plural, group, err)
		}
		out[version] = list.Items
	}
	return out, nil
}

// uses names what uses fields and versions that [Missing] has found: objects that
// have a field, and versions themselves, whose users cannot be told.
func uses(lost []string, objects map[string][]unstructured.Unstructured) []string {
	var out []string
	for _, l := range lost {
		version, path, isField := strings.Cut(l, " ")
		if !isField {
			out = append(out, "clients of "+version)
			continue
		}
		for _, o := range objects[version] {
			name := strings.TrimPrefix(o.GetNamespace()+"/"+o.GetName(), "/")
			if found := name + " (" + path + ")"; has(o.Object, path) && !slices.Contains(out, found) {
				out = append(out, found)
			}
		}
	}
	slices.Sort(out)
	return out
}

// has says whether a value has something at a path as [Missing] writes it.
func has(value any, path string) bool {
	name, rest, _ := strings.Cut(path, ".")
	field := strings.TrimRight(name, "[]{}")
	m, _ := value.(map[string]any)
	value, ok := m[field]
	if !ok {
		return false
	}
	values := []any{value}
	for inner := name[len(field):]; inner != ""; inner = inner[2:] {
		var next []any
		for _, v := range values {
			switch v := v.(type) {
			case []any:
				next = append(next, v...)
			case map[string]any:
				for _, e := range v {
					next = append(next, e)
				}
			}
		}
		values = next
	}
	if rest == "" {
		return len(values) > 0
	}
	return slices.ContainsFunc(values, func(v any) bool { return has(v, rest) })
}
