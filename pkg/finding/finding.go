// Package finding is the one vocabulary in which egctl speaks about a user's
// objects. Whatever the translator, the validator, the xDS server or the
// controller has to say about an object is a [Finding]; status conditions,
// terminal output, JSON, SARIF, events and exit codes are views of findings.
package finding

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity orders findings. The zero value is no severity at all.
type Severity int

const (
	// Info is worth knowing and changes nothing.
	Info Severity = iota + 1
	// Warning is legal, works, and probably is not what was meant.
	Warning
	// Error means that a part of the object has no effect.
	Error
)

// String returns the lower-case name used in every output format.
func (s Severity) String() string {
	switch s {
	case Info:
		return "info"
	case Warning:
		return "warning"
	case Error:
		return "error"
	default:
		return "none"
	}
}

// MarshalText makes a Severity its name in JSON and YAML.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Object names the Kubernetes object that a finding is about.
type Object struct {
	Group     string `json:"group,omitempty"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// String returns kind/namespace/name the way kubectl users read it:
// "HTTPRoute default/web", or "GatewayClass eg" for cluster-scoped kinds.
func (o Object) String() string {
	if o.Namespace == "" {
		return o.Kind + " " + o.Name
	}
	return o.Kind + " " + o.Namespace + "/" + o.Name
}

// Finding is one thing said about one field of one object.
type Finding struct {
	// Code is stable and documented; see [Lookup].
	Code     Code     `json:"code"`
	Severity Severity `json:"severity"`
	Object   Object   `json:"object"`
	// Path is the field in Kubernetes notation, for example
	// "spec.rules[0].backendRefs[1].port". Empty for the object as a whole.
	Path string `json:"path,omitempty"`
	// Message names what is wrong. It starts lower-case and ends without a full stop.
	Message string `json:"message"`
	// Hint says what to do about it.
	Hint string `json:"hint,omitempty"`
}

// String is the one-line form without a file position.
func (f Finding) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s", f.Severity, f.Code, f.Object)
	if f.Path != "" {
		b.WriteString(": " + f.Path)
	}
	b.WriteString(": " + f.Message)
	if f.Hint != "" {
		b.WriteString("; " + f.Hint)
	}
	return b.String()
}

// Compare orders findings by object, path, code and message, so that equal
// inputs print equal outputs.
func Compare(a, b Finding) int {
	return cmp.Or(
		cmp.Compare(a.Object.Namespace, b.Object.Namespace),
		cmp.Compare(a.Object.Kind, b.Object.Kind),
		cmp.Compare(a.Object.Name, b.Object.Name),
		cmp.Compare(a.Object.Group, b.Object.Group),
		cmp.Compare(a.Path, b.Path),
		cmp.Compare(a.Code, b.Code),
		cmp.Compare(a.Message, b.Message),
	)
}

// Sort sorts in place by [Compare] and removes exact repetitions: a shared
// backend that many rules name is reported once for each field that names it.
func Sort(fs []Finding) []Finding {
	slices.SortFunc(fs, Compare)
	return slices.Compact(fs)
}

// Worst returns the highest severity in fs, or 0 when fs is empty.
func Worst(fs []Finding) Severity {
	var worst Severity
	for _, f := range fs {
		worst = max(worst, f.Severity)
	}
	return worst
}
