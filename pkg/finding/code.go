package finding

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
)

// Code is the stable identity of a kind of finding, such as "EG2001". The
// thousands digit says which part of the world it speaks of:
//
//	EG1xxx  reading and schema of the input
//	EG2xxx  GatewayClass, Gateway, ListenerSet and listeners
//	EG3xxx  routes: attachment, matches, filters
//	EG4xxx  backends and references
//	EG5xxx  policies
//	EG6xxx  what Envoy said
//	EG9xxx  faults of egctl itself
type Code string

// Doc documents a code for `egctl explain`.
type Doc struct {
	Code     Code     `json:"code"`
	Severity Severity `json:"severity"`
	// Title is a short noun phrase.
	Title string `json:"title"`
	// Explanation says what egctl saw, what follows for traffic, and what to do.
	Explanation string `json:"explanation"`
}

var (
	registryMu sync.RWMutex
	registry   = map[Code]Doc{}
)

// Register documents a code. Packages call it from variable declarations, so
// that a code cannot be used without being documented. It panics when a code
// is registered twice, which is a programming error seen by every test.
func Register(code Code, severity Severity, title, explanation string) Code {
	registryMu.Lock()
	defer registryMu.Unlock()
	if _, dup := registry[code]; dup {
		panic(fmt.Sprintf("finding: code %s registered twice", code))
	}
	registry[code] = Doc{Code: code, Severity: severity, Title: title, Explanation: explanation}
	return code
}

// Lookup returns the documentation of a code.
func Lookup(code Code) (Doc, bool) {
	registryMu.RLock()
	defer registryMu.RUnlock()
	d, ok := registry[code]
	return d, ok
}

// Docs returns the documentation of every code in order.
func Docs() []Doc {
	registryMu.RLock()
	defer registryMu.RUnlock()
	docs := make([]Doc, 0, len(registry))
	for _, d := range registry {
		docs = append(docs, d)
	}
	slices.SortFunc(docs, func(a, b Doc) int { return cmp.Compare(a.Code, b.Code) })
	return docs
}

// New makes a finding with the registered severity of code.
func New(code Code, object Object, path, message, hint string) Finding {
	d, ok := Lookup(code)
	if !ok {
		d.Severity = Error
	}
	return Finding{Code: code, Severity: d.Severity, Object: object, Path: path, Message: message, Hint: hint}
}
