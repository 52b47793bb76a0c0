// Package conformance runs the official conformance suite of the Gateway API, as
// it was published, against egctl on a real cluster. README.md says how.
package conformance
