package translate

import (
	"slices"

	"golang.org/x/mod/semver"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/gateway-api/pkg/consts"
	"sigs.k8s.io/gateway-api/pkg/features"

	"github.com/egctl/egctl/pkg/incr"
	"github.com/egctl/egctl/pkg/store"
)

// supported is what this version of egctl does of the Gateway API, in the order
// of names. The conformance suite tests what is listed here; for the experimental
// ones it has no tests, there are golden files.
var supported = []features.FeatureName{
	features.SupportBackendTLSPolicy,
	features.SupportBackendTLSPolicySANValidation,
	features.SupportClusterTrustBundle,
	features.SupportGRPCRoute,
	features.SupportGRPCRouteNamedRouteRule,
	features.SupportGRPCRouteRequestHeaderModifier,
	features.SupportGateway,
	features.SupportGatewayAddressEmpty,
	features.SupportGatewayAddressRoutability,
	features.SupportGatewayAddressRoutabilityCluster,
	features.SupportGatewayBackendClientCertificate,
	features.SupportGatewayFrontendClientCertificateValidation,
	features.SupportGatewayFrontendClientCertificateValidationInsecureFallback,
	features.SupportGatewayHTTPListenerIsolation,
	features.SupportGatewayHTTPSListenerDetectMisdirectedRequests,
	features.SupportGatewayInfrastructure,
	features.SupportGatewayListenerFilters,
	features.SupportGatewayPort8080,
	features.SupportGatewayRouteHostnameIntersectionPrecedence,
	features.SupportGatewayStaticAddresses,
	features.SupportHTTPRoute,
	features.SupportHTTPRoute303RedirectStatusCode,
	features.SupportHTTPRoute307RedirectStatusCode,
	features.SupportHTTPRoute308RedirectStatusCode,
	features.SupportHTTPRouteBackendProtocolH2C,
	features.SupportHTTPRouteBackendProtocolWebSocket,
	features.SupportHTTPRouteBackendRequestHeaderModification,
	features.SupportHTTPRouteBackendTimeout,
	features.SupportHTTPRouteBackendURLRewrite,
	features.SupportHTTPRouteCORS,
	features.SupportHTTPRouteDestinationPortMatching,
	features.SupportHTTPRouteHostRewrite,
	features.SupportHTTPRouteMethodMatching,
	features.SupportHTTPRouteNamedRouteRule,
	features.SupportHTTPRouteParentRefPort,
	features.SupportHTTPRoutePathRedirect,
	features.SupportHTTPRoutePathRewrite,
	features.SupportHTTPRoutePortRedirect,
	features.SupportHTTPRouteQueryParamMatching,
	features.SupportHTTPRouteRequestMirror,
	features.SupportHTTPRouteRequestMultipleMirrors,
	features.SupportHTTPRouteRequestPercentageMirror,
	features.SupportHTTPRouteRequestTimeout,
	features.SupportHTTPRouteResponseHeaderModification,
	features.SupportHTTPRouteRetryCodes,
	features.SupportHTTPRouteRetryConnectionError,
	features.SupportHTTPRouteSchemeRedirect,
	features.SupportListenerSet,
	features.SupportReferenceGrant,
	features.SupportTCPRoute,
	features.SupportTLSRoute,
	features.SupportTLSRouteModeMixed,
	features.SupportTLSRouteModeTerminate,
	features.SupportUDPRoute,
}

// experimentalFields are the features that need fields which the CRDs of the
// standard channel do not have. Other features of the experimental channel do not.
var experimentalFields = []features.FeatureName{
	features.SupportGatewayAddressRoutability,        // Gateway.spec.addresses[].routability
	features.SupportGatewayAddressRoutabilityCluster, // likewise
	features.SupportGatewayListenerFilters,           // Gateway.spec.listeners[].filters
}

// supportedFeatures is what GatewayClasses report (GEP-2162).
func supportedFeatures(c *incr.Context) []gateway.SupportedFeature {
	b, known := bundle(c)
	standard := known && b.Channel == string(features.FeatureChannelStandard)
	list := make([]gateway.SupportedFeature, 0, len(supported))
	for _, name := range supported {
		if !standard || !slices.Contains(experimentalFields, name) {
			list = append(list, gateway.SupportedFeature{Name: gateway.FeatureName(name)})
		}
	}
	return list
}

func bundle(c *incr.Context) (store.Bundle, bool) {
	v, ok := store.Get[*store.Value[store.Bundle]](c, store.BundleKey())
	if !ok {
		return store.Bundle{}, false
	}
	return v.V, true
}

// supportedVersion judges the release of the CRDs. Newer ones, and those that do
// not say what they are, are served as well as it goes, and said not to be
// supported, as the specification of the condition demands.
func supportedVersion(b store.Bundle, generation int64) metav1.Condition {
	const kind = string(gateway.GatewayClassConditionStatusSupportedVersion)
	switch {
	case b.Version == "":
		return condition(kind, false, string(gateway.GatewayClassReasonUnsupportedVersion),
			"the CRDs of the Gateway API do not say of which release they are; supported are v1.0 to "+consts.BundleVersion, generation)
	case !semver.IsValid(b.Version) || semver.Major(b.Version) != "v1" || semver.Compare(semver.MajorMinor(b.Version), semver.MajorMinor(consts.BundleVersion)) > 0:
		return condition(kind, false, string(gateway.GatewayClassReasonUnsupportedVersion),
			"the CRDs of the Gateway API are of release "+b.Version+"; supported are v1.0 to "+consts.BundleVersion, generation)
	default:
		return condition(kind, true, string(gateway.GatewayClassReasonSupportedVersion), "the CRDs of the Gateway API are of release "+b.Version, generation)
	}
}
