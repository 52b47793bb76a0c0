package xds_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/egctl/egctl/pkg/controller/xds"
	encoded "github.com/egctl/egctl/pkg/translate/xds"
)

func TestListenUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "private", "xds.sock")
	l, err := xds.ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %04o, want %04o", file, got, want)
		}
	}
	if _, err := xds.ListenUnix(path); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second server: %v", err)
	}
	// A process that died leaves its socket behind.
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = xds.ListenUnix(path); err != nil {
		t.Fatalf("over a stale socket: %v", err)
	}
	_ = l.Close()

	file := filepath.Join(filepath.Dir(path), "file")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := xds.ListenUnix(file); err == nil || !strings.Contains(err.Error(), "something else") {
		t.Errorf("over a file: %v", err)
	}
	open := filepath.Join(t.TempDir(), "open")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := xds.ListenUnix(filepath.Join(open, "xds.sock")); err == nil || !strings.Contains(err.Error(), "lets others in") {
		t.Errorf("in an open folder: %v", err)
	}
}

// TestListenersComeAndGo closes one of two listeners of a server: whoever came in
// by the other must not notice.
func TestListenersComeAndGo(t *testing.T) {
	server, path := serve(t, xds.Options{})
	other, err := xds.ListenUnix(filepath.Join(t.TempDir(), "p", "xds.sock"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, other) }()
	update(server, "stays", snapshot(cluster(t, "a", 1)))
	update(server, "goes", snapshot(cluster(t, "b", 1)))
	stays, goes := dial(t, path, "stays"), dial(t, other.Addr().String(), "goes")
	stays.subscribe(encoded.ClusterType, "*")
	goes.subscribe(encoded.ClusterType, "*")
	stays.ack(stays.recv())
	goes.ack(goes.recv())

	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, ok := <-goes.responses; ok {
		t.Error("a stream outlived its listener")
	}
	update(server, "stays", snapshot(cluster(t, "a", 2)))
	stays.ack(stays.recv())
	late := dial(t, path, "stays")
	late.subscribe(encoded.ClusterType, "*")
	late.ack(late.recv())
}
