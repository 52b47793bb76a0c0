package validation

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/egctl/egctl/internal/verdict"
	"github.com/egctl/egctl/pkg/crds"
)

// broken counts the rules that definitions have in CEL, by kind, version and message,
// and those that an API server named in an answer. The rest nothing is known of.
func broken(t *testing.T, channel crds.Channel, records []verdict.Record) (named, all int, others []string) {
	t.Helper()
	messages := map[string]map[string]bool{}
	for _, r := range records {
		var head struct{ APIVersion, Kind string }
		if err := json.Unmarshal(r.Object, &head); err != nil {
			continue // a mutant without a kind
		}
		id := head.APIVersion + " " + head.Kind
		if messages[id] == nil {
			messages[id] = rulesOf(t, channel, head.APIVersion, head.Kind)
		}
		for _, refusal := range r.Verdicts[channel].Refusals {
			for m := range messages[id] {
				if strings.HasSuffix(refusal.Message, m) {
					messages[id][m] = true
				}
			}
		}
	}
	for id, list := range messages {
		for _, m := range slices.Sorted(maps.Keys(list)) {
			if all++; list[m] {
				named++
			} else {
				others = append(others, fmt.Sprintf("%s: %s", id, m))
			}
		}
	}
	slices.Sort(others)
	return named, all, others
}

// rulesOf are the messages of the rules of a kind, none yet named.
func rulesOf(t *testing.T, channel crds.Channel, apiVersion, kind string) map[string]bool {
	t.Helper()
	group, version, _ := strings.Cut(apiVersion, "/")
	d, err := crds.Find(channel, group, kind)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	if d == nil || d.Schemas[version] == nil {
		return out
	}
	var tree any
	if err := json.Unmarshal(d.Schemas[version], &tree); err != nil {
		t.Fatal(err)
	}
	collect(tree, out)
	return out
}

func collect(v any, to map[string]bool) {
	switch x := v.(type) {
	case map[string]any:
		for name, child := range x {
			if list, ok := child.([]any); ok && name == "x-kubernetes-validations" {
				for _, rule := range list {
					if m, ok := rule.(map[string]any)["message"].(string); ok {
						to[m] = false
					}
				}
				continue
			}
			collect(child, to)
		}
	case []any:
		for _, child := range x {
			collect(child, to)
		}
	}
}
