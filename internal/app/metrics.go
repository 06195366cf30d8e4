package app

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/posthornhq/posthorn/internal/deliver"
	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/live"
	"github.com/posthornhq/posthorn/internal/match"
	"github.com/posthornhq/posthorn/internal/store"
)

// metrics are what /metrics shows. No label holds a tenant, a URL or an id, so their number is fixed.
type metrics struct {
	registry *prometheus.Registry

	published  prometheus.Counter
	duplicates prometheus.Counter
	bytes      prometheus.Counter
	refused    *prometheus.CounterVec

	attempts  map[event.Verdict]prometheus.Counter
	delivered map[event.Verdict]prometheus.Counter
	took      prometheus.Histogram
	age       prometheus.Histogram
	expired   prometheus.Counter

	commitRows map[string]prometheus.Histogram
	commitTime map[string]prometheus.Histogram
	trimmed    *prometheus.CounterVec

	received    *prometheus.CounterVec
	receiveTime prometheus.Histogram

	manager atomic.Pointer[deliver.Manager]
	statsMu sync.Mutex
	stats   deliver.Stats
	statsAt time.Time
	hub     atomic.Pointer[live.Hub]
}

func newMetrics(version string) *metrics {
	r := prometheus.NewRegistry()
	m := &metrics{registry: r, attempts: map[event.Verdict]prometheus.Counter{}, delivered: map[event.Verdict]prometheus.Counter{}}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "posthorn", Name: name, Help: help})
		r.MustRegister(c)
		return c
	}
	vector := func(name, help, label string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "posthorn", Name: name, Help: help}, []string{label})
		r.MustRegister(c)
		return c
	}
	m.published = counter("events_published_total", "Events stored.")
	m.duplicates = counter("events_duplicate_total", "Published events that were on the log already.")
	m.bytes = counter("events_bytes_total", "Bytes of the data of the events stored.")
	m.refused = vector("events_refused_total", "Publishes refused, by problem code.", "code")
	m.expired = counter("events_expired_total", "Events deleted by retention before an endpoint had them.")
	m.trimmed = vector("trimmed_rows_total", "Rows deleted by retention, by kind.", "kind")
	attempts := vector("attempts_total", "Requests sent to endpoints, by verdict.", "verdict")
	delivered := vector("deliveries_total", "Events sent to endpoints, by verdict; a request may carry several.", "verdict")
	for _, v := range []event.Verdict{event.VerdictDelivered, event.VerdictRetry, event.VerdictFailed, event.VerdictGone} {
		m.attempts[v], m.delivered[v] = attempts.WithLabelValues(string(v)), delivered.WithLabelValues(string(v))
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "posthorn", Name: name, Help: help, Buckets: buckets})
		r.MustRegister(h)
		return h
	}
	latency := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	m.took = histogram("attempt_seconds", "How long a request to an endpoint took.", latency)
	m.age = histogram("delivery_seconds", "From the append of an event to the end of an attempt that delivered it.", append(latency, 300, 3600, 86400))
	filters := func(name, help string, value func() uint64) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "posthorn", Name: name, Help: help}, func() float64 { return float64(value()) }))
	}
	filters("filter_errors_total", "Evaluations of filters that failed, and counted as no match.", func() uint64 { n, _ := match.Failures(); return n })
	filters("filter_over_cost_total", "Evaluations of filters that were ended over their cost.", func() uint64 { _, n := match.Failures(); return n })
	m.inbound(r)
	m.commits(r)
	m.gauges(r)
	m.live(r)
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "posthorn", Name: "info", Help: "Always 1; the label is the version.", ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	r.MustRegister(info)
	return m
}

