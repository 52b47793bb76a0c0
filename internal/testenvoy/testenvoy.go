// Package testenvoy finds the real Envoy for tests, and ports for it to listen on.
package testenvoy

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/egctl/egctl/pkg/envoy"
)

// Path returns the Envoy that $EGCTL_ENVOY names, or the one in egctl's cache, where
// "make envoy" puts it: no test downloads one. Without it a test is skipped, and with
// CI=true it fails.
func Path(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(envoy.EnvVar); path != "" {
		return path
	}
	cache, err := envoy.DefaultCacheDir(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cache, "envoy", envoy.Version, runtime.GOOS+"-"+runtime.GOARCH, "envoy")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("no Envoy at %s, and $%s is not set: make envoy fetches it", path, envoy.EnvVar)
	}
	t.Skipf("SKIPPED: no Envoy at %s, and $%s is not set: make envoy fetches it", path, envoy.EnvVar)
	return ""
}

// FreePort returns a port of 127.0.0.1 that nothing uses, neither as TCP nor as UDP. It
// is none of those that a system gives to outgoing connections, so that it stays free
// until it is listened on.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 20000 + rand.IntN(10000)
		address := fmt.Sprintf("127.0.0.1:%d", port)
		tcp, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		_ = tcp.Close()
		udp, err := net.ListenPacket("udp", address)
		if err != nil {
			continue
		}
		_ = udp.Close()
		return port
	}
	t.Fatal("no port of 127.0.0.1 from 20000 to 29999 is free")
	return 0
}
