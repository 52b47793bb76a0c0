package pki

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc/metadata"

	"github.com/egctl/egctl/internal/testenvoy"
	"github.com/egctl/egctl/pkg/controller/xds"
)

// TestEnvoyThroughRotations rotates everything every few seconds, makes proxies connect
// anew all the time, and sends requests and new configuration meanwhile.
func TestEnvoyThroughRotations(t *testing.T) {
	testenvoy.Path(t)
	c := newControlPlane(t, Options{
		LeafValidity: 4 * time.Second, LeafRenewBefore: 2 * time.Second, Propagation: time.Second,
		CAValidity: 9 * time.Second, CARenewBefore: 6 * time.Second,
	}, xds.Limits{MaxConnectionAge: time.Second, MaxConnectionAgeGrace: time.Second})
	port, to := testenvoy.FreePort(t), backend(t)
	paths := c.fleet("default/eg")
	c.serve("default/eg", port, to, "0")
	stop := c.rotate()
	t.Cleanup(stop)
	c.startProxy("default/eg", paths, "pod")
	client := &http.Client{Timeout: 5 * time.Second}
	eventually(t, "Envoy answers", func() bool { _, err := version(client, port); return err == nil })

	ctx, cancel := context.WithTimeout(t.Context(), 11*time.Second)
	defer cancel()
	var all sync.WaitGroup
	var requests, connections atomic.Int64
	for i := range 2 {
		client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: i == 0}}
		all.Go(func() {
			for ctx.Err() == nil {
				if _, err := version(client, port); err != nil {
					t.Errorf("a request failed: %v", err)
				}
				requests.Add(1)
				time.Sleep(time.Millisecond)
			}
		})
	}
	// How long the proxy was without a connection at most.
	var longest time.Duration
	all.Go(func() {
		last, connected := time.Now(), time.Time{}
		for ; ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
			states := c.server.Synced("default/eg")
			if len(states) == 0 {
				longest = max(longest, time.Since(last))
				continue
			}
			if last = time.Now(); !states[0].Connected.Equal(connected) {
				connected = states[0].Connected
				connections.Add(1)
			}
		}
	})
	updates := 0
	var slowest time.Duration
	for ; ctx.Err() == nil; updates++ {
		want := fmt.Sprint(updates)
		c.serve("default/eg", port, to, want)
		start := time.Now()
		for {
			got, err := version(client, port)
			if err == nil && got == want {
				break
			}
			if time.Since(start) > 5*time.Second {
				t.Fatalf("update %s has not arrived after 5 s: %q, %v", want, got, err)
			}
			time.Sleep(5 * time.Millisecond)
		}
		slowest = max(slowest, time.Since(start))
		time.Sleep(20 * time.Millisecond)
	}
	all.Wait()
	stop()
	t.Logf("%d requests, %d updates (the slowest took %v), %d connections (at most %v without), %d CAs, %d client certificates",
		requests.Load(), updates, slowest, connections.Load(), longest, len(c.signers), len(c.leaves))
	if longest > time.Second {
		t.Errorf("the proxy was without a connection for %v", longest)
	}
	if len(c.signers) < 3 || len(c.leaves) < 5 || connections.Load() < 5 || requests.Load() < 500 || updates < 20 {
		t.Error("that is too little to show anything")
	}
}

// TestEnvoyGetsItsOwn has proxies claim to be others.
func TestEnvoyGetsItsOwn(t *testing.T) {
	testenvoy.Path(t)
	c := newControlPlane(t, Options{}, xds.Limits{})
	portA, portB, to := testenvoy.FreePort(t), testenvoy.FreePort(t), backend(t)
	pathsA := c.fleet("default/a")
	c.serve("default/a", portA, to, "a")
	c.serve("default/b", portB, to, "b")
	c.startProxy("default/b", pathsA, "pod-of-b", "--service-zone", "b")
	client := &http.Client{Timeout: 5 * time.Second}
	eventually(t, "A's proxy serves A", func() bool { got, _ := version(client, portA); return got == "a" })
	if got, err := version(client, portB); err == nil {
		t.Errorf("A's proxy, which claims to be B's, serves B: %q", got)
	}
	if n := len(c.server.Synced("default/b")); n != 0 {
		t.Errorf("%d proxies are connected as B's", n)
	}

	// The same by hand: what can be claimed in the first message, and later.
	for _, node := range []*corev3.Node{
		nil, {}, {Id: "default/b", Cluster: "default/b"}, {Id: "spiffe://cluster.local/gateway/default/b"},
	} {
		conn := dial(t, c, c.mounts["default/a"].data, c.data[bundleKey])
		names, err := subscribe(t, conn, node)
		if err != nil || names != "cluster-of-default-a" {
			t.Errorf("node %v is told of %q, %v", node, names, err)
		}
	}
}