func (m *metrics) commits(r *prometheus.Registry) {
	rows := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "posthorn", Name: "commit_rows", Help: "Rows in a group commit, by file.", Buckets: prometheus.ExponentialBuckets(1, 4, 8),
	}, []string{"file"})
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "posthorn", Name: "commit_seconds", Help: "How long a group commit took, by file.",
		Buckets: []float64{.0005, .001, .002, .004, .008, .016, .032, .064, .128, .5, 2},
	}, []string{"file"})
	r.MustRegister(rows, took)
	m.commitRows, m.commitTime = map[string]prometheus.Histogram{}, map[string]prometheus.Histogram{}
	for _, f := range []string{"log", "state", "bins"} {
		m.commitRows[f], _ = rows.WithLabelValues(f).(prometheus.Histogram)
		m.commitTime[f], _ = took.WithLabelValues(f).(prometheus.Histogram)
	}
}

// gauges are read from the lanes when /metrics is asked for.
func (m *metrics) gauges(r *prometheus.Registry) {
	gauge := func(name, help string, labels prometheus.Labels, value func(deliver.Stats) float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "posthorn", Name: name, Help: help, ConstLabels: labels}, func() float64 {
			return value(m.lanes())
		}))
	}
	lanes := "Lanes in memory, by state; an endpoint that was never sent to, or not for a while, has none."
	gauge("lanes", lanes, prometheus.Labels{"state": "live"}, func(s deliver.Stats) float64 { return float64(s.Live) })
	gauge("lanes", lanes, prometheus.Labels{"state": "backlog"}, func(s deliver.Stats) float64 { return float64(s.Backlog) })
	gauge("lanes", lanes, prometheus.Labels{"state": "waiting"}, func(s deliver.Stats) float64 { return float64(s.Waiting) })
	gauge("requests_in_flight", "Requests to endpoints under way.", nil, func(s deliver.Stats) float64 { return float64(s.InFlight) })
	gauge("retries_waiting", "Saved retry rows.", nil, func(s deliver.Stats) float64 { return float64(s.Retries) })
	gauge("unsettled_events", "Events between the follower's saved position and its reading.", nil, func(s deliver.Stats) float64 { return float64(s.UnsavedEvents) })
	gauge("backlog_age_seconds", "Age of the oldest event that a lane has still to deliver.", nil, func(s deliver.Stats) float64 {
		if s.Oldest.IsZero() {
			return 0
		}
		return time.Since(s.Oldest).Seconds()
	})
}

// statsAge is how old the figures of the lanes may be: one reading of /metrics asks for them many times.
const statsAge = time.Second

// lanes returns the figures of the lanes.
func (m *metrics) lanes() deliver.Stats {
	manager := m.manager.Load()
	if manager == nil {
		return deliver.Stats{}
	}
	m.statsMu.Lock()
	defer m.statsMu.Unlock()
	if m.statsAt.IsZero() || time.Since(m.statsAt) > statsAge {
		m.stats, m.statsAt = manager.Stats(), time.Now()
	}
	return m.stats
}

// Published implements [ingest.Observer].
func (m *metrics) Published(_ event.TenantID, events, duplicates, bytes int) {
	m.published.Add(float64(events))
	m.duplicates.Add(float64(duplicates))
	m.bytes.Add(float64(bytes))
}

// Refused implements [ingest.Observer].
func (m *metrics) Refused(code string) { m.refused.WithLabelValues(code).Inc() }

// Attempted implements [deliver.Observer].
func (m *metrics) Attempted(_ event.TenantID, v event.Verdict, events int, took, age time.Duration) {
	m.attempts[v].Inc()
	m.delivered[v].Add(float64(events))
	m.took.Observe(took.Seconds())
	if v == event.VerdictDelivered {
		m.age.Observe(age.Seconds())
	}
}

// Expired implements [deliver.Observer].
func (m *metrics) Expired(events int64) { m.expired.Add(float64(events)) }

// committed hears of every group commit of the store.
func (m *metrics) committed(c store.Commit) {
	if h := m.commitRows[c.File]; h != nil {
		h.Observe(float64(c.Rows))
		m.commitTime[c.File].Observe(c.Took.Seconds())
	}
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
