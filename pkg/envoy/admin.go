package envoy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// Admin talks to the admin interface of one Envoy.
type Admin struct {
	network, address string
	client           *http.Client
}

// NewAdmin returns a client for the admin interface at address on network
// "unix" or "tcp". Connections are not kept: an Envoy that restarts makes a new
// socket under the same name.
func NewAdmin(network, address string) *Admin {
	var d net.Dialer
	return &Admin{network: network, address: address, client: &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, network, address)
		},
	}}}
}

// adminOf reads the admin address out of a bootstrap in JSON or YAML.
func adminOf(bootstrap []byte) (*Admin, error) {
	var b struct {
		Admin struct {
			Address struct {
				Pipe struct {
					Path string `json:"path"`
				} `json:"pipe"`
				Socket struct {
					Address string `json:"address"`
					Port    int    `json:"port_value"`
				} `json:"socket_address"`
			} `json:"address"`
		} `json:"admin"`
	}
	if err := yaml.Unmarshal(bootstrap, &b); err != nil {
		return nil, fmt.Errorf("envoy bootstrap: %w", err)
	}
	if path := b.Admin.Address.Pipe.Path; path != "" {
		return NewAdmin("unix", path), nil
	}
	if s := b.Admin.Address.Socket; s.Address != "" && s.Port != 0 {
		return NewAdmin("tcp", net.JoinHostPort(s.Address, strconv.Itoa(s.Port))), nil
	}
	return nil, errors.New("envoy bootstrap: no admin address, by which Envoy is watched and drained")
}

// Get returns the answer to a GET of path, such as "/stats?format=json". An
// answer other than 200 is an error.
func (a *Admin) Get(ctx context.Context, path string) ([]byte, error) {
	return a.do(ctx, http.MethodGet, path)
}

// Post is [Admin.Get] for what changes Envoy's state.
func (a *Admin) Post(ctx context.Context, path string) ([]byte, error) {
	return a.do(ctx, http.MethodPost, path)
}

func (a *Admin) do(ctx context.Context, method, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://envoy"+path, nil)
	if err != nil {
		return nil, fmt.Errorf("envoy admin %s: %w", path, err)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("envoy admin at %s: %w", a.address, err)
	}
	defer func() { _ = resp.Body.Close() }() // the whole body is read or useless
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("envoy admin %s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("envoy admin %s: %s: %s", path, resp.Status, strings.TrimSpace(string(body)))
	}
	return body, nil
}

// awaitReady polls /ready until it answers 200, which it does once Envoy has its
// configuration and serves, or until ctx ends.
func (a *Admin) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := a.Get(ctx, "/ready")
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("envoy is not ready: %w", err)
		case <-tick.C:
		}
	}
}

// ActiveConnections counts open downstream connections of all listeners but the admin
// interface's own, and those on ports that do not count.
func (a *Admin) ActiveConnections(ctx context.Context, without ...uint32) (int, error) {
	body, err := a.Get(ctx, `/stats?format=json&filter=%5Elistener%5C..*downstream_cx_active%24`)
	if err != nil {
		return 0, err
	}
	var stats struct {
		Stats []struct {
			Name  string `json:"name"`
			Value int    `json:"value"`
		} `json:"stats"`
	}
	if err := json.Unmarshal(body, &stats); err != nil {
		return 0, fmt.Errorf("envoy admin /stats: %w", err)
	}
	sum := 0
	for _, s := range stats.Stats {
		// A worker's share is in its listener's sum already.
		if strings.HasPrefix(s.Name, "listener.admin.") || strings.Contains(s.Name, ".worker_") {
			continue
		}
		// Such as listener.0.0.0.0_8080.downstream_cx_active.
		listener := strings.TrimSuffix(s.Name, ".downstream_cx_active")
		if !slices.ContainsFunc(without, func(port uint32) bool { return strings.HasSuffix(listener, "_"+strconv.Itoa(int(port))) }) {
			sum += s.Value
		}
	}
	return sum, nil
}

// drain makes the health check fail and asks clients to go elsewhere: Envoy
// closes HTTP connections with the next answer. It returns when no connection
// is left, when limit has passed, or when ctx ends.
func (a *Admin) drain(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if _, err := a.Post(ctx, "/healthcheck/fail"); err != nil {
		return err
	}
	if _, err := a.Post(ctx, "/drain_listeners?graceful&skip_exit"); err != nil {
		return err
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		n, err := a.ActiveConnections(ctx)
		if err == nil && n == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			if err != nil {
				return err
			}
			return fmt.Errorf("%d connections were still open after %s", n, limit)
		case <-tick.C:
		}
	}
}
