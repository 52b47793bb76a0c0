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

// plainName is what may stand after a dot.
var plainName = regexp.MustCompile(`^[\w$-]+$`)

// locate follows a path of the API server's, which writes the key of a map after a
// dot, even if it has dots itself. It returns the path with such keys in brackets, as
// reading a document writes it, and the value there; nil when the path leads nowhere.
func locate(v any, path string) (string, any) {
	var to strings.Builder
	for path != "" {
		switch x := v.(type) {
		case map[string]any:
			name, rest := key(x, path)
			switch {
			case !plainName.MatchString(name):
				to.WriteString("[" + name + "]")
			case to.Len() > 0:
				to.WriteString("." + name)
			default:
				to.WriteString(name)
			}
			v, path = x[name], rest
		case []any:
			inner, _ := strings.CutPrefix(path, "[")
			index, rest, _ := strings.Cut(inner, "]")
			i, err := strconv.Atoi(index)
			if err != nil || i < 0 || i >= len(x) {
				return to.String() + path, nil
			}
			to.WriteString("[" + index + "]")
			v, path = x[i], rest
		default:
			return to.String() + path, nil
		}
	}
	return to.String(), v
}

// key takes one key off a path: the shortest that the map has, or one without dots.
func key(m map[string]any, path string) (name, rest string) {
	path = strings.TrimPrefix(path, ".")
	if inner, ok := strings.CutPrefix(path, "["); ok {
		name, rest, _ = strings.Cut(inner, "]")
		return name, rest
	}
	first := len(path)
	for end := 1; end <= len(path); end++ {
		if end < len(path) && path[end] != '.' && path[end] != '[' {
			continue
		}
		first = min(first, end)
		if _, ok := m[path[:end]]; ok {
			return path[:end], path[end:]
		}
	}
	return path[:first], path[first:]
}
