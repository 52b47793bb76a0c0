// Package quickstart shows a working gateway in one command.
package quickstart

import (
	"bytes"
	_ "embed"

	"github.com/egctl/egctl/charts"
)

//go:embed quickstart.yaml
var text []byte

// Manifest is the quickstart of Envoy Gateway, with this version of egctl as the
// backend: what `kubectl apply -f` and `egctl quickstart` make, the latter with a label
// by which it knows what is its own, and what the quickstart on one machine serves.
func Manifest(version string) []byte {
	return bytes.ReplaceAll(text, []byte(charts.Image(charts.Latest)), []byte(charts.Image(version)))
}

// Host is the name that the quickstart's route serves.
const Host = "www.example.com"
