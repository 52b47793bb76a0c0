// Package crd decides what may be done with CustomResourceDefinitions, which
// belong to a whole cluster and to everyone in it, and does it.
//
// [Decide] is pure: what is in the cluster and what is wanted go in, and a
// decision comes out together with its reasons, which name the fields that would
// be lost. [Client] reads, tries on the server, and applies.
package crd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/Masterminds/semver/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// Annotations by which the Gateway API marks its definitions.
const (
	BundleAnnotation  = "gateway.networking.k8s.io/bundle-version"
	ChannelAnnotation = "gateway.networking.k8s.io/channel"
)

// Channels of the Gateway API.
const (
	Standard     = "standard"
	Experimental = "experimental"
)

// Release is where a definition of the Gateway API is from. It is empty for
// other definitions, and for those that do not say.
type Release struct {
	Version string `json:"version,omitempty"`
	Channel string `json:"channel,omitempty"`
}

func (r Release) String() string {
	switch {
	case r == Release{}:
		return "unknown release"
	case r.Channel == "":
		return r.Version
	default:
		return r.Version + " " + r.Channel
	}
}

// ReleaseOf reads the annotations of a definition.
func ReleaseOf(definition *unstructured.Unstructured) Release {
	a := definition.GetAnnotations()
	return Release{Version: a[BundleAnnotation], Channel: a[ChannelAnnotation]}
}

// IsGatewayAPI says whether a definition is of the Gateway API, experimental
// kinds included, by its group.
func IsGatewayAPI(definition *unstructured.Unstructured) bool {
	group, _, _ := unstructured.NestedString(definition.Object, "spec", "group")
	return group == "gateway.networking.k8s.io" || group == "gateway.networking.x-k8s.io"
}

// Kind is the kind that a definition defines.
func Kind(definition *unstructured.Unstructured) string {
	kind, _, _ := unstructured.NestedString(definition.Object, "spec", "names", "kind")
	return kind
}

// Parse reads the definitions in YAML documents and leaves out everything else.
func Parse(data []byte) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
	for {
		u := &unstructured.Unstructured{}
		if err := decoder.Decode(&u.Object); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, fmt.Errorf("read CustomResourceDefinitions: %w", err)
		}
		integers(u.Object)
		if u.GetKind() == "CustomResourceDefinition" && strings.HasPrefix(u.GetAPIVersion(), "apiextensions.k8s.io/") {
			out = append(out, u)
		}
	}
}

// version parses a bundle version. Development versions have no order, and count
// as none.
func (r Release) version() *semver.Version {
	v, err := semver.StrictNewVersion(strings.TrimPrefix(r.Version, "v"))
	if err != nil || v.Major() == 0 {
		return nil
	}
	return v
}

// integers turns whole numbers into int64, as the API machinery has them.
func integers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			v[k] = integers(x)
		}
	case []any:
		for i, x := range v {
			v[i] = integers(x)
		}
	case float64:
		if i := int64(v); float64(i) == v {
			return i
		}
	}
	return v
}