func TestStrangersAreRefused(t *testing.T) {
	c := newControlPlane(t, Options{}, xds.Limits{})
	c.fleet("default/a")
	c.serve("default/a", 1, 1, "a")
	now, terms := time.Now(), c.manager.terms
	stranger := must(newAuthority(now, terms))(t)
	expired := must(c.authority.issue(now.Add(-2*terms.leafValidity), terms, leafOf(t, "default/a")))(t)
	noURI := must(c.authority.issue(now, terms, clientLeaf(nil)))(t)
	for name, data := range map[string]map[string][]byte{
		"no certificate":              {},
		"a foreign CA":                must(stranger.issue(now, terms, leafOf(t, "default/a")))(t),
		"an expired certificate":      expired,
		"the controller's own":        c.data,
		"a certificate without a URI": noURI,
	} {
		conn := dial(t, c, data, c.data[bundleKey])
		names, err := subscribe(t, conn, &corev3.Node{Id: "pod", Cluster: "default/a"})
		if err == nil {
			t.Errorf("%s: told of %q", name, names)
		} else if text := err.Error(); strings.Contains(text, "URI") || strings.Contains(text, "default/a") {
			t.Errorf("%s: the peer is told why: %s", name, text)
		}
	}
	if log := c.log.String(); !strings.Contains(log, "has 0 URIs") {
		t.Errorf("the log does not say why:\n%s", log)
	}
	// And the other way: who is not the controller is not believed.
	conn := dial(t, c, c.mounts["default/a"].data, stranger.pem())
	if _, err := subscribe(t, conn, &corev3.Node{}); err == nil {
		t.Error("a server whose CA is not known is believed")
	}
}

// TestEnvoyRenewsItsToken replaces the token in its file, as the kubelet does.
func TestEnvoyRenewsItsToken(t *testing.T) {
	testenvoy.Path(t)
	var mu sync.Mutex
	var shown []string
	valid := ""
	c := newControlPlane(t, Options{ServerOnly: true}, xds.Limits{MaxConnectionAge: 200 * time.Millisecond}, func(ctx context.Context, _ *corev3.Node) (string, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		header := strings.Join(md.Get("authorization"), "|")
		mu.Lock()
		defer mu.Unlock()
		shown = append(shown, header)
		if !strings.HasPrefix(header, "Bearer token-") {
			return "", fmt.Errorf("%q is no token", header)
		}
		return "default/eg", nil
	})
	paths := c.fleet("default/eg")
	token := &mounted{dir: filepath.Dir(paths.TokenPath)}
	renew := func(text string) {
		mu.Lock()
		valid, shown = "Bearer "+text, nil
		mu.Unlock()
		token.data = map[string][]byte{"sa-token": []byte(text)}
		token.swap(t)
	}
	renew("token-1")
	port := testenvoy.FreePort(t)
	c.serve("default/eg", port, backend(t), "0")
	c.startProxy("default/eg", paths, "pod")
	client := &http.Client{Timeout: 5 * time.Second}
	eventually(t, "Envoy answers", func() bool { _, err := version(client, port); return err == nil })
	for i := range 3 {
		renew(fmt.Sprintf("token-%d", i+2))
		eventually(t, "the new token is shown", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(shown) > 0 && shown[len(shown)-1] == valid
		})
	}
}

func TestTokenModeAsksForNoCertificate(t *testing.T) {
	c := newControlPlane(t, Options{ServerOnly: true}, xds.Limits{})
	c.step()
	conn := must(tls.Dial("tcp", c.address.String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}))(t) //nolint:gosec // the test is about the other side
	defer conn.Close()
	if err := conn.Handshake(); err != nil {
		t.Error(err)
	}
}
