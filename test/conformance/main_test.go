package conformance

import (
	"fmt"
	"os"
	"testing"

	"github.com/egctl/egctl/test/e2e/suite"
)

// shared is the cluster of these tests.
var shared = suite.Shared{Name: "conformance"}

func TestMain(m *testing.M) {
	code := m.Run()
	if err := shared.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}
