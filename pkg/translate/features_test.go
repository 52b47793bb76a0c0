package translate

import (
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/gateway-api/pkg/features"
)

// TestFeaturesAreAllThereAre compares what is said to be supported with what the
// Gateway API names. A new release of it has to be looked through, and nothing may
// be forgotten, or the conformance suite silently leaves out its tests.
func TestFeaturesAreAllThereAre(t *testing.T) {
	var all []features.FeatureName
	for f := range features.AllFeatures {
		// A mesh is what egctl is not.
		if !strings.HasPrefix(string(f.Name), "Mesh") {
			all = append(all, f.Name)
		}
	}
	slices.Sort(all)
	if !slices.Equal(supported, all) {
		for _, name := range all {
			if !slices.Contains(supported, name) {
				t.Errorf("%s is missing", name)
			}
		}
		t.Errorf("supported are\n%v, want\n%v", supported, all)
	}
}
