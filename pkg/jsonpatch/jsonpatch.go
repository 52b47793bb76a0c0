// Package jsonpatch applies the patches of the extension API: operations of RFC 6902
// whose place may be found by a JSONPath (RFC 9535).
package jsonpatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	patch "github.com/evanphx/json-patch/v5"
	"github.com/theory/jsonpath"

	"github.com/egctl/egctl/api/v1alpha1"
)

// Apply returns doc with the operations applied one after the other. With a jsonPath,
// an operation is applied to every match, and its path is relative to the match; no
// match is an error, as it is most likely a mistake. An add makes the parents that its
// path lacks. An error names the operation by its number in the list, from 0, and
// nothing is applied.
func Apply(doc []byte, operations []v1alpha1.JSONPatchOperation) ([]byte, error) {
	var err error
	for i := range operations {
		if doc, err = apply(doc, &operations[i]); err != nil {
			return nil, fmt.Errorf("patch %d (%s): %w", i, operations[i].Op, err)
		}
	}
	return doc, nil
}

func apply(doc []byte, o *v1alpha1.JSONPatchOperation) ([]byte, error) {
	paths, err := targets(doc, o)
	if err != nil {
		return nil, err
	}
	var list []map[string]any
	for _, path := range paths {
		one := map[string]any{"op": o.Op, "path": path}
		if o.From != nil {
			one["from"] = *o.From
		}
		if o.Value != nil {
			one["value"] = json.RawMessage(o.Value.Raw)
		}
		list = append(list, one)
	}
	text, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	decoded, err := patch.DecodePatch(text)
	if err != nil {
		return nil, err
	}
	options := patch.NewApplyOptions()
	options.EnsurePathExistsOnAdd = true
	return decoded.ApplyWithOptions(doc, options)
}

// targets are the JSON pointers that an operation works on.
func targets(doc []byte, o *v1alpha1.JSONPatchOperation) ([]string, error) {
	if o.JSONPath == nil {
		if o.Path == nil {
			return nil, errors.New("it has neither path nor jsonPath")
		}
		return []string{*o.Path}, nil
	}
	parsed, err := jsonpath.Parse(*o.JSONPath)
	if err != nil {
		return nil, fmt.Errorf("jsonPath %q: %w", *o.JSONPath, err)
	}
	var value any
	if err := json.Unmarshal(doc, &value); err != nil {
		return nil, err
	}
	matches := parsed.SelectLocated(value).Deduplicate()
	if len(matches) == 0 {
		return nil, fmt.Errorf("jsonPath %q matches nothing", *o.JSONPath)
	}
	// From the end, so that what is removed from a list does not move what is to be
	// removed next.
	matches.Sort()
	slices.Reverse(matches)
	var paths []string
	for path := range matches.Paths() {
		pointer := path.Pointer()
		if o.Path != nil {
			pointer += *o.Path
		}
		paths = append(paths, pointer)
	}
	return paths, nil
}
