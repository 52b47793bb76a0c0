package manifest

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxDepth bounds the nesting of values; the Kubernetes API nests a dozen deep.
const maxDepth = 500

// scalar is what a YAML scalar means: nil, bool, int64, float64 or string.
//
// kubectl reads manifests by the rules of YAML 1.1, where yes, no, on and off
// are booleans and 0777 is octal. The same file must mean the same here, so
// the parser's own (1.2) reading of plain scalars is not used.
func scalar(n *yaml.Node) any {
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return n.Value
	}
	if n.Style&yaml.TaggedStyle != 0 {
		switch n.ShortTag() {
		case "!!int", "!!float", "!!bool", "!!null", "!!timestamp":
		case "!!binary":
			if b, err := base64.StdEncoding.DecodeString(n.Value); err == nil {
				return string(b)
			}
			return n.Value
		default:
			return n.Value
		}
	}
	return plain(n.Value)
}

func plain(s string) any {
	if s == "" {
		return nil
	}
	switch s[0] {
	case '~', 'n', 'N', 't', 'T', 'f', 'F', 'y', 'Y', 'o', 'O':
		switch s {
		case "~", "null", "Null", "NULL":
			return nil
		case "true", "True", "TRUE", "yes", "Yes", "YES", "y", "Y", "on", "On", "ON":
			return true
		case "false", "False", "FALSE", "no", "No", "NO", "n", "N", "off", "Off", "OFF":
			return false
		}
	case '+', '-', '.', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		if v, ok := number(s); ok {
			return v
		}
	}
	return s
}

func number(s string) (any, bool) {
	if s[0] == '.' {
		// Not finite numbers have no form in JSON and hence none in the API.
		f, err := strconv.ParseFloat(s, 64)
		return f, err == nil && !math.IsInf(f, 0)
	}
	p := s
	if strings.IndexByte(p, '_') >= 0 {
		p = strings.ReplaceAll(p, "_", "")
	}
	if i, err := strconv.ParseInt(p, 0, 64); err == nil {
		return i, true
	}
	if u, err := strconv.ParseUint(p, 0, 64); err == nil {
		return float64(u), true
	}
	if !decimal(p) {
		return nil, false
	}
	f, err := strconv.ParseFloat(p, 64)
	if err == nil && f == math.Trunc(f) && math.Abs(f) < 1<<63 {
		return int64(f), true // 80.0 is written 80 on its way to a cluster
	}
	return f, err == nil
}

// decimal says whether s is a number as YAML writes them: no hexadecimal
// floats, no "infinity".
func decimal(s string) bool {
	s = strings.TrimLeft(s[:1], "+-") + s[1:]
	mantissa, exponent, hasExponent := strings.Cut(strings.ToLower(s), "e")
	if hasExponent {
		exponent = strings.TrimPrefix(strings.TrimPrefix(exponent, "-"), "+")
		if exponent == "" || strings.Trim(exponent, "0123456789") != "" {
			return false
		}
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	return whole+fraction != "" && strings.Trim(whole+fraction, "0123456789") == ""
}

// key is the text of a mapping key, as it would be in JSON.
func key(n *yaml.Node) (string, bool) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n == nil || n.Kind != yaml.ScalarNode {
		return "", false
	}
	switch v := scalar(n).(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 32), true
	default:
		return "", false
	}
}

// describe names a value in messages: its JSON type, and itself when short.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch v := scalar(n).(type) {
	case nil:
		return "null"
	case bool:
		if n.Value != "true" && n.Value != "false" {
			return "the boolean " + strconv.FormatBool(v) + " (written " + n.Value + ")"
		}
		return "the boolean " + n.Value
	case int64, float64:
		return "the number " + n.Value
	default:
		return "the text " + strconv.Quote(shorten(n.Value))
	}
}

func shorten(s string) string {
	const limit = 60
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}
