package app

import (
	"context"
	"log/slog"
	"net/url"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
	"github.com/posthornhq/posthorn/internal/store"
)

// House-keeping goes in small batches with a pause after each, so that no writer waits long for it.
const (
	houseEvery  = 15 * time.Second
	houseBatch  = 500 // rows
	housePause  = 20 * time.Millisecond
	keepAnswers = 48 * time.Hour // how long a write made with an Idempotency-Key can be repeated, at least
)

func pathEscape(s string) string { return url.PathEscape(s) }

// keepHouse deletes what retention lets go and what was deleted, until the context ends.
func (a *App) keepHouse(ctx context.Context) error {
	t := time.NewTicker(houseEvery)
	defer t.Stop()
	for {
		for _, job := range []struct {
			name string
			run  func(context.Context) error
		}{
			{"events", a.trimLog},
			{"attempts", a.trimAttempts},
			{"answers", a.trimAnswers},
			{"endpoints", a.dropEndpoints},
			{"queues", a.keepQueues},
			{"dead letters of queues", a.trimQueueDead},
			{"tenants", a.dropTenants},
			{"token keys", a.trimTokenKeys},
			{"sessions", a.trimSessions},
			{"audit log", a.trimAudit},
			{"captured requests", a.trimCaptures},
		} {
			if err := job.run(ctx); err != nil && ctx.Err() == nil {
				a.log.WarnContext(ctx, "house-keeping failed and is tried again", slog.String("of", job.name), slog.Any("error", err))
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// batches calls delete until it has less than a batch to do.
func (a *App) batches(ctx context.Context, kind string, remove func() (int, error)) error {
	counter := a.metrics.trimmed.WithLabelValues(kind)
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
		n, err := remove()
		counter.Add(float64(n))
		if err != nil || n < houseBatch {
			return err
		}
		t.Reset(housePause)
	}
}

func (a *App) trimLog(ctx context.Context) error {
	now := time.Now()
	policy := store.TrimPolicy{MaxBytes: a.cfg.RetentionSize, KeepSince: now.Add(-a.cfg.BacklogMaxAge)}
	if a.cfg.RetentionAge > 0 {
		policy.Before = now.Add(-a.cfg.RetentionAge)
	}
	keep, err := a.undelivered(ctx)
	if err != nil {
		return err
	}
	policy.Keep = keep
	return a.batches(ctx, "events", func() (int, error) { return a.store.TrimLog(ctx, policy, houseBatch) })
}

// undelivered is the Seq up to which nothing waits for delivery, nor for the workers of a queue.
func (a *App) undelivered(ctx context.Context) (int64, error) {
	keep := a.manager.Position()
	for tenant, cursor := range a.manager.Backlogs() {
		page, err := a.store.ReadTenant(ctx, tenant, cursor, 1, 1)
		if err != nil {
			return 0, err
		}
		if len(page.Events) > 0 {
			keep = min(keep, page.Events[0].Seq-1)
		}
	}
	floor, err := a.queues.Floor(ctx)
	return min(keep, floor), err
}

func (a *App) trimAttempts(ctx context.Context) error {
	if a.cfg.AttemptsRetentionAge == 0 {
		return nil
	}
	before := time.Now().Add(-a.cfg.AttemptsRetentionAge)
	return a.batches(ctx, "attempts", func() (int, error) { return a.store.TrimAttempts(ctx, before, houseBatch) })
}

func (a *App) trimAnswers(ctx context.Context) error {
	before := time.Now().Add(-keepAnswers)
	return a.batches(ctx, "answers", func() (int, error) { return a.store.TrimAnswers(ctx, before, houseBatch) })
}

// trimCaptures deletes bins that have expired, what deleted ones held, and captured requests over the limits of age and size.
func (a *App) trimCaptures(ctx context.Context) error {
	now := time.Now()
	var before time.Time
	if a.cfg.CapturesRetentionAge > 0 {
		before = now.Add(-a.cfg.CapturesRetentionAge)
	}
	return a.batches(ctx, "captures", func() (int, error) {
		return a.store.TrimCaptures(ctx, now, before, a.cfg.CapturesRetentionSize, houseBatch)
	})
}

func (a *App) dropEndpoints(ctx context.Context) error {
	ids, err := a.store.DeletedEndpoints(ctx, houseBatch)
	for _, id := range ids {
		if err == nil {
			err = a.batches(ctx, "endpoint_state", func() (int, error) { return a.store.DeleteEndpointState(ctx, id, houseBatch) })
		}
		if err == nil {
			err = a.store.ForgetEndpoint(ctx, id)
		}
	}
	return err
}

func (a *App) dropTenants(ctx context.Context) error {
	ids, err := a.store.DeletedTenants(ctx)
	for _, id := range ids {
		if err == nil {
			err = a.dropTenant(ctx, id)
		}
	}
	return err
}

func (a *App) dropTenant(ctx context.Context, id event.TenantID) error {
	if err := a.batches(ctx, "tenant_events", func() (int, error) { return a.store.DeleteTenantEvents(ctx, id, houseBatch) }); err != nil {
		return err
	}
	if err := a.bins.TenantDeleted(ctx, id); err != nil {
		return err
	}
	return a.store.ForgetTenant(ctx, id)
}
