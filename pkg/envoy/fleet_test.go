package envoy

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// fleets are the variants of what proxies in a cluster start with.
func fleets() map[string]FleetBootstrapOptions {
	base := FleetBootstrapOptions{Fleet: "default/eg", ControllerNamespace: "envoy-gateway-system"}
	with := func(change func(*FleetBootstrapOptions)) FleetBootstrapOptions {
		o := base
		change(&o)
		return o
	}
	return map[string]FleetBootstrapOptions{
		"default":       base,
		"merged":        with(func(o *FleetBootstrapOptions) { o.Fleet = "eg" }),
		"token":         with(func(o *FleetBootstrapOptions) { o.Token, o.ClusterDomain = true, "example.org" }),
		"zones":         with(func(o *FleetBootstrapOptions) { o.Zones = true }),
		"ipv6":          with(func(o *FleetBootstrapOptions) { o.IPFamily = IPv6 }),
		"dual":          with(func(o *FleetBootstrapOptions) { o.IPFamily = DualStack }),
		"memory":        with(func(o *FleetBootstrapOptions) { o.MemoryLimit, o.MaxConnections = 512<<20, 1000 }),
		"no-prometheus": with(func(o *FleetBootstrapOptions) { o.Metrics.NoPrometheus = true }),
		"metrics": with(func(o *FleetBootstrapOptions) {
			o.Metrics = FleetMetrics{
				Compression: "gzip", CompressionMinBytes: 1000,
				Matches: []*matcherv3.StringMatcher{{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: "cluster."}}},
				Sinks:   []MetricSink{{Host: "otel.monitoring.svc.cluster.local", Port: 4317, DeltaCounters: true}},
			}
		}),
		"brotli": with(func(o *FleetBootstrapOptions) { o.Metrics.Compression = "brotli" }),
		"zstd":   with(func(o *FleetBootstrapOptions) { o.Metrics.Compression = "zstd" }),
	}
}

func TestFleetBootstrapGolden(t *testing.T) {
	for name, o := range fleets() {
		t.Run(name, func(t *testing.T) {
			got, err := FleetBootstrap(o)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "fleet-"+name+".yaml", got)
		})
	}
	for name, token := range map[string]bool{"certificate": false, "token": true} {
		t.Run("sds "+name, func(t *testing.T) {
			files, err := FleetSDSFiles(token, FleetPaths{})
			if err != nil {
				t.Fatal(err)
			}
			var all bytes.Buffer
			for _, file := range []string{SDSTrustedCA, SDSCertificate, SDSToken} {
				if text, ok := files[file]; ok {
					all.WriteString("-- " + file + " --\n" + text)
				}
			}
			golden(t, "fleet-sds-"+name+".txt", all.String())
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what it was; run with -update and read the difference. Now it is:\n%s", path, got)
	}
}

// mount puts into a folder what is mounted into the pods of a fleet.
func mount(t *testing.T, token bool) FleetPaths {
	t.Helper()
	dir := t.TempDir()
	p := FleetPaths{SDSDir: filepath.Join(dir, "sds"), CertsDir: filepath.Join(dir, "certs"), TokenPath: filepath.Join(dir, "token", "sa-token")}
	files, err := FleetSDSFiles(token, p)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		write(t, filepath.Join(p.SDSDir, name), text)
	}
	cert, key := selfSigned(t)
	for name, text := range map[string]string{"ca.crt": cert, "tls.crt": cert, "tls.key": key} {
		write(t, filepath.Join(p.CertsDir, name), text)
	}
	write(t, p.TokenPath, "token")
	return p
}

func selfSigned(t *testing.T) (certPEM, keyPEM string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFleetBootstrapAcceptedByEnvoy(t *testing.T) {
	binary := realEnvoy(t)
	for name, o := range fleets() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.FleetPaths = mount(t, o.Token)
			text, err := FleetBootstrap(o)
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(binary, "--mode", "validate", "--log-level", "warning", "--service-cluster", o.Fleet, "--service-node", "pod", "--config-yaml", text)
			if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "deprecated") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestFleetBootstrapRefuses(t *testing.T) {
	for want, spoil := range map[string]func(*FleetBootstrapOptions){
		"the fleet and the controller's": func(o *FleetBootstrapOptions) { o.Fleet = "" },
		"fleet default/eg: envoy boot":   func(o *FleetBootstrapOptions) { o.ControllerNamespace = "" },
		`"IPv5" is no IP family`:         func(o *FleetBootstrapOptions) { o.IPFamily = "IPv5" },
		"-1 is no limit for memory":      func(o *FleetBootstrapOptions) { o.MemoryLimit = -1 },
		`"lzma" is no compression`:       func(o *FleetBootstrapOptions) { o.Metrics.Compression = "lzma" },
		":4317 is no collector":          func(o *FleetBootstrapOptions) { o.Metrics.Sinks = []MetricSink{{Port: 4317}} },
	} {
		o := fleets()["default"]
		spoil(&o)
		if _, err := FleetBootstrap(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}
