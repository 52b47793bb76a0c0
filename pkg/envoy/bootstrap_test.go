package envoy

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/types/known/anypb"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// bootstraps are the two ways in which egctl runs an Envoy.
func bootstraps(t *testing.T) map[string]BootstrapOptions {
	t.Helper()
	tls, err := anypb.New(&tlsv3.UpstreamTlsContext{Sni: "envoy-gateway"})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]BootstrapOptions{
		"local": {
			NodeID: "default/eg", NodeCluster: "default/eg",
			XDSSocket: "/run/egctl/xds.sock", AdminSocket: "/run/egctl/admin.sock",
		},
		"cluster": {
			NodeID: "pod-1", NodeCluster: "default/eg", Zone: "zone-a", MaxConnections: 100,
			XDSAddress: "envoy-gateway.envoy-gateway-system.svc.cluster.local.", XDSPort: 18000,
			XDSTransportSocket: &corev3.TransportSocket{
				Name: "envoy.transport_sockets.tls", ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: tls},
			},
			AdminAddress: "127.0.0.1", AdminPort: 19000,
		},
	}
}

func TestBootstrapGolden(t *testing.T) {
	for name, o := range bootstraps(t) {
		t.Run(name, func(t *testing.T) {
			b, err := Bootstrap(o)
			if err != nil {
				t.Fatal(err)
			}
			got, err := BootstrapYAML(b)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", "bootstrap-"+name+".yaml")
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatalf("%v (run with -update to write it)", err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s differs (run with -update to accept); got:\n%s", path, got)
			}
		})
	}
}

// TestBootstrapAccepted asks the real Envoy about both forms of each.
func TestBootstrapAccepted(t *testing.T) {
	bin := realEnvoy(t)
	for name, o := range bootstraps(t) {
		t.Run(name, func(t *testing.T) {
			b, err := Bootstrap(o)
			if err != nil {
				t.Fatal(err)
			}
			asJSON, err := BootstrapJSON(b)
			if err != nil {
				t.Fatal(err)
			}
			asYAML, err := BootstrapYAML(b)
			if err != nil {
				t.Fatal(err)
			}
			for ext, text := range map[string][]byte{"json": asJSON, "yaml": asYAML} {
				file := filepath.Join(t.TempDir(), "bootstrap."+ext)
				if err := os.WriteFile(file, text, 0o600); err != nil {
					t.Fatal(err)
				}
				out, err := exec.Command(bin, "--mode", "validate", "-c", file, "--log-level", "warn").CombinedOutput()
				if err != nil || strings.Contains(string(out), "eprecated") {
					t.Errorf("envoy --mode validate of %s: %v\n%s", ext, err, out)
				}
			}
		})
	}
}

func TestBootstrapRefused(t *testing.T) {
	good := bootstraps(t)["local"]
	for want, spoil := range map[string]func(o *BootstrapOptions){
		"node id and node cluster are needed":                       func(o *BootstrapOptions) { o.NodeID = "" },
		"the xDS address is either":                                 func(o *BootstrapOptions) { o.XDSSocket = "" },
		"the admin address is either":                               func(o *BootstrapOptions) { o.AdminAddress = "127.0.0.1" },
		"0 is not a port for the xDS address controller":            func(o *BootstrapOptions) { o.XDSSocket, o.XDSAddress = "", "controller" },
		"the path of the admin socket is longer than the 103 bytes": func(o *BootstrapOptions) { o.AdminSocket = "/" + strings.Repeat("a", 103) },
		"-1 is no limit for connections":                            func(o *BootstrapOptions) { o.MaxConnections = -1 },
	} {
		o := good
		spoil(&o)
		if _, err := Bootstrap(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}
