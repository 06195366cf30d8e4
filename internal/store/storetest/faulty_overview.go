package storetest

import (
	"context"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// CountEndpoints implements [store.Overviews].
func (f *Faulty) CountEndpoints(ctx context.Context, tenant event.TenantID) (event.EndpointCounts, error) {
	return get(f, "CountEndpoints", func() (event.EndpointCounts, error) { return f.next.CountEndpoints(ctx, tenant) })
}

// DisabledEndpoints implements [store.Overviews].
func (f *Faulty) DisabledEndpoints(ctx context.Context, tenant event.TenantID, reason string, limit int) ([]event.Endpoint, error) {
	return get(f, "DisabledEndpoints", func() ([]event.Endpoint, error) { return f.next.DisabledEndpoints(ctx, tenant, reason, limit) })
}

// RecentDead implements [store.Overviews].
func (f *Faulty) RecentDead(ctx context.Context, tenant event.TenantID, since time.Time, limit int) ([]event.DeadLetter, error) {
	return get(f, "RecentDead", func() ([]event.DeadLetter, error) { return f.next.RecentDead(ctx, tenant, since, limit) })
}
