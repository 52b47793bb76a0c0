package envoy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"
	"sigs.k8s.io/yaml"

	"github.com/egctl/egctl/api/v1alpha1"
	"github.com/egctl/egctl/pkg/jsonpatch"
)

// customize changes a bootstrap as an EnvoyProxy wants it, and returns it in YAML. It is
// checked as far as this is possible without Envoy, and may not cut the proxy off from
// the controller.
func customize(b *bootstrapv3.Bootstrap, c *v1alpha1.ProxyBootstrap) ([]byte, error) {
	custom, err := customized(b, c)
	if err != nil {
		return nil, err
	}
	if err := custom.Validate(); err != nil {
		return nil, fmt.Errorf("not a bootstrap of Envoy: %w", err)
	}
	if err := sameWayHome(b, custom); err != nil {
		return nil, err
	}
	return printForeign(custom)
}

func customized(b *bootstrapv3.Bootstrap, c *v1alpha1.ProxyBootstrap) (*bootstrapv3.Bootstrap, error) {
	kind := v1alpha1.BootstrapTypeReplace
	if c.Type != nil {
		kind = *c.Type
	}
	if kind == v1alpha1.BootstrapTypeJSONPatch {
		if len(c.JSONPatches) == 0 || c.Value != nil {
			return nil, errors.New("the type JSONPatch needs jsonPatches, and no value")
		}
		text, err := BootstrapJSON(b)
		if err != nil {
			return nil, err
		}
		patched, err := jsonpatch.Apply(text, c.JSONPatches)
		if err != nil {
			return nil, fmt.Errorf("jsonPatches: %w", err)
		}
		custom, err := parseForeign(patched)
		if err != nil {
			return nil, fmt.Errorf("jsonPatches: the result is not a bootstrap of Envoy: %w", err)
		}
		return custom, nil
	}
	if c.Value == nil || len(c.JSONPatches) > 0 {
		return nil, fmt.Errorf("the type %s needs a value, and no jsonPatches", kind)
	}
	custom, err := parseForeign([]byte(*c.Value))
	if err != nil {
		return nil, fmt.Errorf("value: not a bootstrap of Envoy: %w", err)
	}
	switch kind {
	case v1alpha1.BootstrapTypeReplace:
		return custom, nil
	case v1alpha1.BootstrapTypeMerge:
		merged := proto.CloneOf(b)
		proto.Merge(merged, custom)
		return merged, nil
	}
	return nil, fmt.Errorf("%q is no type of a change", kind)
}

// sameWayHome says what of a bootstrap would keep a proxy from being configured.
func sameWayHome(b, custom *bootstrapv3.Bootstrap) error {
	dynamic := func(b *bootstrapv3.Bootstrap) *bootstrapv3.Bootstrap_DynamicResources {
		d := proto.CloneOf(b.GetDynamicResources())
		if d.GetLdsConfig() != nil {
			d.LdsConfig.InitialFetchTimeout = nil
		}
		if d.GetCdsConfig() != nil {
			d.CdsConfig.InitialFetchTimeout = nil
		}
		return d
	}
	if !proto.Equal(dynamic(b), dynamic(custom)) {
		return errors.New("dynamic_resources must stay as they are, but for initial_fetch_timeout: by them the proxy is configured")
	}
	seen := map[string]bool{}
	for _, c := range custom.GetStaticResources().GetClusters() {
		if seen[c.GetName()] {
			return fmt.Errorf("static_resources has two clusters %s; a type Merge appends to lists, a JSONPatch can change what is there", c.GetName())
		}
		seen[c.GetName()] = true
	}
	if !slices.Equal(xdsEndpoints(b), xdsEndpoints(custom)) {
		return fmt.Errorf("the endpoints of the cluster %s must stay %s: there the proxy is configured", XDSCluster, strings.Join(xdsEndpoints(b), ", "))
	}
	return nil
}

// xdsEndpoints are the addresses of the controller.
func xdsEndpoints(b *bootstrapv3.Bootstrap) (all []string) {
	for _, c := range b.GetStaticResources().GetClusters() {
		if c.GetName() == XDSCluster {
			all = append(all, endpoints(c)...)
		}
	}
	return all
}

func endpoints(c *clusterv3.Cluster) (all []string) {
	for _, locality := range c.GetLoadAssignment().GetEndpoints() {
		for _, e := range locality.GetLbEndpoints() {
			socket := e.GetEndpoint().GetAddress().GetSocketAddress()
			// With and without a dot it is the same place.
			all = append(all, fmt.Sprintf("%s:%d", strings.TrimSuffix(socket.GetAddress(), "."), socket.GetPortValue()))
		}
	}
	return all
}

const (
	typeKey       = "@type"
	structTypeURL = "type.googleapis.com/google.protobuf.Struct"
)

// parseForeign reads a bootstrap strictly. Extensions whose messages this program does
// not have are taken as they are: Envoy knows many more than are of use here.
func parseForeign(text []byte) (*bootstrapv3.Bootstrap, error) {
	raw, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, err
	}
	value, err := decodeJSON(raw)
	if err != nil {
		return nil, err
	}
	if _, ok := value.(map[string]any); !ok {
		return nil, errors.New("it is not an object")
	}
	if raw, err = json.Marshal(wrapForeign(value)); err != nil {
		return nil, err
	}
	b := &bootstrapv3.Bootstrap{}
	if err := protojson.Unmarshal(raw, b); err != nil {
		// The library puts in no-break spaces, so that nobody compares its words.
		text := strings.ReplaceAll(err.Error(), "\u00a0", " ")
		return nil, errors.New(strings.TrimPrefix(text, "proto: "))
	}
	return b, nil
}

// printForeign is the opposite.
func printForeign(b *bootstrapv3.Bootstrap) ([]byte, error) {
	raw, err := BootstrapJSON(b)
	if err != nil {
		return nil, err
	}
	value, err := decodeJSON(raw)
	if err != nil {
		return nil, err
	}
	if raw, err = json.Marshal(unwrapForeign(value)); err != nil {
		return nil, err
	}
	return yaml.JSONToYAML(raw)
}

// decodeJSON keeps numbers as they are written.
func decodeJSON(raw []byte) (value any, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	err = d.Decode(&value)
	return value, err
}

// wrapForeign makes typed configurations of unknown types ones of the type Struct, and
// unwrapForeign makes them what they were.
func wrapForeign(value any) any {
	switch v := value.(type) {
	case []any:
		for i := range v {
			v[i] = wrapForeign(v[i])
		}
	case map[string]any:
		if url, ok := v[typeKey].(string); ok {
			if _, err := protoregistry.GlobalTypes.FindMessageByURL(url); err != nil {
				return map[string]any{typeKey: structTypeURL, "value": v}
			}
		}
		for k := range v {
			v[k] = wrapForeign(v[k])
		}
	}
	return value
}

func unwrapForeign(value any) any {
	switch v := value.(type) {
	case []any:
		for i := range v {
			v[i] = unwrapForeign(v[i])
		}
	case map[string]any:
		if inner, ok := v["value"].(map[string]any); ok && v[typeKey] == structTypeURL && inner[typeKey] != nil {
			return inner
		}
		for k := range v {
			v[k] = unwrapForeign(v[k])
		}
	}
	return value
}
