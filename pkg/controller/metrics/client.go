package metrics

import (
	"context"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	clientmetrics "k8s.io/client-go/tools/metrics"
)

func isConflict(err error) bool { return apierrors.IsConflict(err) }

// client counts the requests to the API server.
type client struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	waited   *prometheus.HistogramVec
}

// Clients has the requests of this process's Kubernetes clients counted. The
// client library knows one recipient only, so this is for the main program.
func (m *Metrics) Clients() {
	c := &client{
		requests: m.counter("rest_client_requests_total", "Requests to the API server.", "code", "method", "host"),
		duration: m.histogram("rest_client_request_duration_seconds", "Time of requests to the API server.", slow, "verb"),
		waited:   m.histogram("rest_client_rate_limiter_duration_seconds", "Time that requests were held back by the client's own limit.", slow, "verb"),
	}
	clientmetrics.Register(clientmetrics.RegisterOpts{
		RequestResult: c, RequestLatency: latency{c.duration}, RateLimiterLatency: latency{c.waited},
	})
}

// Increment implements ResultMetric.
func (c *client) Increment(_ context.Context, code, method, host string) {
	c.requests.WithLabelValues(code, method, shortHost(host)).Inc()
}

type latency struct{ histogram *prometheus.HistogramVec }

// Observe implements LatencyMetric.
func (l latency) Observe(_ context.Context, verb string, _ url.URL, took time.Duration) {
	l.histogram.WithLabelValues(verb).Observe(took.Seconds())
}
