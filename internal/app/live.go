package app

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/posthornhq/posthorn/internal/api/rest"
	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/live"
	"github.com/posthornhq/posthorn/internal/store"
	"github.com/posthornhq/posthorn/internal/token"
)

// newHub makes the hub of live connections, which follows the log of a partition.
func (a *App) newHub(partition int, limits event.Limits) (*live.Hub, error) {
	return live.New(live.Config{
		Log: liveLog{a.store}, Partition: partition, Limits: limits, Logger: a.log,
		MaxStreams: a.cfg.MaxStreams, MaxPerTenant: a.cfg.MaxStreamsPerTenant, MaxPerToken: a.cfg.MaxStreamsPerToken,
		MaxPerAddress: a.cfg.MaxStreamsPerAddress, MaxPolls: a.cfg.MaxWaitingPolls, MaxOpen: a.fitFiles(openFiles()),
		TrustedProxies: a.cfg.TrustedProxies,
		KeepAlive:      a.cfg.StreamKeepAlive, WriteTimeout: a.cfg.StreamWriteTimeout, Holds: a.holds,
		Socket: live.SocketConfig{
			Publisher: a.ingest, MayPublish: rest.MayPublish(typeFilter), Problem: rest.Problem,
			AllowOrigin:      rest.OriginAllowed(a.cfg.AllowOrigins, a.cfg.PublicURL),
			MaxSubscriptions: a.cfg.MaxSubscriptions, MaxMessage: a.cfg.MaxMessageSize,
		},
	})
}

// tokensRotated ends the connections of a tenant's own tokens when their signing key does.
func (a *App) tokensRotated(tenant event.TenantID, ends time.Time) {
	if a.hub != nil {
		a.hub.EndTokens(tenant, token.Own, ends)
	}
}

// liveLog is what the hub reads of the store.
type liveLog struct{ store.Store }

// ReadTenant implements [live.Log].
func (l liveLog) ReadTenant(ctx context.Context, tenant event.TenantID, after int64, limit, maxBytes int) (live.Page, error) {
	p, err := l.Store.ReadTenant(ctx, tenant, after, limit, maxBytes)
	return live.Page(p), err
}

// listeners is what the REST API sees of the hub.
type listeners struct{ hub *live.Hub }

// Stream implements [rest.Live].
func (l listeners) Stream(w http.ResponseWriter, r *http.Request, who rest.Listener) error {
	return l.hub.Stream(w, r, live.Listener(who))
}

// Socket implements [rest.Live].
func (l listeners) Socket(w http.ResponseWriter, r *http.Request, who rest.Listener) error {
	return l.hub.Socket(w, r, live.Listener(who))
}

// Wait implements [rest.Live].
func (l listeners) Wait(ctx context.Context, r *http.Request, who rest.Listener, after int64, wait time.Duration) error {
	return l.hub.Wait(ctx, r, live.Listener(who), after, wait)
}

// Selector implements [rest.Live].
func (l listeners) Selector(who *rest.Listener) (func(*event.Event) bool, error) {
	own := live.Listener(*who)
	return l.hub.Selector(&own)
}

// endLive ends live connections and waits in order.
func (a *App) endLive(ctx context.Context) {
	if err := a.hub.Shutdown(ctx); err != nil {
		a.log.WarnContext(ctx, "live connections were cut off", slog.Any("error", err))
	}
}

// live are the metrics of live connections.
func (m *metrics) live(r *prometheus.Registry) {
	read := func(value func(live.Stats) float64) func() float64 {
		return func() float64 {
			if h := m.hub.Load(); h != nil {
				return value(h.Stats())
			}
			return 0
		}
	}
	gauge := func(name, help string, labels prometheus.Labels, value func(live.Stats) float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "posthorn", Name: name, Help: help, ConstLabels: labels}, read(value)))
	}
	counter := func(name, help string, labels prometheus.Labels, value func(live.Stats) float64) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "posthorn", Name: name, Help: help, ConstLabels: labels}, read(value)))
	}
	open := "Live connections, by kind."
	gauge("live_connections", open, prometheus.Labels{"kind": "sse"}, func(s live.Stats) float64 { return float64(s.Streams) })
	gauge("live_connections", open, prometheus.Labels{"kind": "websocket"}, func(s live.Stats) float64 { return float64(s.Sockets) })
	gauge("live_waiting_polls", "Long polls and leases that wait.", nil, func(s live.Stats) float64 { return float64(s.Polls) })
	gauge("live_lagging_connections", "Live connections that are behind and read from the log.", nil, func(s live.Stats) float64 { return float64(s.Lagging) })
	gauge("live_tenants", "Tenants that somebody listens to.", nil, func(s live.Stats) float64 { return float64(s.Feeds) })
	gauge("live_ring_bytes", "Memory that the newest events take for those who listen.", nil, func(s live.Stats) float64 { return float64(s.RingBytes) })
	counter("live_events_sent_total", "Events sent over live connections.", nil, func(s live.Stats) float64 { return float64(s.Events) })
	counter("live_bytes_sent_total", "Bytes sent over live connections.", nil, func(s live.Stats) float64 { return float64(s.Bytes) })
	for _, reason := range live.Reasons() {
		counter("live_closed_total", "Live connections that ended, by reason.", prometheus.Labels{"reason": reason},
			func(s live.Stats) float64 { return float64(s.Closed[reason]) })
	}
}
