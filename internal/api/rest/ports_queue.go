package rest

import (
	"context"
	"time"

	"github.com/posthornhq/posthorn/internal/event"
)

// Queues are the pull consumers (package queue). Updates take the revision seen by the caller, 0 for whichever is stored.
type Queues interface {
	// Create makes a queue; a Start of 0 stands for what comes. Errors: KindInvalid, KindGone, KindConflict.
	Create(ctx context.Context, t *event.Tenant, q event.Queue) (event.Queue, error)
	Queue(ctx context.Context, t *event.Tenant, name string) (event.Queue, error)
	Queues(ctx context.Context, t *event.Tenant, after string, limit int) ([]event.Queue, error)
	// Update replaces the configuration of the queue with this name.
	Update(ctx context.Context, t *event.Tenant, q event.Queue, revision int64) (event.Queue, error)
	Delete(ctx context.Context, t *event.Tenant, name string, revision int64) error
	// View returns how far a queue is.
	View(ctx context.Context, q *event.Queue) (event.QueueView, error)

	// Leases lists the events of a queue whose leases hold, with version > after.
	Leases(ctx context.Context, q *event.Queue, after int64, limit int) ([]event.QueueItem, error)

	// Lease lends events, durably. Errors: KindNotFound, KindUnavailable when too many wait.
	Lease(ctx context.Context, tenant event.TenantID, name string, ask event.LeaseAsk) ([]event.Leased, error)
	// Ack, Nack and Extend return the receipts that did nothing; Extend also when the leases end.
	Ack(ctx context.Context, tenant event.TenantID, name string, receipts []string) ([]event.ReceiptError, error)
	Nack(ctx context.Context, tenant event.TenantID, name string, receipts []string, delay time.Duration) ([]event.ReceiptError, error)
	Extend(ctx context.Context, tenant event.TenantID, name string, receipts []string, visibility time.Duration) (time.Time, []event.ReceiptError, error)

	// DeadLetters lists a queue's dead letters with version > after.
	DeadLetters(ctx context.Context, q *event.Queue, after int64, limit int) ([]event.QueueDead, error)
	// RetryDead makes dead letters due again: those of the versions, all without any. It returns how many.
	RetryDead(ctx context.Context, tenant event.TenantID, name string, versions []int64) (int, error)
}
