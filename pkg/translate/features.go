package translate

import (
	"slices"
	"strings"

	gateway "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/gateway-api/pkg/features"
)

// supportedFeatures is what GatewayClasses report (GEP-2162): every feature of
// the Gateway API that is not about meshes.
var supportedFeatures = func() []gateway.SupportedFeature {
	var names []string
	for f := range features.AllFeatures {
		if !strings.HasPrefix(string(f.Name), "Mesh") {
			names = append(names, string(f.Name))
		}
	}
	slices.Sort(names)
	list := make([]gateway.SupportedFeature, len(names))
	for i, n := range names {
		list[i].Name = gateway.FeatureName(n)
	}
	return list
}()
