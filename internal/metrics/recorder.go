// Package metrics counts what the gateway does and exposes it in the Prometheus format. It owns the names and labels of
// all series. No label may contain a user, a job, an address or any other text that a client can choose.
package metrics

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Recorder counts the events of one gateway. Its methods may be called concurrently. The methods of a nil Recorder do
// nothing, so that packages work without one.
type Recorder struct {
	registry *prometheus.Registry

	build                *prometheus.GaugeVec
	bytes                *prometheus.CounterVec
	connections          prometheus.Counter
	refusedConnections   *prometheus.CounterVec
	logins               prometheus.Counter
	loginFailures        *prometheus.CounterVec
	sessions             *prometheus.GaugeVec
	commands             *prometheus.CounterVec
	commandDuration      *prometheus.HistogramVec
	nomadRequests        *prometheus.CounterVec
	nomadRequestDuration *prometheus.HistogramVec
	auditLost            prometheus.Counter
	auditRefused         prometheus.Counter
	reloads              *prometheus.CounterVec
	reloadSuccessful     prometheus.Gauge
	reloadTime           prometheus.Gauge

	slots       slotCollector
	openClients connectionCollector
}

const namespace = "nomadctld"

// New returns a recorder without events.
func New() *Recorder {
	r := &Recorder{
		registry: prometheus.NewRegistry(),
		build: gauges("build_info", "The version of the gateway and of Go. The value is 1.",
			"version", "goversion"),
		bytes: counters("ssh_bytes_total", "Bytes on SSH connections, as seen by the gateway.",
			"direction"),
		connections: counter("ssh_connections_total", "Accepted TCP connections."),
		refusedConnections: counters("ssh_connections_refused_total",
			"Connections closed before the login, such as for a limit or a penalty.", "reason"),
		logins:        counter("logins_total", "Connections that have proven a key of a user."),
		loginFailures: counters("login_failures_total", "Connections that ended without a login.", "reason"),
		sessions:      gauges("sessions", "Commands that are running.", "command"),
		commands: counters("commands_total", "Finished commands, with the decision that the audit log has.",
			"command", "decision"),
		commandDuration: histogram("command_duration_seconds", "Time from the command line to the exit code.",
			[]float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200}, "command"),
		nomadRequests: counters("nomad_requests_total",
			"HTTP requests to a tier, except those for programs and the content of logs.", "tier", "kind", "code"),
		nomadRequestDuration: histogram("nomad_request_duration_seconds",
			"Time from when a request to a tier had a connection until the response started.",
			[]float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}, "tier", "kind"),
		auditLost:    counter("audit_events_lost_total", "Events that could not be written to the audit log."),
		auditRefused: counter("audit_commands_refused_total", "Commands that did not run because of the audit log."),
		reloads:      counters("config_reloads_total", "Reloads of the configuration.", "outcome"),
		reloadSuccessful: gauge("config_last_reload_successful",
			"1, or 0 after a failed reload: an earlier configuration is in effect."),
		reloadTime: gauge("config_last_reload_success_timestamp_seconds",
			"Unix time of the last start or reload that succeeded."),
	}
	r.registry.MustRegister(
		r.build, r.bytes, r.connections, r.refusedConnections, r.logins, r.loginFailures, r.sessions, r.commands,
		r.commandDuration, r.nomadRequests, r.nomadRequestDuration, r.auditLost, r.auditRefused, r.reloads,
		r.reloadSuccessful, r.reloadTime, &r.slots, &r.openClients,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	r.initialize()
	return r
}

// initialize creates the series whose labels are known, so that a first event is an increase from 0.
func (r *Recorder) initialize() {
	r.SetVersion("unknown")
	for _, direction := range []string{received, sent} {
		r.bytes.WithLabelValues(direction)
	}
	for _, reason := range []RefusalReason{RefusedByLimit, Displaced, Penalized, NoProxyHeader} {
		r.refusedConnections.WithLabelValues(string(reason))
	}
	for _, reason := range LoginFailureReasons {
		r.loginFailures.WithLabelValues(string(reason))
	}
	for _, outcome := range []string{success, failure} {
		r.reloads.WithLabelValues(outcome)
	}
}

// SetVersion sets the version of the gateway. Before, it is unknown.
func (r *Recorder) SetVersion(version string) {
	if r == nil {
		return
	}
	r.build.Reset()
	r.build.WithLabelValues(version, runtime.Version()).Set(1)
}

// Handler serves the series over HTTP.
func (r *Recorder) Handler() http.Handler {
	const (
		maxScrapes    = 4
		scrapeTimeout = 10 * time.Second
	)
	return promhttp.HandlerFor(r.registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: maxScrapes, Timeout: scrapeTimeout, EnableOpenMetrics: true,
	})
}

// Gatherer returns the series, for tests.
func (r *Recorder) Gatherer() prometheus.Gatherer { return r.registry }

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help})
}

func gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help, Buckets: buckets,
	}, labels)
}
