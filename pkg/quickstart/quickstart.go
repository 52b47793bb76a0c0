// Package quickstart shows a working gateway in one command.
package quickstart

import _ "embed"

// Manifest is the quickstart of Envoy Gateway: what `kubectl apply -f` and
// `egctl quickstart` make, and what the quickstart on one machine serves.
//
//go:embed quickstart.yaml
var Manifest []byte

// Host is the name that the quickstart's route serves.
const Host = "www.example.com"
