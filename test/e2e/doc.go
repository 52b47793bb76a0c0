// Package e2e proves on a real cluster what egctl promises. README.md says how to
// run the tests; package suite has what they stand on.
package e2e
