package e2e

import (
	"fmt"
	"os"
	"testing"

	"github.com/egctl/egctl/test/e2e/suite"
)

// shared is the cluster of these tests.
var shared suite.Shared

func TestMain(m *testing.M) {
	code := m.Run()
	if err := shared.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}
