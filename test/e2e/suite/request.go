package suite

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// Response is what came back for a request.
type Response struct {
	Status int
	Header http.Header
	Body   string
	// Echo is what the echo server said of the request, if it was what answered.
	Echo Echo
}

// Echo is the echo server's account of a request.
type Echo struct {
	Path      string              `json:"path"`
	Host      string              `json:"host"`
	Method    string              `json:"method"`
	Headers   map[string][]string `json:"headers"`
	Namespace string              `json:"namespace"`
	Pod       string              `json:"pod"`
}

// transport makes connections in the cluster's network.
func (s *Suite) transport() *http.Transport {
	return &http.Transport{DialContext: s.Cluster.DialContext, MaxIdleConnsPerHost: 100, ResponseHeaderTimeout: 20 * time.Second}
}

// Get sends a request on a connection of its own. The address is an IP address with
// a port.
func (s *Suite) Get(ctx context.Context, address, host, path string) (*Response, error) {
	tr := s.transport()
	defer tr.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return get(ctx, tr, address, host, path)
}

func get(ctx context.Context, tr http.RoundTripper, address, host, path string) (*Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return nil, err
	}
	req.Host = host
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if closed := resp.Body.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: read the body: %w", resp.Status, req.URL, err)
	}
	r := &Response{Status: resp.StatusCode, Header: resp.Header, Body: string(body)}
	// Not every answer is the echo server's.
	_ = json.Unmarshal(body, &r.Echo)
	return r, nil
}

// Answers waits until requests are answered with a status, and returns the answer.
func (s *Suite) Answers(t *testing.T, within time.Duration, address, host, path string, status int) *Response {
	t.Helper()
	var got *Response
	Eventually(t, within, fmt.Sprintf("%d from http://%s%s (%s)", status, host, path, address), func(ctx context.Context) error {
		r, err := s.Get(ctx, address, host, path)
		if err != nil {
			return err
		}
		if r.Status != status {
			return fmt.Errorf("status %d: %.200s", r.Status, r.Body)
		}
		got = r
		return nil
	})
	return got
}
