package e2e

import (
	"testing"

	"github.com/egctl/egctl/test/e2e/suite"
)

// TestGateway is the least that works: egctl install, a Gateway, a request.
func TestGateway(t *testing.T) {
	s := shared.Get(t)
	s.Installed(t, suite.Defaults)
	s.Site(t, suite.SiteOptions{})
}
