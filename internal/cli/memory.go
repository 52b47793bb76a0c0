package cli

import (
	"runtime/debug"
)

// The heap that a command of a second may use before it is collected. The limit
// is soft and keeps big inputs from growing without bound.
const (
	oneShotPercent = 800
	oneShotLimit   = 320 << 20
)

// oneShot trades memory for time in a command that reads, computes, prints and
// ends. The user's own GOGC and GOMEMLIMIT hold. It returns what puts the
// settings back.
func oneShot(getenv func(string) string) (restore func()) {
	if getenv("GOGC") != "" || getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	percent := debug.SetGCPercent(oneShotPercent)
	limit := debug.SetMemoryLimit(oneShotLimit)
	return func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}
}

// steadyPercent is how much the heap of a command that runs for days may grow
// before it is collected. What it keeps is large beside what an edit needs.
const steadyPercent = 50

// steady trades time for memory in a command that keeps running. The user's own
// GOGC holds. It returns what gives back the memory that the start needed.
func steady(getenv func(string) string) (started func()) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(steadyPercent)
	}
	return debug.FreeOSMemory
}
