package render

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/utils/ptr"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/store"
)

// object makes what is to be applied of a typed object: with the user's patch
// over it and without what the API server alone knows. It stays untyped, so that
// fields which this program has not heard of reach the API server, and so does
// what is misspelt, about which the API server's word is clear.
func object(gvk schema.GroupVersionKind, typed store.Object, stable map[string]string, patch *v1alpha1.KubernetesPatchSpec) (*unstructured.Unstructured, error) {
	data, err := json.Marshal(typed)
	if err != nil {
		return nil, fmt.Errorf("%s %s/%s: %w", gvk.Kind, typed.GetNamespace(), typed.GetName(), err)
	}
	if patch != nil {
		if data, err = patched(data, typed, patch); err != nil {
			return nil, fmt.Errorf("patch of %s %s/%s: %w", gvk.Kind, typed.GetNamespace(), typed.GetName(), err)
		}
	}
	u := &unstructured.Unstructured{}
	if err := utiljson.Unmarshal(data, &u.Object); err != nil {
		return nil, fmt.Errorf("%s %s/%s: %w", gvk.Kind, typed.GetNamespace(), typed.GetName(), err)
	}
	if u.GetName() != typed.GetName() || u.GetNamespace() != typed.GetNamespace() {
		return nil, fmt.Errorf("patch of %s %s/%s: it changes name or namespace; there is a field for the name, beside the patch", gvk.Kind, typed.GetNamespace(), typed.GetName())
	}
	u.SetGroupVersionKind(gvk)
	labels := u.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, stable) // by them the object is found again
	u.SetLabels(labels)
	delete(u.Object, "status")
	for _, path := range [][]string{{"metadata"}, {"spec", "template", "metadata"}} {
		if m, ok, err := unstructured.NestedFieldNoCopy(u.Object, path...); err == nil && ok {
			if m, ok := m.(map[string]any); ok && m["creationTimestamp"] == nil {
				delete(m, "creationTimestamp")
			}
		}
	}
	return u, nil
}

// patched is data, which is typed as JSON, with a patch over it.
func patched(data []byte, typed any, patch *v1alpha1.KubernetesPatchSpec) ([]byte, error) {
	if len(patch.Value.Raw) == 0 {
		return nil, errors.New("its value is empty")
	}
	switch t := ptr.Deref(patch.Type, v1alpha1.PatchStrategicMerge); t {
	case v1alpha1.PatchStrategicMerge:
		return strategicpatch.StrategicMergePatch(data, patch.Value.Raw, typed)
	case v1alpha1.PatchJSONMerge:
		return jsonpatch.MergePatch(data, patch.Value.Raw)
	default:
		return nil, fmt.Errorf("type %q is not StrategicMerge or JSONMerge", t)
	}
}
