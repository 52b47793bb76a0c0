// Package metrics counts what a controller does, for Prometheus.
//
// Names without the prefix egctl_ are those of Envoy Gateway, with its labels, so
// that its users' dashboards and alerts keep working.
package metrics

import (
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/egctl/egctl/pkg/controller"
	ads "github.com/egctl/egctl/pkg/controller/xds"
	"github.com/egctl/egctl/pkg/store"
	"github.com/egctl/egctl/pkg/translate/xds"
)

// Metrics are those of one controller. They observe its ADS server.
type Metrics struct {
	Registry *prometheus.Registry

	events    *prometheus.CounterVec
	updates   *prometheus.HistogramVec
	waited    prometheus.Histogram
	results   *prometheus.CounterVec
	leader    prometheus.Gauge
	proxies   *prometheus.GaugeVec
	streams   prometheus.Histogram
	sent      *prometheus.CounterVec
	resources *prometheus.CounterVec
	bytes     *prometheus.CounterVec
	refusals  *prometheus.CounterVec

	statuses       *prometheus.CounterVec
	statusDuration *prometheus.HistogramVec
	applied        *outcomes
	deleted        *outcomes

	mu        sync.Mutex
	connected map[[2]string]time.Time // by gateway and node
}

var _ ads.Observer = (*Metrics)(nil)

// outcomes count and time what is done to objects of infrastructure.
type outcomes struct {
	total    *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// Buckets in seconds: those of Envoy Gateway, and finer ones for what takes
// milliseconds here.
var (
	slow   = []float64{0.001, 0.01, 0.1, 1, 5, 10}
	fine   = []float64{0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10}
	stream = []float64{0.1, 10, 50, 100, 1000, 10000}
)

// New registers the metrics, and those of the Go runtime and the process, in a
// registry of their own.
func New() *Metrics {
	m := &Metrics{Registry: prometheus.NewRegistry(), connected: map[[2]string]time.Time{}}
	m.Registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	m.events = m.counter("egctl_events_total", "Events of the API server, by kind of object.", "kind")
	m.updates = m.histogram("egctl_update_duration_seconds", "Time to translate a change and hand out what follows, by the kind that changed; several: mixed.", fine, "kind")
	m.waited = m.histogram("egctl_queue_age_seconds", "Age of the oldest change when its update begins.", fine).WithLabelValues().(prometheus.Histogram)
	m.results = m.counter("egctl_results_total", "Results of updates that differed: snapshot, endpoints, report.", "result")
	m.leader = prometheus.NewGauge(prometheus.GaugeOpts{Name: "egctl_leader", Help: "1 while this replica writes statuses and infrastructure."})
	m.Registry.MustRegister(m.leader)
	m.proxies = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "egctl_connected_proxies", Help: "Proxies that are connected to this replica."}, []string{"gateway"})
	m.Registry.MustRegister(m.proxies)
	m.streams = m.histogram("xds_stream_duration_seconds", "How long proxies stayed connected.", stream).WithLabelValues().(prometheus.Histogram)
	m.sent = m.counter("egctl_xds_responses_total", "Responses sent to proxies.", "typeURL")
	m.resources = m.counter("egctl_xds_resources_total", "Resources and removals in responses sent to proxies.", "typeURL")
	m.bytes = m.counter("egctl_xds_bytes_total", "Bytes of resources in responses sent to proxies.", "typeURL")
	m.refusals = m.counter("xds_nack_total", "Refusals of proxies whose cause was found.", "nodeID", "typeURL")

	m.statuses = m.counter("status_update_total", "Writes of statuses.", "kind", "status", "reason")
	m.statusDuration = m.histogram("status_update_duration_seconds", "Time to write a status.", slow, "kind")
	object := []string{"kind", "name", "namespace", "status", "reason"}
	m.applied = &outcomes{
		m.counter("resource_apply_total", "Objects of infrastructure applied.", object...),
		m.histogram("resource_apply_duration_seconds", "Time to apply an object of infrastructure.", slow, "kind", "name", "namespace"),
	}
	m.deleted = &outcomes{
		m.counter("resource_delete_total", "Objects of infrastructure deleted.", object...),
		m.histogram("resource_delete_duration_seconds", "Time to delete an object of infrastructure.", slow, "kind", "name", "namespace"),
	}
	return m
}

