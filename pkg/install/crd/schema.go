package crd

import (
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// version is one version of a definition.
type version struct {
	served bool
	schema map[string]any
	whole  map[string]any
}

func versions(definition *unstructured.Unstructured) map[string]version {
	list, _, _ := unstructured.NestedSlice(definition.Object, "spec", "versions")
	out := map[string]version{}
	for _, item := range list {
		v, ok := item.(map[string]any)
		if !ok {
			continue
		}
		name, _, _ := unstructured.NestedString(v, "name")
		served, _, _ := unstructured.NestedBool(v, "served")
		schema, _, _ := unstructured.NestedMap(v, "schema", "openAPIV3Schema")
		out[name] = version{served: served, schema: schema, whole: v}
	}
	return out
}

// storedVersions are those in which objects may lie in the cluster's storage.
func storedVersions(live *unstructured.Unstructured) []string {
	stored, _, _ := unstructured.NestedStringSlice(live.Object, "status", "storedVersions")
	return stored
}

// same says whether two definitions define the same.
func same(a, b *unstructured.Unstructured) bool {
	return ReleaseOf(a) == ReleaseOf(b) && reflect.DeepEqual(versions(a), versions(b))
}

// Missing lists what definition a has and b has not, sorted: served versions as
// "v1beta1", and fields as "v1 spec.rules[].retry". What is below a missing field
// is not listed. [] stands for each item of a list, {} for each value of a map.
func Missing(a, b *unstructured.Unstructured) []string {
	var out []string
	other := versions(b)
	for name, v := range versions(a) {
		if !v.served {
			continue
		}
		w, ok := other[name]
		if !ok || !w.served {
			out = append(out, name)
			continue
		}
		out = missing(out, v.schema, w.schema, name+" ")
	}
	slices.Sort(out)
	return out
}

func missing(out []string, a, b map[string]any, path string) []string {
	if open, _ := b["x-kubernetes-preserve-unknown-fields"].(bool); open {
		return out // every field is kept
	}
	if items, ok := a["items"].(map[string]any); ok {
		other, _ := b["items"].(map[string]any)
		return missing(out, items, other, path+"[]")
	}
	if values, ok := a["additionalProperties"].(map[string]any); ok {
		other, _ := b["additionalProperties"].(map[string]any)
		return missing(out, values, other, path+"{}")
	}
	fields, _ := a["properties"].(map[string]any)
	others, _ := b["properties"].(map[string]any)
	for name, field := range fields {
		f, _ := field.(map[string]any)
		at := path + name
		if last := path[len(path)-1]; last != ' ' {
			at = path + "." + name
		}
		o, ok := others[name].(map[string]any)
		if !ok {
			out = append(out, at)
			continue
		}
		out = missing(out, f, o, at)
	}
	return out
}
