package translate_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os/exec"
	"testing"
	"time"
)

// startEnvoy runs Envoy until the test ends, and returns when it serves address.
func startEnvoy(t *testing.T, binary, file, address string) {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(binary, "-c", file, "--concurrency", "1", "--disable-hot-restart", "-l", "warning")
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for deadline := time.Now().Add(15 * time.Second); ; {
		select {
		case err := <-ended:
			t.Fatalf("Envoy ended: %v\n%s", err, said.String())
		case <-time.After(50 * time.Millisecond):
		}
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("Envoy does not serve %s: %v", address, err)
		}
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		<-ended //nolint:errcheck // it was killed
		if t.Failed() {
			t.Logf("Envoy said:\n%s", said.String())
		}
	})
}

func listenTCP(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func serveHTTP(t *testing.T, config *tls.Config, h http.HandlerFunc) int {
	t.Helper()
	l := listenTCP(t)
	s := &http.Server{Handler: h, TLSConfig: config, ReadHeaderTimeout: time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	go func() {
		if config != nil {
			_ = s.ServeTLS(l, "", "") // ends with the test
		} else {
			_ = s.Serve(l)
		}
	}()
	t.Cleanup(func() { s.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

// serveTCP says its name to who connects.
func serveTCP(t *testing.T, name string) int {
	t.Helper()
	l := listenTCP(t)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(c, name)
			c.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// serveUDP answers datagrams with its name.
func serveUDP(t *testing.T, name string) int {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 64)
		for {
			_, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			if _, err := c.WriteTo([]byte(name), from); err != nil {
				return
			}
		}
	}()
	return c.LocalAddr().(*net.UDPAddr).Port
}
