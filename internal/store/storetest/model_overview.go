package storetest

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// CountEndpoints implements [store.Overviews].
func (m *Model) CountEndpoints(ctx context.Context, tenant event.TenantID) (event.EndpointCounts, error) {
	counts := event.EndpointCounts{Disabled: map[string]int{}}
	if err := m.enter(ctx); err != nil {
		return counts, err
	}
	defer m.mu.Unlock()
	for _, e := range m.endpoints {
		if tenant != 0 && e.Tenant != tenant {
			continue
		}
		counts.All++
		if e.Disabled {
			counts.Disabled[cmp.Or(e.DisabledReason, "paused")]++
		}
	}
	return counts, nil
}

// DisabledEndpoints implements [store.Overviews].
func (m *Model) DisabledEndpoints(ctx context.Context, tenant event.TenantID, reason string, limit int) ([]event.Endpoint, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	var out []event.Endpoint
	for _, e := range m.endpoints {
		if e.Disabled && cmp.Or(e.DisabledReason, "paused") == reason && (tenant == 0 || e.Tenant == tenant) {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b event.Endpoint) int { return cmp.Or(b.Updated.Compare(a.Updated), cmp.Compare(a.ID, b.ID)) })
	return out[:min(len(out), max(limit, 0))], nil
}

// RecentDead implements [store.Overviews].
func (m *Model) RecentDead(ctx context.Context, tenant event.TenantID, since time.Time, limit int) ([]event.DeadLetter, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	var out []event.DeadLetter
	for _, d := range m.dead {
		if (tenant == 0 || d.Tenant == tenant) && !d.At.Before(since) {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b event.DeadLetter) int { return b.At.Compare(a.At) })
	return out[:min(len(out), max(limit, 0))], nil
}
