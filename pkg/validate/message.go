package validate

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// inBody is how the schema validator starts its sentences; the field is named
// by the finding already.
var inBody = regexp.MustCompile(`^\S+ in body `)

// message says what is wrong with a value and names the value, if it is short.
func message(e *field.Error, value any) string {
	detail := inBody.ReplaceAllString(e.Detail, "")
	switch e.Type {
	case field.ErrorTypeRequired:
		if detail == "" || detail == "Required value" {
			return "is required"
		}
		return "is required: " + detail
	case field.ErrorTypeDuplicate:
		return "is given twice: " + show(e.BadValue, 200)
	}
	if detail == "" {
		detail = e.ErrorBody()
	}
	switch value.(type) {
	case string, bool, int64, float64:
		return show(value, 80) + ": " + detail
	}
	return detail
}

func show(v any, limit int) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if r := []rune(string(b)); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return string(b)
}

// lookup follows a path in Kubernetes notation; nil when it leads nowhere.
func lookup(v any, path string) any {
	for path != "" {
		switch x := v.(type) {
		case map[string]any:
			path = strings.TrimPrefix(path, ".")
			name := path
			if inner, ok := strings.CutPrefix(path, "["); ok {
				name, path, _ = strings.Cut(inner, "]")
			} else if end := strings.IndexAny(path, ".["); end >= 0 {
				name, path = path[:end], path[end:]
			} else {
				path = ""
			}
			v = x[name]
		case []any:
			inner, _ := strings.CutPrefix(path, "[")
			index, rest, _ := strings.Cut(inner, "]")
			i, err := strconv.Atoi(index)
			if err != nil || i < 0 || i >= len(x) {
				return nil
			}
			v, path = x[i], rest
		default:
			return nil
		}
	}
	return v
}
