package translate

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/store"
)

// issue is a finding together with the condition that it makes false. An empty
// condition leaves conditions alone.
type issue struct {
	finding.Finding
	condition, reason string
}

// code ties a documented finding to a condition of the Gateway API.
type code struct {
	id                finding.Code
	condition, reason string
}

// define registers a code. condition and reason are words of the specification.
func define(id finding.Code, severity finding.Severity, condition, reason, title, explanation string) code {
	return code{finding.Register(id, severity, title, explanation), condition, reason}
}

// at makes an issue about a field of an object. The hint may be empty.
func (cd code) at(object store.Key, path, hint, format string, args ...any) issue {
	return issue{finding.New(cd.id, object.Object(), path, fmt.Sprintf(format, args...), hint), cd.condition, cd.reason}
}

// findings drops the conditions.
func findings(is []issue) []finding.Finding {
	fs := make([]finding.Finding, 0, len(is))
	for _, i := range is {
		fs = append(fs, i.Finding)
	}
	return fs
}

// path builds field paths: path("spec", "rules", 0, "name") is
// "spec.rules[0].name".
func path(parts ...any) string {
	b := make([]byte, 0, 64)
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = append(b, '[')
			b = strconv.AppendInt(b, int64(p), 10)
			b = append(b, ']')
		case string:
			if p == "" {
				continue
			}
			if len(b) > 0 {
				b = append(b, '.')
			}
			b = append(b, p...)
		}
	}
	return string(b)
}

func itoa(n int32) string { return strconv.Itoa(int(n)) }

// offer says what there is where something else was asked for; empty if nothing is.
func offer[T any](list []T, name func(T) string) string {
	const enough = 5
	var names []string
	for _, v := range list[:min(len(list), enough)] {
		names = append(names, name(v))
	}
	switch more := len(list) - enough; {
	case len(list) == 0:
		return ""
	case more > 0:
		return fmt.Sprintf("; it has %s and %d more", strings.Join(names, ", "), more)
	default:
		return "; it has " + strings.Join(names, ", ")
	}
}

// named adds what something is also known by.
func named(s, also string) string {
	if also == "" {
		return s
	}
	return s + " (" + also + ")"
}

// shortHash is a short stable name for a string.
func shortHash(s string) string { return fmt.Sprintf("%08x", uint32(xxhash.Sum64String(s))) }
