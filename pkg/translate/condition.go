package translate

import (
	"strings"
	"unicode"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxMessage is the limit of the API for a condition's message, in bytes.
const maxMessage = 32768

// condition makes a condition. lastTransitionTime is left zero: whoever writes
// the status knows what was there before.
func condition(kind string, ok bool, reason, message string, generation int64) metav1.Condition {
	status := metav1.ConditionFalse
	if ok {
		status = metav1.ConditionTrue
	}
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: sentence(message), ObservedGeneration: generation}
}

// sentence makes a finding's message one: capital letter, full stop.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	r, n := utf8.DecodeRuneInString(s)
	s = string(unicode.ToUpper(r)) + s[n:]
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	if len(s) > maxMessage {
		s = strings.ToValidUTF8(s[:maxMessage-3], "") + "..."
	}
	return s
}

// sentence says what is wrong, in which field, and what to do.
func (i *issue) sentence() string {
	s := i.Message
	if i.Path != "" {
		s += " (" + i.Path + ")"
	}
	if i.Hint != "" {
		s += ": " + i.Hint
	}
	return sentence(s)
}

// judge makes the condition of a type from issues: false for the first issue
// that concerns it, with the messages of all, or else true.
func judge(kind string, issues []issue, reason, message string, generation int64) metav1.Condition {
	var why string
	var messages []string
	for _, i := range issues {
		if i.condition != kind {
			continue
		}
		if why == "" {
			why = i.reason
		}
		messages = append(messages, i.sentence())
	}
	if why == "" {
		return condition(kind, true, reason, message, generation)
	}
	return condition(kind, false, why, strings.Join(messages, " "), generation)
}