func (m *Metrics) counter(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.Registry.MustRegister(c)
	return c
}

func (m *Metrics) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	m.Registry.MustRegister(h)
	return h
}

// Event counts an event of the API server.
func (m *Metrics) Event(kind store.Kind) { m.events.WithLabelValues(kind.Kind).Inc() }

// Updated takes what an update of the controller has taken.
func (m *Metrics) Updated(u controller.Update) {
	kind := "mixed"
	if len(u.Kinds) == 1 {
		kind = u.Kinds[0].Kind
	}
	m.updates.WithLabelValues(kind).Observe(u.Took.Seconds())
	m.waited.Observe(u.Waited.Seconds())
	m.results.WithLabelValues("snapshot").Add(float64(u.Snapshots))
	m.results.WithLabelValues("endpoints").Add(float64(u.Endpoints))
	m.results.WithLabelValues("report").Add(float64(u.Reports))
}

// Leading says whether this replica leads.
func (m *Metrics) Leading(yes bool) {
	if yes {
		m.leader.Set(1)
	} else {
		m.leader.Set(0)
	}
}

// StatusWritten takes the outcome of a write of a status.
func (m *Metrics) StatusWritten(kind store.Kind, took time.Duration, err error) {
	status, reason := outcome(err)
	m.statuses.WithLabelValues(kind.Kind, status, reason).Inc()
	m.statusDuration.WithLabelValues(kind.Kind).Observe(took.Seconds())
}

// Applied takes the outcome of applying an object of infrastructure.
func (m *Metrics) Applied(kind, namespace, name string, took time.Duration, err error) {
	m.applied.note(kind, namespace, name, took, err)
}

// Deleted takes the outcome of deleting an object of infrastructure.
func (m *Metrics) Deleted(kind, namespace, name string, took time.Duration, err error) {
	m.deleted.note(kind, namespace, name, took, err)
}

func (o *outcomes) note(kind, namespace, name string, took time.Duration, err error) {
	status, reason := outcome(err)
	o.total.WithLabelValues(kind, name, namespace, status, reason).Inc()
	o.duration.WithLabelValues(kind, name, namespace).Observe(took.Seconds())
}

// Connected implements ads.Observer.
func (m *Metrics) Connected(gateway, nodeID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.connected[[2]string{gateway, nodeID}] = time.Now()
	m.proxies.WithLabelValues(gateway).Inc()
}

// Disconnected implements ads.Observer. What was counted for a proxy that is gone
// is dropped: the names of pods never come back.
func (m *Metrics) Disconnected(gateway, nodeID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := [2]string{gateway, nodeID}
	if since, ok := m.connected[k]; ok {
		m.streams.Observe(time.Since(since).Seconds())
		delete(m.connected, k)
		m.refusals.DeletePartialMatch(prometheus.Labels{"nodeID": nodeID})
	}
	m.proxies.WithLabelValues(gateway).Dec()
}

// Acked implements ads.Observer.
func (m *Metrics) Acked(string, string, xds.Type, uint64, []*xds.Resource) {}

// Sent implements ads.Observer.
func (m *Metrics) Sent(_, _ string, t xds.Type, resources, removed, bytes int) {
	m.sent.WithLabelValues(string(t)).Inc()
	m.resources.WithLabelValues(string(t)).Add(float64(resources + removed))
	m.bytes.WithLabelValues(string(t)).Add(float64(bytes))
}

// Rejected implements ads.Observer.
func (m *Metrics) Rejected(r ads.Rejection) {
	m.refusals.WithLabelValues(r.NodeID, string(r.Type)).Inc()
}

// outcome are the values of the labels status and reason.
func outcome(err error) (status, reason string) {
	switch {
	case err == nil:
		return "success", ""
	case isConflict(err):
		return "failure", "conflict"
	default:
		return "failure", "error"
	}
}

// shortHost keeps the label of a request's host free of ports.
func shortHost(host string) string {
	h, _, _ := strings.Cut(host, ":")
	return h
}
