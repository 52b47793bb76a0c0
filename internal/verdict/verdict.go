// Package verdict compares what an API server says to the creation of an object
// with what egctl says without one. The answers are those of a real API server, asked
// in test/conformance/validation; tests elsewhere replay them from a file.
package verdict

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/egctl/egctl/pkg/finding"
	"github.com/egctl/egctl/pkg/manifest"
	"github.com/egctl/egctl/pkg/validate"
)

// Verdict is what an API server says to the creation of an object.
type Verdict struct {
	// Status is that of HTTP: 201 when the object is accepted, 422 when it is not
	// valid, 400 when it cannot be read, 404 when its version is not served.
	Status int `json:"status"`
	// Refusals are why the object is not valid.
	Refusals []Refusal `json:"refusals,omitempty"`
	// Message is what else is said of an object that is refused.
	Message string `json:"message,omitempty"`
	// Dropped are the fields that the API does not have.
	Dropped []string `json:"dropped,omitempty"`
}

// Refusal is a cause of status 422.
type Refusal struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Parse reads an answer: its status, its body unless the object was accepted, and
// its Warning headers.
func Parse(status int, body []byte, warnings []string) (Verdict, error) {
	v := Verdict{Status: status}
	for _, w := range warnings {
		if m := unknownField.FindStringSubmatch(w); m != nil {
			v.Dropped = append(v.Dropped, m[1])
		}
	}
	slices.Sort(v.Dropped)
	if status == http.StatusCreated || status == http.StatusNotFound {
		return v, nil
	}
	var answer struct {
		Message string `json:"message"`
		Details struct {
			Causes []Refusal `json:"causes"`
		} `json:"details"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return v, fmt.Errorf("an API server's answer with status %d: %w", status, err)
	}
	v.Refusals = answer.Details.Causes
	slices.SortFunc(v.Refusals, func(a, b Refusal) int {
		return cmp.Or(cmp.Compare(a.Field, b.Field), cmp.Compare(a.Message, b.Message))
	})
	v.Refusals = slices.DeleteFunc(slices.Compact(v.Refusals), func(r Refusal) bool { return strings.Contains(r.Message, notChecked) })
	if len(v.Refusals) == 0 {
		v.Message = answer.Message
	}
	return v, nil
}

// notChecked is a remark among the refusals. Where they say the same, the same rules
// were checked.
const notChecked = "some validation rules were not checked"

var unknownField = regexp.MustCompile(`unknown field \\"(.*)\\"`)

// Differences lists what the validator says otherwise than the API server did, of
// one object. Where both refuse it they must name the same fields, and for each field
// say the same.
func Differences(v *validate.Validator, object *manifest.Document, server Verdict) []string {
	found := append(object.Findings(), v.Validate(object)...)
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	var errs []finding.Finding
	var dropped []string
	for _, f := range found {
		switch {
		case f.Code == manifest.CodeUnknownField && within(f.Path, server.Dropped):
			// It goes with a field that is dropped as a whole.
		case f.Code == manifest.CodeType && (within(f.Path, server.Dropped) || slices.Contains(server.Dropped, f.Path)):
			// Documents are read with the fields of the experimental channel, whatever
			// channel they are judged by, and one of the wrong type cannot be read.
		case f.Code == manifest.CodeUnknownField || f.Code == validate.CodeChannel:
			dropped = append(dropped, f.Path)
		case f.Severity == finding.Error || f.Code == manifest.CodeUnknownVersion || f.Code == manifest.CodeUnknownKind:
			errs = append(errs, f)
		}
	}
	slices.Sort(dropped)
	// Otherwise it has not come to look at fields.
	looked := server.Status == http.StatusCreated || server.Status == http.StatusUnprocessableEntity
	if dropped = slices.Compact(dropped); looked && !slices.Equal(dropped, slices.Compact(slices.Clone(server.Dropped))) {
		say("the API server drops %q, egctl says %q", server.Dropped, dropped)
	}
	if accepted := server.Status == http.StatusCreated; accepted != (len(errs) == 0) {
		say("the API server says %s, egctl %s", server, lines(errs))
		return out
	}
	if server.Status != http.StatusUnprocessableEntity {
		return out
	}
	for _, r := range server.Refusals {
		if !slices.ContainsFunc(errs, func(f finding.Finding) bool { return agree(f, r) }) {
			say("only the API server says %s: %s (egctl: %s)", r.Field, r.Message, lines(errs))
		}
	}
	for _, f := range errs {
		if !slices.ContainsFunc(server.Refusals, func(r Refusal) bool { return agree(f, r) }) {
			say("only egctl says %s: %s (API server: %s)", f.Path, f.Message, server)
		}
	}
	return out
}

// agree tells whether a finding is what a refusal is. Findings leave out what the
// API server repeats: the field, and the kind of error in front of the sentence.
func agree(f finding.Finding, r Refusal) bool {
	field := r.Field
	if field == "<nil>" {
		field = ""
	}
	// The API server writes keys of maps after a dot or in brackets.
	if inDots(f.Path) != inDots(field) {
		// Numbers that are too large have no field, only a text that ends with it.
		return field == "" && f.Code == manifest.CodeType && strings.HasSuffix(r.Message, " in "+f.Path)
	}
	if f.Code == manifest.CodeType {
		return true // in words of its own
	}
	if rest, ok := strings.CutPrefix(f.Message, "is required"); ok {
		return strings.HasPrefix(r.Message, "Required value") && strings.HasSuffix(r.Message, strings.TrimPrefix(rest, ": "))
	}
	if what, ok := strings.CutPrefix(f.Message, "is given twice: "); ok {
		theirs, same := strings.CutPrefix(r.Message, "Duplicate value: ")
		what, _ = strings.CutSuffix(what, "…")
		return same && strings.HasPrefix(theirs, what)
	}
	same := func(message string) bool { return message != "" && strings.HasSuffix(r.Message, message) }
	return same(f.Message) || same(withoutValue(f.Message))
}

// within tells whether a field is a part of one of others.
func within(path string, others []string) bool {
	return slices.ContainsFunc(others, func(o string) bool { return strings.HasPrefix(path, o+".") || strings.HasPrefix(path, o+"[") })
}

var inBrackets = regexp.MustCompile(`\[([^\]]*[^\]\d][^\]]*)\]`)

// inDots writes keys of maps after a dot.
func inDots(path string) string { return inBrackets.ReplaceAllString(path, ".$1") }

// withoutValue cuts the value off the start of a message.
func withoutValue(message string) string {
	if _, rest, ok := strings.Cut(message, "…: "); ok {
		return rest
	}
	d := json.NewDecoder(bytes.NewReader([]byte(message)))
	var v any
	if err := d.Decode(&v); err != nil {
		return message
	}
	return strings.TrimPrefix(message[d.InputOffset():], ": ")
}

// String is the verdict in one line.
func (v Verdict) String() string {
	if v.Status == http.StatusCreated {
		return "created"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d", v.Status)
	for _, r := range v.Refusals {
		fmt.Fprintf(&b, "; %s: %s", r.Field, r.Message)
	}
	if v.Message != "" {
		b.WriteString("; " + v.Message)
	}
	return b.String()
}

func lines(found []finding.Finding) string {
	if len(found) == 0 {
		return "nothing"
	}
	var b strings.Builder
	for i, f := range found {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s %s: %s", f.Code, f.Path, f.Message)
	}
	return b.String()
}
