package translate

import (
	"encoding/json"
	"fmt"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/egctl/egctl/api/v1alpha1"
)

// mergeSpecs lays a spec over a base.
func mergeSpecs(base, over *v1alpha1.EnvoyProxySpec, how v1alpha1.MergeType) (*v1alpha1.EnvoyProxySpec, error) {
	under, err := encodeSpec(base)
	if err != nil {
		return nil, err
	}
	patch, err := encodeSpec(over)
	if err != nil {
		return nil, err
	}
	var result []byte
	switch how {
	case v1alpha1.JSONMerge:
		result, err = jsonpatch.MergePatch(under, patch)
	case v1alpha1.StrategicMerge:
		result, err = strategicpatch.StrategicMergePatch(under, patch, v1alpha1.EnvoyProxySpec{})
	default:
		err = fmt.Errorf("mergeType %q is not known", how)
	}
	if err != nil {
		return nil, err
	}
	if result, err = showPatches(result); err != nil {
		return nil, err
	}
	spec := &v1alpha1.EnvoyProxySpec{}
	return spec, json.Unmarshal(result, spec)
}

func encodeSpec(s *v1alpha1.EnvoyProxySpec) ([]byte, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return hidePatches(text)
}

// hidden begins the strings that stand for patches.
const hidden = "\x00"

// hidePatches puts a string in the place of each object named patch: what it holds
// is for an object of another kind, of which a merge of specs knows no keys, and
// whose directives are not for it.
func hidePatches(spec []byte) ([]byte, error) {
	return replacePatches(spec, func(v any) (any, error) {
		if _, ok := v.(map[string]any); !ok {
			return v, nil
		}
		text, err := json.Marshal(v)
		return hidden + string(text), err
	})
}

func showPatches(spec []byte) ([]byte, error) {
	return replacePatches(spec, func(v any) (any, error) {
		if text, ok := v.(string); ok && strings.HasPrefix(text, hidden) {
			return json.RawMessage(text[len(hidden):]), nil
		}
		return v, nil
	})
}

func replacePatches(spec []byte, by func(any) (any, error)) ([]byte, error) {
	var doc any
	if err := json.Unmarshal(spec, &doc); err != nil {
		return nil, err
	}
	var walk func(any) error
	walk = func(v any) (err error) {
		m, _ := v.(map[string]any)
		for name, child := range m {
			if name == "patch" {
				m[name], err = by(child)
			} else {
				err = walk(child)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	if err := walk(doc); err != nil {
		return nil, err
	}
	return json.Marshal(doc)
}
