// Package validation asks the API server of a real cluster what it says to some
// 37,000 objects, and holds egctl validate to it. README.md of the folder above
// says how to run it.
package validation
