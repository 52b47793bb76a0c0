package local_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	gwapi "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/egctl/egctl/internal/testenvoy"
	"github.com/egctl/egctl/pkg/envoy"
)

// redirecting makes a route answer by itself with its version.
func redirecting(r *gwapi.HTTPRoute, version int) *gwapi.HTTPRoute {
	full := fmt.Sprintf("/version-%d", version)
	r.Spec.Rules[0].BackendRefs = nil
	r.Spec.Rules[0].Filters = []gwapi.HTTPRouteFilter{{Type: gwapi.HTTPRouteFilterRequestRedirect, RequestRedirect: &gwapi.HTTPRequestRedirectFilter{
		Path: &gwapi.HTTPPathModifier{Type: gwapi.FullPathHTTPPathModifier, ReplaceFullPath: &full},
	}}}
	return r
}

// startStatic runs an Envoy whose one listener reads its route table from a
// file that it watches.
func startStatic(b *testing.B, dir string, port int) {
	b.Helper()
	bootstrap := fmt.Sprintf(`{"admin": {"address": {"pipe": {"path": %q}}},
"node": {"id": "floor", "cluster": "floor"},
"static_resources": {"listeners": [{"address": {"socket_address": {"address": "127.0.0.1", "port_value": %d}}, "filter_chains": [{"filters": [{
  "name": "hcm", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
  "stat_prefix": "http", "rds": {"route_config_name": "http-80", "config_source": {"resource_api_version": "V3", "path_config_source": {"path": %q}}},
  "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}]}}`,
		filepath.Join(dir, "admin"), port, filepath.Join(dir, "table.pb"))
	sockets, err := os.MkdirTemp("", "floor")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(sockets) })
	ctx, cancel := context.WithCancel(context.Background())
	p, err := envoy.Start(ctx, envoy.ProcessConfig{Binary: testenvoy.Path(b), Bootstrap: []byte(bootstrap), Dir: sockets, Concurrency: 2})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cancel()
		_ = p.Wait() // it was ended on purpose
	})
	ready, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	if err := p.Ready(ready); err != nil {
		b.Fatal(err)
	}
}
