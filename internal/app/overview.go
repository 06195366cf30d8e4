package app

import (
	"context"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/overview"
	"github.com/posthornhq/posthorn/internal/store"
)

// observer hears of publishes and attempts for metrics and for overviews.
type observer struct {
	*metrics
	counters *overview.Counters
}

// Published implements [ingest.Observer].
func (o observer) Published(tenant event.TenantID, events, duplicates, bytes int) {
	o.metrics.Published(tenant, events, duplicates, bytes)
	o.counters.Published(tenant, events)
}

// Attempted implements [deliver.Observer].
func (o observer) Attempted(tenant event.TenantID, v event.Verdict, events int, took, age time.Duration) {
	o.metrics.Attempted(tenant, v, events, took, age)
	o.counters.Attempted(tenant, v, events, took, age)
}

// observer is what counts for the metrics and the overviews.
func (a *App) observer() observer { return observer{a.metrics, a.counters} }

// newOverview makes the service of overviews.
func (a *App) newOverview() *overview.Service {
	return overview.New(overview.Config{
		Counters: a.counters, Lanes: a.manager, Store: overviewStore{a.store}, Streams: a.hub, Logger: a.log, Holds: a.holds,
	})
}

// overviewStore is what overviews read of the store.
type overviewStore struct{ store.Store }

// ReceivedAfter implements [overview.Store].
func (s overviewStore) ReceivedAfter(ctx context.Context, tenant event.TenantID, after int64) (time.Time, error) {
	p, err := s.ReadTenant(ctx, tenant, after, 1, 1)
	if err != nil || len(p.Events) == 0 {
		return time.Time{}, err
	}
	return p.Events[0].Received, nil
}
