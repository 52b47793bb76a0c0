package conformance

import (
	"fmt"
	"os"
	"strings"
	"testing"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	official "sigs.k8s.io/gateway-api/conformance"
	confv1 "sigs.k8s.io/gateway-api/conformance/apis/v1"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"
)

// What TestConformance tells TestInside, which runs as a process of its own in the
// cluster's network.
const (
	insideVariable  = "EGCTL_CONFORMANCE_INSIDE"
	modeVariable    = "EGCTL_CONFORMANCE_MODE"
	reportVariable  = "EGCTL_CONFORMANCE_REPORT"
	versionVariable = "EGCTL_CONFORMANCE_VERSION"
)

// class is the GatewayClass whose status says what egctl supports.
const class = "gateway-conformance"

// Addresses for Gateways that ask for one. The first is of the range that the
// cluster's load balancer serves; the second no Service can have.
const (
	usableAddress   = "10.89.7.250"
	unusableAddress = "127.0.0.1"
)

// TestInside is the official suite. Its tests are subtests: those that a pattern of
// -run does not choose are not run, and the features still come from the status of
// the GatewayClass.
func TestInside(t *testing.T) {
	if os.Getenv(insideVariable) == "" {
		t.Skip("TestConformance runs this in the cluster's network")
	}
	ip := gatewayv1.IPAddressType
	o := official.DefaultOptions(t)
	o.GatewayClassName = class
	o.Mode = os.Getenv(modeVariable)
	o.ConformanceProfiles = []suite.ConformanceProfileName{
		suite.GatewayHTTPConformanceProfileName,
		suite.GatewayGRPCConformanceProfileName,
		suite.GatewayTLSConformanceProfileName,
		suite.GatewayTCPConformanceProfileName,
		suite.GatewayUDPConformanceProfileName,
	}
	o.UsableNetworkAddresses = []gatewayv1.GatewaySpecAddress{{Type: &ip, Value: usableAddress}}
	o.UnusableNetworkAddresses = []gatewayv1.GatewaySpecAddress{{Type: &ip, Value: unusableAddress}}
	o.ReportOutputPath = os.Getenv(reportVariable)
	o.Implementation = confv1.Implementation{
		Organization: "egctl", Project: "egctl", URL: "https://github.com/egctl/egctl",
		Version: os.Getenv(versionVariable), Contact: []string{"https://github.com/egctl/egctl/issues"},
	}
	o.Hook = func(t *testing.T, test suite.ConformanceTest, _ *suite.ConformanceTestSuite) {
		if !strings.Contains(t.Name(), test.ShortName) || t.Skipped() && os.Getenv(reportVariable) == "" {
			return
		}
		verdict := "passed"
		switch {
		case t.Failed():
			verdict = "FAILED"
		case t.Skipped():
			verdict = "skipped"
		}
		fmt.Printf("%s %s\n", verdict, test.ShortName)
	}
	official.RunConformanceWithOptions(t, o)
}
