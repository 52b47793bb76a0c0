// Package plugins carries what makes egctl a plugin of kubectl.
package plugins

import _ "embed"

// Completion is the program that kubectl runs to complete "kubectl eg …". It is
// called kubectl_complete-eg, and has to be in PATH.
//
//go:embed kubectl_complete-eg
var Completion string
